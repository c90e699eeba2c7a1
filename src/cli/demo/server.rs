use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::probe::{ProbeFactory, ProbeReports};
use crate::api::ApiSettings;
use crate::config::{Config, Pipelines, ServerSettings};
use crate::processor::EchoSettings;
use crate::processor::recorder::RecorderSettings;
use crate::runtime::{
    Accept, AudioSocketSettings, Clock, MediaHandle, RtpSettings, RuntimeSettings,
};
use crate::server::{Server, ServerError};

/// Name of the pipeline, in logs and recordings.
const PIPELINE: &str = "demo";

/// Why the server did not start.
#[derive(Debug, Error)]
pub(super) enum StartError {
    /// The server itself.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// No port was bound.
    #[error("the server listens to no {transport} port")]
    NoPort { transport: &'static str },
}

/// The real server on loopback, on free ports: probe, recorder and echo serve whoever calls.
pub(super) struct DemoServer {
    server: Server,
    pub(super) rtp: SocketAddr,
    pub(super) audiosocket: SocketAddr,
}

impl DemoServer {
    /// Starts it; recordings go to `directory`.
    pub(super) async fn start(
        directory: &Path,
        echo: EchoSettings,
        clock: Clock,
    ) -> Result<(Self, ProbeReports), StartError> {
        let processors = ["probe", "recorder", "echo"].map(str::to_owned).to_vec();
        let config = Config {
            server: ServerSettings { grace: Duration::ZERO },
            runtime: RuntimeSettings {
                rtp: RtpSettings { port: 0, accept: Accept::Any, ..RtpSettings::default() },
                audiosocket: AudioSocketSettings {
                    bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                    ..AudioSocketSettings::default()
                },
                ..RuntimeSettings::default()
            },
            echo,
            recorder: RecorderSettings {
                directory: directory.to_owned(),
                ..RecorderSettings::default()
            },
            pipelines: Pipelines {
                default: PIPELINE.to_owned(),
                named: [(PIPELINE.to_owned(), processors)].into(),
            },
            api: ApiSettings { enabled: false, ..ApiSettings::default() },
            ..Config::default()
        };
        let (probe, reports) = ProbeFactory::new(clock);
        let server = Server::start(&config, |registry| {
            registry.add_processor("probe", Arc::new(probe));
        })
        .await?;
        let none = |transport| StartError::NoPort { transport };
        let rtp = *server.rtp_addresses().first().ok_or(none("RTP"))?;
        let audiosocket = server.audiosocket_address().ok_or(none("AudioSocket"))?;
        Ok((Self { server, rtp, audiosocket }, reports))
    }

    /// The way to the calls.
    pub(super) fn handle(&self) -> MediaHandle {
        self.server.media().clone()
    }

    /// Ends what is left of the calls, and returns when every recording is on disk.
    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}
