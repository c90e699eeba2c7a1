//! Asterisk's objects, as far as they are used. Fields that we do not read are left out.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A channel.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Channel {
    /// Its id: ours, where we chose it.
    pub id: String,
    /// Its name, such as `PJSIP/alice-00000001`.
    #[serde(default)]
    pub name: String,
    /// Who it is.
    #[serde(default)]
    pub caller: CallerId,
    /// Where it stands in the dialplan.
    #[serde(default)]
    pub dialplan: Dialplan,
    /// Variables that Asterisk tells of it.
    #[serde(default)]
    pub channelvars: BTreeMap<String, String>,
}

impl Channel {
    /// Whether the channel is in the Stasis application `app`.
    #[must_use]
    pub fn is_in(&self, app: &str) -> bool {
        self.dialplan.app_name == "Stasis"
            && self.dialplan.app_data.split(',').next().is_some_and(|name| name.trim() == app)
    }
}

/// Name and number of a party.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct CallerId {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Number.
    #[serde(default)]
    pub number: String,
}

/// Where in the dialplan a channel is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Dialplan {
    /// Its context.
    #[serde(default)]
    pub context: String,
    /// Its extension.
    #[serde(default)]
    pub exten: String,
    /// The application's name.
    #[serde(default)]
    pub app_name: String,
    /// The application's arguments.
    #[serde(default)]
    pub app_data: String,
}

/// What a variable or a function of a channel answers.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct Variable {
    /// The value.
    pub(super) value: String,
}

/// A bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Bridge {
    /// Its id: ours, where we chose it.
    pub id: String,
    /// Ids of the channels in it.
    #[serde(default)]
    pub channels: Vec<String>,
}

/// An event of a Stasis application. Those without a use here are [`AriEvent::Other`].
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(tag = "type")]
pub enum AriEvent {
    /// A channel entered the application.
    StasisStart {
        /// The channel.
        channel: Channel,
        /// Arguments of `Stasis()` behind the application's name.
        #[serde(default)]
        args: Vec<String>,
    },
    /// A channel left the application.
    StasisEnd {
        /// The channel.
        channel: Channel,
    },
    /// A channel is gone.
    ChannelDestroyed {
        /// The channel.
        channel: Channel,
    },
    /// A key was pressed on a channel, and let go.
    ChannelDtmfReceived {
        /// The channel.
        channel: Channel,
        /// The digit, one character.
        digit: String,
        /// How long it was pressed.
        #[serde(default)]
        duration_ms: u64,
    },
    /// A bridge is gone.
    BridgeDestroyed {
        /// The bridge.
        bridge: Bridge,
    },
    /// Somebody else took the application over; no more events come.
    ApplicationReplaced,
    /// Any other event.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENT: &str = r#"{"type":"StasisStart","timestamp":"2026-01-01T00:00:00.000+0000",
            "args":["echo","media=rtp"],"application":"sidetone","asterisk_id":"x",
            "channel":{"id":"1.2","name":"Local/a@b-00000000;2","state":"Ring",
              "caller":{"name":"","number":"100"},"connected":{"name":"","number":""},
              "accountcode":"","dialplan":{"context":"b","exten":"a","priority":2,
              "app_name":"Stasis","app_data":"sidetone,echo"},"creationtime":"x","language":"en"}}"#;

    #[test]
    fn an_event_is_read_past_everything_that_is_not_used() {
        let AriEvent::StasisStart { channel, args } = serde_json::from_str(EVENT).unwrap() else {
            panic!("another event");
        };
        assert_eq!((channel.id.as_str(), args.len()), ("1.2", 2));
        assert!(channel.is_in("sidetone") && !channel.is_in("side"));
    }

    proptest! {
        #[test]
        fn an_event_with_a_wrong_byte_is_read_or_refused(at in 0_usize..EVENT.len(), byte: u8) {
            let mut text = EVENT.as_bytes().to_vec();
            text[at] = byte;
            let read = serde_json::from_slice::<AriEvent>(&text).is_ok();
            prop_assert!(!read || serde_json::from_slice::<serde_json::Value>(&text).is_ok());
            prop_assert!(serde_json::from_slice::<AriEvent>(&text[..at]).is_err());
        }
    }

    #[test]
    fn an_unknown_event_is_other() {
        let text = r#"{"type":"ChannelVarset","variable":"x","value":"y"}"#;
        assert_eq!(serde_json::from_str::<AriEvent>(text).unwrap(), AriEvent::Other);
    }
}
