use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use ring::hmac;

use crate::runtime::Secret;

/// The value of the header `X-Twilio-Signature` by which the bot at `url` knows that the connection
/// comes from who has its account's token: the HMAC-SHA1 of the URL, in base64, as Twilio signs its
/// requests. Those for WebSockets have no parameters, which would be signed behind the URL.
pub fn twilio_signature(token: &Secret, url: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.reveal().as_bytes());
    BASE64.encode(hmac::sign(&key, url.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_signed_as_twilio_signs_them() {
        // Of the tests of Twilio's own library for Python, where the parameters of the request follow
        // its URL.
        let signed = "https://mycompany.com/myapp.php?foo=1&bar=2\
                      CallSidCA1234567890ABCDECaller+14158675309Digits1234From+14158675309\
                      To+18005551212";
        let signature = twilio_signature(&Secret::new("12345"), signed);
        assert_eq!(signature, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        // printf %s wss://bot.example:8443/media | openssl dgst -sha1 -hmac 12345 -binary | base64
        let signature = twilio_signature(&Secret::new("12345"), "wss://bot.example:8443/media");
        assert_eq!(signature, "mK1ogUsPp004ZZat8AddIXhbn38=");
    }
}
