use serde::Deserialize;

use super::types::{Bridge, Channel};

/// An event of the event stream, reduced to what is used.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(tag = "type")]
pub enum AriEvent {
    /// A channel has entered the application.
    StasisStart {
        /// The channel.
        channel: Channel,
        /// The arguments of `Stasis()` after the application's name.
        #[serde(default)]
        args: Vec<String>,
    },
    /// A channel has left the application; it may go on elsewhere.
    StasisEnd {
        /// The channel.
        channel: Channel,
    },
    /// A channel is gone.
    ChannelDestroyed {
        /// The channel.
        channel: Channel,
        /// Q.850 cause code.
        #[serde(default)]
        cause: u32,
    },
    /// A bridge is gone.
    BridgeDestroyed {
        /// The bridge.
        bridge: Bridge,
    },
    /// Another WebSocket has taken the application: no more events come on this one.
    ApplicationReplaced {},
    /// Anything else.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_enters_with_its_arguments() {
        let json = r#"{"type":"StasisStart","timestamp":"2026-11-21T01:46:02.166+0000",
            "args":["echo","media=rtp"],"channel":{"id":"1795225562.5",
            "name":"Local/echo@sidetone-00000002;2","state":"Up","protocol_id":"",
            "caller":{"name":"Ann","number":"100"},"connected":{"name":"","number":""},
            "accountcode":"","dialplan":{"context":"sidetone","exten":"echo","priority":3,
            "app_name":"Stasis","app_data":"sidetone,echo"},"language":"en"},
            "asterisk_id":"02:fc:00:00:00:01","application":"sidetone"}"#;
        let event = serde_json::from_str(json).unwrap();
        let AriEvent::StasisStart { channel, args } = event else { panic!("{event:?}") };
        assert_eq!(args, ["echo", "media=rtp"]);
        assert_eq!((channel.id.as_str(), channel.is_up()), ("1795225562.5", true));
        assert_eq!(channel.caller.number, "100");
    }

    #[test]
    fn what_is_not_used_is_other_and_what_is_broken_is_an_error() {
        let read = serde_json::from_str::<AriEvent>;
        assert_eq!(read(r#"{"type":"ChannelVarset","value":[1]}"#).unwrap(), AriEvent::Other);
        assert_eq!(
            read(r#"{"type":"ApplicationReplaced","application":"sidetone"}"#).unwrap(),
            AriEvent::ApplicationReplaced {}
        );
        for broken in ["", "[]", "{}", r#"{"type":"StasisEnd"}"#, r#"{"type":7}"#] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }
}
