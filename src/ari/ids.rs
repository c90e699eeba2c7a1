use uuid::Uuid;

use crate::call::CallId;

/// What an id of our own names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owned {
    /// A call's external channel.
    External(CallId),
    /// A call's bridge.
    Bridge(CallId),
}

/// The ids that we choose for what we make in Asterisk, and how they are told from others.
///
/// `{app}.{call}.m` is the external channel of a call, `{app}.{call}.b` its bridge. An
/// application's name has no dot, so the prefix of one is never the prefix of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ids {
    prefix: String,
}

impl Ids {
    /// The ids of an application.
    #[must_use]
    pub fn new(app: &str) -> Self {
        Self { prefix: format!("{app}.") }
    }

    /// The id of a call's external channel.
    #[must_use]
    pub fn external(&self, call: CallId) -> String {
        format!("{}{call}.m", self.prefix)
    }

    /// The id of a call's bridge.
    #[must_use]
    pub fn bridge(&self, call: CallId) -> String {
        format!("{}{call}.b", self.prefix)
    }

    /// What an id names, if it is one of ours.
    #[must_use]
    pub fn parse(&self, id: &str) -> Option<Owned> {
        let (uuid, kind) = id.strip_prefix(&self.prefix)?.split_once('.')?;
        // `Uuid` reads other spellings too; only the one that we write is ours.
        let call = CallId::new(uuid.parse::<Uuid>().ok()?);
        if call.to_string() != uuid {
            return None;
        }
        match kind {
            "m" => Some(Owned::External(call)),
            "b" => Some(Owned::Bridge(call)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallId = CallId::new(Uuid::from_u128(0x0193_4a5b_0000_7000_8000_0000_0000_0001));

    #[test]
    fn ids_come_back_as_what_they_name() {
        let ids = Ids::new("sidetone");
        assert_eq!(ids.external(CALL), "sidetone.01934a5b-0000-7000-8000-000000000001.m");
        assert_eq!(ids.parse(&ids.external(CALL)), Some(Owned::External(CALL)));
        assert_eq!(ids.parse(&ids.bridge(CALL)), Some(Owned::Bridge(CALL)));
    }

    #[test]
    fn ids_of_others_are_not_taken_for_ours() {
        let ids = Ids::new("sidetone");
        for other in [
            "1795225562.5",
            "",
            "sidetone.",
            "sidetone.x.m",
            "sidetone.01934a5b-0000-7000-8000-000000000001",
            "sidetone.01934a5b-0000-7000-8000-000000000001.x",
            "sidetone.01934A5B-0000-7000-8000-000000000001.m",
            "sidetone.01934a5b000070008000000000000001.m",
            "sidetone2.01934a5b-0000-7000-8000-000000000001.m",
        ] {
            assert_eq!(ids.parse(other), None, "{other}");
        }
    }
}
