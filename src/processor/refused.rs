use thiserror::Error;

/// The call did not come through Asterisk's ARI: nobody can do anything about the caller's channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("no ARI controls the call: it came straight from a dialplan, or from no Asterisk")]
pub struct NotControlled;
