use std::ffi::OsString;

use super::error::{ConfigError, Place, Problem};
use super::tree::{Node, Table, Value};

/// Prefix of the environment variables that are read; one underscore alone is somebody else's.
pub(super) const PREFIX: &str = "SIDETONE__";

/// A value from the command line, stronger than the file and the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    /// The flag, with its dashes, for messages.
    pub flag: &'static str,
    /// The key's path, such as `rtp.port`.
    pub key: &'static str,
    /// The value as it was typed.
    pub value: String,
}

/// Lays `SIDETONE__SECTION__KEY` variables over the tree.
pub(super) fn environment(
    table: &mut Table,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    errors: &mut Vec<ConfigError>,
) {
    let mut entries = Vec::new();
    for (name, value) in variables {
        // A name that is not UTF-8 cannot begin with the prefix and name a key.
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let place = Place::Environment { variable: name.to_owned() };
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        match value.into_string() {
            Ok(text) => entries.push((path, Node { place, value: Value::Raw(text) })),
            Err(_) => errors.push(ConfigError {
                place,
                key: path.join("."),
                problem: Problem::not_allowed("a value that is not UTF-8", "UTF-8 text"),
            }),
        }
    }
    // Indices in the order of their numbers, so that 9 is there before 10 is added behind it.
    entries.sort_by_cached_key(|(path, _)| {
        path.iter().map(|part| (part.parse::<usize>().ok(), part.clone())).collect::<Vec<_>>()
    });
    for (path, node) in entries {
        lay(table, &path, node, errors);
    }
}

/// Lays values from the command line over the tree.
pub(super) fn flags(table: &mut Table, overrides: &[Override], errors: &mut Vec<ConfigError>) {
    for Override { flag, key, value } in overrides {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let node = Node { place: Place::Flag { flag }, value: Value::Raw(value.clone()) };
        lay(table, &path, node, errors);
    }
}

fn lay(table: &mut Table, path: &[String], node: Node, errors: &mut Vec<ConfigError>) {
    let place = node.place.clone();
    if let Err((depth, problem)) = set(table, path, node, 0) {
        errors.push(ConfigError { place, key: path[..=depth].join("."), problem });
    }
}

/// Sets the value at `path[depth..]`; an error comes with the depth of the part that is wrong.
fn set(
    table: &mut Table,
    path: &[String],
    node: Node,
    depth: usize,
) -> Result<(), (usize, Problem)> {
    let part = &path[depth];
    let Some(next) = path.get(depth + 1) else {
        table.insert(part.clone(), node);
        return Ok(());
    };
    let child = table.entry(part.clone()).or_insert_with(|| Node {
        place: node.place.clone(),
        value: if is_index(next) { Value::Array(Vec::new()) } else { Value::Table(Table::new()) },
    });
    match &mut child.value {
        Value::Table(inner) => set(inner, path, node, depth + 1),
        Value::Array(items) => set_item(items, path, node, depth + 1),
        other => Err((depth, has_no_keys(other))),
    }
}

fn set_item(
    items: &mut Vec<Node>,
    path: &[String],
    node: Node,
    depth: usize,
) -> Result<(), (usize, Problem)> {
    let index = path[depth].parse::<usize>().ok().filter(|index| *index <= items.len());
    let Some(index) = index else {
        let allowed = format!("0 to {}", items.len());
        return Err((depth, Problem::not_allowed(format!("index {:?}", path[depth]), allowed)));
    };
    let last = depth + 1 == path.len();
    if index == items.len() {
        let value = Value::Table(Table::new());
        items.push(Node { place: node.place.clone(), value });
    }
    let item = &mut items[index];
    if last {
        *item = node;
        return Ok(());
    }
    match &mut item.value {
        Value::Table(inner) => set(inner, path, node, depth + 1),
        other => Err((depth, has_no_keys(other))),
    }
}

fn is_index(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_no_keys(value: &Value) -> Problem {
    Problem::WrongType { expected: "a table with keys below it", actual: value.kind().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaid(variables: &[(&str, &str)]) -> (Table, Vec<String>) {
        let (mut table, mut errors) = (Table::new(), Vec::new());
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        environment(&mut table, variables, &mut errors);
        (table, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn blocks_are_added_in_the_order_of_their_numbers() {
        let names: Vec<String> =
            (0..12).rev().map(|index| format!("SIDETONE__ASTERISK__{index}__NAME")).collect();
        let variables: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        let (table, errors) = overlaid(&variables);
        assert_eq!(errors, Vec::<String>::new());
        let Value::Array(blocks) = &table["asterisk"].value else { panic!("an array") };
        assert_eq!(blocks.len(), 12);
    }

    #[test]
    fn an_index_beyond_the_next_block_is_refused() {
        let (_, errors) = overlaid(&[("SIDETONE__ASTERISK__1__NAME", "x")]);
        assert_eq!(
            errors,
            ["environment SIDETONE__ASTERISK__1__NAME: asterisk.1: index \"1\" is not allowed; \
              allowed: 0 to 0"]
        );
    }

    #[test]
    fn a_value_has_no_keys_below_it() {
        let (_, errors) =
            overlaid(&[("SIDETONE__RTP__PORT", "1"), ("SIDETONE__RTP__PORT__LOW", "2")]);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].contains("rtp.port: expected a table"), "{errors:?}");
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let (table, errors) = overlaid(&[("SIDETONE_CACHE", "x"), ("PATH", "y")]);
        assert!(table.is_empty() && errors.is_empty());
    }
}
