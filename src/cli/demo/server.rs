use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;
use tokio::task;

use super::probe::{ProbeFactory, ProbeReports};
use crate::media::MediaSettings;
use crate::processor::recorder::{RecorderFactory, RecorderSettings};
use crate::processor::{EchoFactory, EchoSettings, PipelineError, Registry};
use crate::runtime::recording::Recordings;
use crate::runtime::{
    Accept, AudioSocketSettings, Clock, MediaHandle, RtpSettings, Runtime, RuntimeSettings,
};

/// Name of the pipeline, in logs and recordings.
const PIPELINE: &str = "demo";

/// Why the server did not start.
#[derive(Debug, Error)]
pub(super) enum StartError {
    /// The thread that writes recordings.
    #[error("cannot start the recordings' thread: {0}")]
    Recordings(#[source] io::Error),
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Sockets and shards.
    #[error(transparent)]
    Runtime(#[from] crate::runtime::StartError),
    /// No port was bound.
    #[error("the server listens to no {transport} port")]
    NoPort { transport: &'static str },
}

/// The real server on loopback, on free ports: probe, recorder and echo serve whoever calls.
pub(super) struct DemoServer {
    runtime: Runtime,
    recordings: Recordings,
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
        let recorder =
            RecorderSettings { directory: directory.to_owned(), ..RecorderSettings::default() };
        let recordings = Recordings::start(recorder, clock).map_err(StartError::Recordings)?;
        let (probe, reports) = ProbeFactory::new(clock);
        let mut registry = Registry::default();
        registry.add_processor("probe", Arc::new(probe));
        registry.add_processor(
            "recorder",
            Arc::new(RecorderFactory::new(Arc::new(recordings.clone()))),
        );
        registry.add_processor("echo", Arc::new(EchoFactory::new(echo)));
        registry.add_pipeline(PIPELINE, &["probe", "recorder", "echo"])?;
        let pipeline = registry.pipeline(PIPELINE)?;

        let settings = RuntimeSettings {
            rtp: RtpSettings { port: 0, accept: Accept::Any, ..RtpSettings::default() },
            audiosocket: AudioSocketSettings {
                bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                accept: Accept::Any,
                ..AudioSocketSettings::default()
            },
            ..RuntimeSettings::default()
        };
        let media = MediaSettings::default();
        let runtime =
            Runtime::start(&settings, &media, pipeline, recordings.clone(), clock).await?;
        let none = |transport| StartError::NoPort { transport };
        let rtp = *runtime.rtp_addresses().first().ok_or(none("RTP"))?;
        let audiosocket = runtime.audiosocket_address().ok_or(none("AudioSocket"))?;
        Ok((Self { runtime, recordings, rtp, audiosocket }, reports))
    }

    /// The way to the calls.
    pub(super) fn handle(&self) -> MediaHandle {
        self.runtime.handle().clone()
    }

    /// Ends what is left of the calls, and returns when every recording is on disk.
    pub(super) async fn stop(self) {
        let Self { runtime, recordings, .. } = self;
        runtime.stop().await;
        if task::spawn_blocking(move || recordings.shutdown()).await.is_err() {
            tracing::error!("closing the recordings panicked");
        }
    }
}
