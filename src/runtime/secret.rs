use std::fmt;

use ring::hmac;

/// A password or a token. It cannot be printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a stranger knows the secret. How long that takes does not tell how much of `offered`
    /// is right: what is compared are codes of both, in constant time.
    #[must_use]
    pub fn matches(&self, offered: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        let code = hmac::sign(&key, self.0.as_bytes());
        hmac::verify(&key, offered.as_bytes(), code.as_ref()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_matches() {
        let secret = Secret::new("open sesame");
        assert!(secret.matches("open sesame"));
        for wrong in ["", "open sesam", "open sesame\0", "open sesamf", "Open sesame"] {
            assert!(!secret.matches(wrong), "{wrong:?}");
        }
    }
}
