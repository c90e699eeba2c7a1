//! Values of ARI, reduced to what is used. Fields that Asterisk may leave out have defaults.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Deserialize;

/// A channel, as ARI's `Channel` model has it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Channel {
    /// Unique over an Asterisk's life, and mostly beyond.
    pub id: String,
    /// Such as `PJSIP/alice-00000001`.
    #[serde(default)]
    pub name: String,
    /// `Up` once answered; `Ring`, `Down` and others before.
    #[serde(default)]
    pub state: String,
    /// Who is at the other end.
    #[serde(default)]
    pub caller: CallerId,
    /// What the channel's driver told, where it was asked for.
    #[serde(default)]
    pub channelvars: HashMap<String, String>,
}

impl Channel {
    /// Whether the channel has been answered.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state == "Up"
    }

    /// Where the media of a UnicastRTP channel comes from and goes to: `UNICASTRTP_LOCAL_ADDRESS`
    /// and `UNICASTRTP_LOCAL_PORT` (`channels/chan_rtp.c`).
    ///
    /// An unspecified address means any address of that Asterisk.
    #[must_use]
    pub fn unicast_rtp(&self) -> Option<(IpAddr, u16)> {
        let address = self.channelvars.get("UNICASTRTP_LOCAL_ADDRESS")?.parse().ok()?;
        let port = self.channelvars.get("UNICASTRTP_LOCAL_PORT")?.parse().ok()?;
        (port != 0).then_some((address, port))
    }
}

/// A caller's number and name. Personal data: never log them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct CallerId {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Number.
    #[serde(default)]
    pub number: String,
}

/// A bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Bridge {
    /// Its id; client-chosen for ours.
    pub id: String,
    /// The channels in it.
    #[serde(default)]
    pub channels: Vec<String>,
}

/// A Stasis application.
///
/// Asterisk keeps it while a WebSocket is open for it *or* a channel or bridge is in it: the
/// callers of a program that has died stay in `channel_ids`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// The channels in it.
    #[serde(default)]
    pub channel_ids: Vec<String>,
    /// The bridges in which they are.
    #[serde(default)]
    pub bridge_ids: Vec<String>,
}

/// Body of an answer that is an error.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    /// Asterisk's own words.
    pub(super) message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_address_is_read_from_channel_variables() {
        let json = r#"{"id":"sidetone.x.m","name":"UnicastRTP/127.0.0.1:9-0x7f","state":"Down",
            "caller":{"name":"","number":""},"dialplan":{"context":"default"},
            "channelvars":{"UNICASTRTP_LOCAL_PORT":"21704","UNICASTRTP_LOCAL_ADDRESS":"0.0.0.0"}}"#;
        let channel: Channel = serde_json::from_str(json).unwrap();
        assert_eq!(channel.unicast_rtp(), Some(("0.0.0.0".parse().unwrap(), 21704)));
        assert!(!channel.is_up());
    }

    #[test]
    fn a_media_address_that_cannot_be_used_is_none() {
        for vars in [
            r#"{}"#,
            r#"{"UNICASTRTP_LOCAL_ADDRESS":"127.0.0.1"}"#,
            r#"{"UNICASTRTP_LOCAL_ADDRESS":"pbx","UNICASTRTP_LOCAL_PORT":"9"}"#,
            r#"{"UNICASTRTP_LOCAL_ADDRESS":"127.0.0.1","UNICASTRTP_LOCAL_PORT":"0"}"#,
            r#"{"UNICASTRTP_LOCAL_ADDRESS":"127.0.0.1","UNICASTRTP_LOCAL_PORT":"65536"}"#,
        ] {
            let json = format!(r#"{{"id":"x","channelvars":{vars}}}"#);
            let channel: Channel = serde_json::from_str(&json).unwrap();
            assert_eq!(channel.unicast_rtp(), None, "{vars}");
        }
    }
}
