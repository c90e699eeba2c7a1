//! Calls that an Asterisk makes: their audio goes through it to whatever it calls, and back.

mod audiosocket;
mod call;
mod rtp;
mod switchboard;

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};

use thiserror::Error;

pub(super) use self::audiosocket::AcceptedLines;
pub(super) use self::rtp::RelayedLines;
pub(super) use self::switchboard::{LeftBehind, Over, Switchboard, SwitchboardError};

use super::arguments::AsteriskArgs;
use crate::ari::{AriError, AsteriskSettings};
use crate::runtime::Secret;

/// Name of the password in the environment.
const PASSWORD: &str = "SIDETONE_ARI_PASSWORD";

/// Why an Asterisk cannot be used.
#[derive(Debug, Error)]
pub(super) enum ExchangeError {
    #[error(transparent)]
    Url(#[from] AriError),
    #[error("--asterisk needs a user: http://user:password@host:8088")]
    NoUser,
    #[error("--app {0:?} cannot be used; allowed: letters, digits, - and _")]
    App(String),
    #[error("{host}: this machine has no address towards it: {source}")]
    NoWay { host: String, source: io::Error },
}

/// An Asterisk, and what it is to call.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) settings: AsteriskSettings,
    /// Whom it calls, such as `Local/echo@sidetone`.
    pub(super) endpoint: String,
    /// This machine's address towards it.
    pub(super) local: IpAddr,
    /// The host that it is told to send audio to.
    pub(super) advertise: String,
}

impl Exchange {
    /// What the command line says, with the environment's password where it has none.
    ///
    /// # Errors
    /// [`ExchangeError`] where that cannot be used.
    pub(super) fn new(arguments: &AsteriskArgs) -> Result<Option<Self>, ExchangeError> {
        let AsteriskArgs { asterisk: Some(url), dial: Some(endpoint), app, advertise } = arguments
        else {
            return Ok(None);
        };
        let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if app.is_empty() || !app.chars().all(of_name) {
            return Err(ExchangeError::App(app.clone()));
        }
        let mut settings = AsteriskSettings { app: app.clone(), ..AsteriskSettings::at(url)? };
        if settings.user.is_empty() {
            return Err(ExchangeError::NoUser);
        }
        if settings.password == Secret::default() {
            settings.password = Secret::new(std::env::var(PASSWORD).unwrap_or_default());
        }
        let (host, port) = settings.host()?;
        let local =
            local_towards(&host, port).map_err(|source| ExchangeError::NoWay { host, source })?;
        let host_of = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let advertise = advertise.clone().unwrap_or_else(|| host_of(local));
        Ok(Some(Self { settings, endpoint: endpoint.clone(), local, advertise }))
    }

    /// What calls are made to, for a report: without user and password.
    pub(super) fn label(&self) -> String {
        format!("{} at {}", self.endpoint, self.settings.url)
    }

    /// What Asterisk is told to send to, where this machine listens at `port`.
    fn host_port(&self, port: u16) -> String {
        format!("{}:{port}", self.advertise)
    }
}

/// The address that this machine has towards a host; nothing is sent.
fn local_towards(host: &str, port: u16) -> io::Result<IpAddr> {
    let mut addresses = (host.trim_matches(['[', ']']), port).to_socket_addrs()?;
    let to = addresses.next().ok_or(io::ErrorKind::NotFound)?;
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}
