//! A call's identity and description: what the control side tells the media side.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::audio::MediaFormat;

/// Names one call for its whole stay, unique over restarts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct CallId(Uuid);

impl CallId {
    /// The call named by `uuid`; a version 7 UUID makes ids sort by age.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id as a UUID: also what is asked of Asterisk as an AudioSocket's stream UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// How a call's audio travels between Asterisk and us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RTP over UDP.
    Rtp,
    /// AudioSocket over TCP.
    AudioSocket,
}

impl Transport {
    /// The formats that can travel this way.
    ///
    /// Over RTP Asterisk loses audio of `slin192` (`docs/assumptions.md`). AudioSocket has kinds for
    /// `slin` only: anything else would go under the kind of `slin`, with nothing to tell it apart.
    #[must_use]
    pub const fn formats(self) -> &'static [MediaFormat] {
        match self {
            // All but `slin192`, the last of the list.
            Self::Rtp => MediaFormat::ALL.split_at(12).0,
            // All but µ-law, A-law, G.722 and Opus, which lead the list.
            Self::AudioSocket => MediaFormat::ALL.split_at(4).1,
        }
    }

    /// Whether `format` can travel this way.
    #[must_use]
    pub fn carries(self, format: MediaFormat) -> bool {
        self.formats().contains(&format)
    }
}

impl Transport {
    /// How many there are.
    pub const COUNT: usize = 2;

    /// Where the transport stands in an array that has an entry for each.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Rtp => 0,
            Self::AudioSocket => 1,
        }
    }

    /// The transport as the configuration, the events and the metrics name it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rtp => "rtp",
            Self::AudioSocket => "audiosocket",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Who calls, as far as Asterisk told us. Numbers and names are personal data: never log them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Caller {
    /// Asterisk's id of the caller's channel.
    pub channel_id: String,
    /// Asterisk's name of the caller's channel, such as `PJSIP/alice-00000001`.
    pub channel_name: String,
    /// Caller number.
    pub number: String,
    /// Caller name.
    pub name: String,
}

/// What is known of a call before its first frame.
#[derive(Clone, Debug, Serialize)]
pub struct CallInfo {
    /// The call.
    pub id: CallId,
    /// How its audio travels.
    pub transport: Transport,
    /// Format on the wire; `None` until the first AudioSocket frame from a dialplan tells it.
    pub format: Option<MediaFormat>,
    /// Name of the pipeline that serves it.
    pub pipeline: Arc<str>,
    /// `key=value` arguments of the dialplan that are not our own.
    pub parameters: BTreeMap<String, String>,
    /// The caller, when Asterisk's ARI told us.
    pub caller: Option<Caller>,
    /// The UUID that an AudioSocket peer announced.
    pub stream_uuid: Option<Uuid>,
}

impl CallInfo {
    /// A call of which nothing is known but how it comes.
    #[must_use]
    pub fn unannounced(
        id: CallId,
        transport: Transport,
        format: Option<MediaFormat>,
        pipeline: Arc<str>,
    ) -> Self {
        let (parameters, caller, stream_uuid) = (BTreeMap::new(), None, None);
        Self { id, transport, format, pipeline, parameters, caller, stream_uuid }
    }
}

/// Where in Asterisk's dialplan a caller goes on. What is absent stays as it was when the caller came
/// to us; where all is, that is behind `Stasis()`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Destination {
    /// The context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The priority; 1 where a context or an extension is given without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
}

/// Why a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The caller's channel is gone.
    CallerGone,
    /// The external channel is gone, or the AudioSocket peer closed.
    PeerClosed,
    /// The AudioSocket peer said hangup.
    PeerHangup,
    /// The peer broke the protocol of its transport.
    ProtocolError,
    /// No packet came for `media.end_after_ms`.
    NoMedia,
    /// A processor asked for it.
    Processor,
    /// A processor sent the caller on in the dialplan.
    Transferred,
    /// Our own API asked for it.
    Requested,
    /// Call set-up failed.
    SetupFailed,
    /// The server is stopping.
    ShuttingDown,
    /// The engine panicked; this call alone was given up.
    Panicked,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallerGone => "caller_gone",
            Self::PeerClosed => "peer_closed",
            Self::PeerHangup => "peer_hangup",
            Self::ProtocolError => "protocol_error",
            Self::NoMedia => "no_media",
            Self::Processor => "processor",
            Self::Transferred => "transferred",
            Self::Requested => "requested",
            Self::SetupFailed => "setup_failed",
            Self::ShuttingDown => "shutting_down",
            Self::Panicked => "panicked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transport_carries_what_its_peer_can_send() {
        let names = |transport: Transport| -> Vec<&str> {
            transport.formats().iter().map(|format| format.asterisk_name()).collect()
        };
        assert_eq!(
            names(Transport::Rtp).join(" "),
            "ulaw alaw g722 opus slin slin12 slin16 slin24 slin32 slin44 slin48 slin96"
        );
        assert_eq!(
            names(Transport::AudioSocket).join(" "),
            "slin slin12 slin16 slin24 slin32 slin44 slin48 slin96 slin192"
        );
    }
}
