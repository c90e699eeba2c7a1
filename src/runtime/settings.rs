use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whom a socket serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// Calls that the control side announced.
    Registered,
    /// Anybody: who is not announced becomes a new call with the default pipeline.
    Any,
}

/// The RTP ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RtpSettings {
    /// Address to bind.
    pub bind: IpAddr,
    /// Host that Asterisk is told to send to; `None`: the bind address.
    pub advertise: Option<String>,
    /// Port of the first shard, the next one for the next shard; 0: any free port for each.
    pub port: u16,
    /// Whom we serve.
    pub accept: Accept,
    /// Most calls at once.
    pub max_calls: usize,
    /// Size asked of the kernel for each socket's receive and send buffers.
    pub socket_buffer_bytes: usize,
    /// Differentiated-services code point of what we send (RFC 2474); 46 is EF, for voice.
    pub dscp: u8,
}

impl Default for RtpSettings {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertise: None,
            port: 40_000,
            accept: Accept::Registered,
            max_calls: 4_000,
            socket_buffer_bytes: 4 << 20,
            dscp: 46,
        }
    }
}

/// The AudioSocket listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioSocketSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Address to bind.
    pub bind: SocketAddr,
    /// `host` or `host:port` that Asterisk is told to connect to; `None`: the bind address.
    pub advertise: Option<String>,
    /// Whom we serve; `Any` lets a dialplan's `AudioSocket()` in.
    pub accept: Accept,
    /// Most connections at once.
    pub max_connections: usize,
    /// Longest frame, header included; a longer one ends the connection.
    pub max_frame_bytes: usize,
    /// Time from the connection to its UUID frame.
    pub uuid_timeout: Duration,
}

impl Default for AudioSocketSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 9092)),
            advertise: None,
            accept: Accept::Any,
            max_connections: 1_000,
            max_frame_bytes: 8_192,
            uuid_timeout: Duration::from_secs(2),
        }
    }
}

/// Threads and sockets of the media side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuntimeSettings {
    /// Threads that carry media; 0: one per core.
    pub shards: usize,
    /// Their nice value, -20 to 0, where it is not lower already.
    pub shard_nice: i32,
    /// Where more than a tenth of a shard's frames are sent later than this, it takes no new calls;
    /// zero: it takes them in any case.
    pub max_lateness: Duration,
    /// The RTP ports.
    pub rtp: RtpSettings,
    /// The AudioSocket listener.
    pub audiosocket: AudioSocketSettings,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            shards: 0,
            shard_nice: 0,
            max_lateness: Duration::from_millis(20),
            rtp: RtpSettings::default(),
            audiosocket: AudioSocketSettings::default(),
        }
    }
}
