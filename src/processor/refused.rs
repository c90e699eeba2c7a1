use thiserror::Error;

/// The call did not come through Asterisk's ARI: nobody can do anything about the caller's channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("no ARI controls the call: it came straight from a dialplan, or from no Asterisk")]
pub struct NotControlled;

/// Digits that cannot be sent to a caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SendDtmfError {
    /// Nobody can send any.
    #[error(transparent)]
    NotControlled(#[from] NotControlled),
    /// One of them is none.
    #[error("{actual:?} is no digit; allowed: 0 to 9, *, #, A to D")]
    NoDigit {
        /// The character.
        actual: char,
    },
    /// There are none, or more than anybody waits for.
    #[error("{actual} digits; allowed: 1 to {most}")]
    Count {
        /// How many there are.
        actual: usize,
        /// How many may be sent at once.
        most: usize,
    },
}

/// No processor of the call's pipeline has this name.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("no processor {actual:?} in the call's pipeline; there are: {}", allowed.join(", "))]
pub struct NoSuchProcessor {
    /// The name asked for.
    pub actual: String,
    /// The names there are.
    pub allowed: Vec<String>,
}
