use std::fmt;

use super::types::Dialplan;
use crate::call::Destination;

/// A place in Asterisk's dialplan, in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The context.
    pub context: String,
    /// The extension.
    pub extension: String,
    /// The priority.
    pub priority: u32,
}

impl Place {
    /// Where a destination is for a caller who came from `origin`. None where all of it is absent: that
    /// is behind the application that the caller is in.
    #[must_use]
    pub fn of(destination: &Destination, origin: &Dialplan) -> Option<Self> {
        let Destination { context, extension, priority } = destination;
        if *destination == Destination::default() {
            return None;
        }
        Some(Self {
            context: context.as_ref().unwrap_or(&origin.context).clone(),
            extension: extension.as_ref().unwrap_or(&origin.exten).clone(),
            priority: priority.unwrap_or(1),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, extension, priority } = self;
        write!(f, "{context},{extension},{priority}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_destination_does_not_say_is_where_the_caller_came_from() {
        let origin = Dialplan { context: "in".into(), exten: "100".into(), ..Dialplan::default() };
        let place = |context: Option<&str>, extension: Option<&str>, priority| {
            let [context, extension] = [context, extension].map(|part| part.map(str::to_owned));
            let destination = Destination { context, extension, priority };
            Place::of(&destination, &origin).map(|place| place.to_string())
        };
        assert_eq!(place(Some("sales"), Some("1"), Some(7)).as_deref(), Some("sales,1,7"));
        assert_eq!(place(Some("sales"), None, None).as_deref(), Some("sales,100,1"));
        assert_eq!(place(None, Some("200"), None).as_deref(), Some("in,200,1"));
        assert_eq!(place(None, None, Some(3)).as_deref(), Some("in,100,3"));
        assert_eq!(place(None, None, None), None);
    }
}
