use uuid::Uuid;

use crate::call::CallId;

/// What an id of ours names in Asterisk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A channel to somebody whom we call.
    Callee,
    /// The external channel.
    Media,
    /// The bridge that joins it with the caller, or with whom we call.
    Bridge,
}

impl Role {
    const ALL: [Self; 3] = [Self::Callee, Self::Media, Self::Bridge];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Callee => "c",
            Self::Media => "m",
            Self::Bridge => "b",
        }
    }
}

/// Names of the channels and bridges that we make: `<app>.<call>.m`, and so on.
///
/// We choose them, so that they are known before Asterisk's answer; and they are recognised as
/// ours after a crash. An application's name holds no dot, so one is never the prefix of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ids {
    prefix: String,
}

impl Ids {
    /// Names for the Stasis application `app`.
    #[must_use]
    pub fn new(app: &str) -> Self {
        Self { prefix: format!("{app}.") }
    }

    /// The name of a call's channel or bridge.
    #[must_use]
    pub fn name(&self, call: CallId, role: Role) -> String {
        format!("{}{call}.{}", self.prefix, role.suffix())
    }

    /// Whose name this is, if it is one of ours.
    #[must_use]
    pub fn parse(&self, name: &str) -> Option<(CallId, Role)> {
        let (call, suffix) = name.strip_prefix(&self.prefix)?.split_once('.')?;
        let role = Role::ALL.into_iter().find(|role| role.suffix() == suffix)?;
        Some((CallId::new(Uuid::try_parse(call).ok()?), role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_recognised_by_its_own_application_only() {
        let call = CallId::new(Uuid::from_u128(7));
        for role in Role::ALL {
            let name = Ids::new("sidetone").name(call, role);
            assert_eq!(Ids::new("sidetone").parse(&name), Some((call, role)));
            assert_eq!(Ids::new("side").parse(&name), None);
            assert_eq!(Ids::new("sidetone-2").parse(&name), None);
        }
    }

    #[test]
    fn foreign_names_are_not_ours() {
        let ids = Ids::new("sidetone");
        for name in ["1700000000.12", "sidetone.x.m", "sidetone.", "sidetone", ""] {
            assert_eq!(ids.parse(name), None, "{name}");
        }
    }
}
