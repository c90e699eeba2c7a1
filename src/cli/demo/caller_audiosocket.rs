use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::caller::{CallerError, Line};
use super::probe::Served;
use crate::audio::MediaFormat;
use crate::cli::fixture::RATE;
use crate::dsp::l16;
use crate::wire::audiosocket::{encode_audio, encode_hangup, encode_uuid};
use crate::wire::{AudioSocketFrame, FrameDecoder};

/// Format of the call.
pub(super) const FORMAT: MediaFormat = MediaFormat::Slin(RATE);

const READ_BYTES: usize = 4_096;

/// A caller over AudioSocket, as a dialplan's `AudioSocket()` is one.
pub(super) struct AudioSocketCaller {
    stream: TcpStream,
    decoder: FrameDecoder,
    buffer: Box<[u8]>,
    frame: Vec<u8>,
    heard_samples: u64,
    reports: UnboundedReceiver<Served>,
    served: Option<Served>,
}

impl AudioSocketCaller {
    /// Connects to `to`, and names the stream `uuid`.
    pub(super) async fn connect(
        to: SocketAddr,
        uuid: Uuid,
        reports: UnboundedReceiver<Served>,
    ) -> Result<Self, CallerError> {
        let mut stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let mut frame = Vec::new();
        encode_uuid(uuid, &mut frame);
        stream.write_all(&frame).await?;
        Ok(Self {
            stream,
            decoder: FrameDecoder::new(FrameDecoder::MAX_FRAME_BYTES),
            buffer: vec![0; READ_BYTES].into(),
            frame,
            heard_samples: 0,
            reports,
            served: None,
        })
    }

    /// The call as the server saw it; there once [`Line::hang_up`] has succeeded.
    pub(super) fn into_served(self) -> Option<Served> {
        self.served
    }

    /// The next frame that the decoder holds whole; true where there is one in `samples`.
    fn decode(&mut self, samples: &mut Vec<i16>) -> Result<bool, CallerError> {
        let actual = match self.decoder.next() {
            Ok(None) => return Ok(false),
            Ok(Some(AudioSocketFrame::Audio { rate, payload })) if rate == RATE => {
                samples.resize(payload.len() / 2, 0);
                l16::decode_le(payload, samples);
                return Ok(true);
            }
            Ok(Some(AudioSocketFrame::Audio { rate, .. })) => format!("audio of {rate}"),
            Ok(Some(other)) => format!("{other:?}"),
            Err(error) => error.to_string(),
        };
        Err(CallerError::Unexpected { expected: "audio of 8000 Hz", actual })
    }
}

impl Line for AudioSocketCaller {
    async fn send(&mut self, samples: &[i16]) -> Result<(), CallerError> {
        encode_audio(RATE, samples, &mut self.frame);
        self.stream.write_all(&self.frame).await?;
        Ok(())
    }

    async fn receive(&mut self, samples: &mut Vec<i16>) -> Result<Option<u64>, CallerError> {
        while !self.decode(samples)? {
            self.stream.readable().await?;
            match self.stream.try_read(&mut self.buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => {
                    let taken = self.decoder.feed(&self.buffer[..length]);
                    assert_eq!(taken, length, "less than a frame was left in the decoder");
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        let start = self.heard_samples;
        self.heard_samples += samples.len() as u64;
        Ok(Some(start))
    }

    async fn hang_up(&mut self) -> Result<(), CallerError> {
        encode_hangup(&mut self.frame);
        self.stream.write_all(&self.frame).await?;
        self.served = self.reports.recv().await;
        Ok(())
    }
}
