use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::TcpStream;
use uuid::Uuid;

use super::lines::{Answer, Event};
use super::stopwatch::Stopwatch;
use crate::audio::SampleRate;
use crate::runtime::udp;
use crate::wire::audiosocket::Kind;
use crate::wire::{AudioSocketFrame, FrameDecoder};

/// Bytes of a stream that are read at once: a second of audio at 8 kHz.
pub(super) const READ_BYTES: usize = 16 << 10;

/// One AudioSocket connection of a caller.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    decoder: FrameDecoder,
    /// The rest of a frame of which the kernel took a part.
    rest: Vec<u8>,
    /// Bytes of the UUID frame that are still to come.
    unread: usize,
}

/// A UUID frame: a header and the UUID.
const UUID_FRAME_BYTES: usize = 3 + 16;

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let decoder = FrameDecoder::new(FrameDecoder::MAX_FRAME_BYTES);
        Self { stream, decoder, rest: Vec::new(), unread: UUID_FRAME_BYTES }
    }

    /// Writes a frame at once; false where the server does not read, and the frame is dropped.
    pub(super) fn write(&mut self, frame: &[u8]) -> bool {
        if !self.rest.is_empty() {
            let sent = self.stream.write(&self.rest).unwrap_or(0);
            self.rest.drain(..sent);
            if !self.rest.is_empty() {
                return false;
            }
        }
        match self.stream.write(frame) {
            Ok(sent) => {
                self.rest.extend_from_slice(&frame[sent..]);
                true
            }
            // Where the connection is broken, that is read, too.
            Err(_) => false,
        }
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// Where the connection is over.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        rate: SampleRate,
        watch: &Stopwatch,
        mut take: impl FnMut(Event<'_>),
    ) -> io::Result<()> {
        loop {
            let Some((length, arrived)) = self.read_some(buffer)? else { return Ok(()) };
            let now = watch.now();
            let at = arrived.map_or(now, |wall| watch.of_wall(wall, now));
            let mut bytes = &buffer[..length];
            while !bytes.is_empty() {
                let taken = self.decoder.feed(bytes);
                bytes = &bytes[taken..];
                self.decode(rate, at, &mut take)?;
            }
            // A stream that gave less than there was room for is empty (epoll(7)).
            if length < buffer.len() {
                return Ok(());
            }
        }
    }

    /// Reads the UUID that a stream begins with, if it is there. What is behind it stays for
    /// [`Self::read`].
    ///
    /// # Errors
    /// Where the connection is over, or begins with something else.
    pub(super) fn read_uuid(&mut self) -> io::Result<Option<Uuid>> {
        // Not a byte more than the frame has.
        let mut frame = [0; UUID_FRAME_BYTES];
        let Some((length, _)) = self.read_some(&mut frame[..self.unread])? else {
            return Ok(None);
        };
        self.unread -= length;
        let taken = self.decoder.feed(&frame[..length]);
        debug_assert_eq!(taken, length, "a decoder takes a whole frame");
        match self.decoder.next() {
            Ok(None) => Ok(None),
            Ok(Some(AudioSocketFrame::Uuid(uuid))) => Ok(Some(uuid)),
            Ok(Some(_)) => Err(io::Error::other("the stream begins with no UUID")),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Reads once; `None` where nothing is there.
    fn read_some(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Option<Duration>)>> {
        match udp::read_stream(self.stream.as_fd(), buffer) {
            Ok((0, _)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands on the frames that are whole.
    fn decode(
        &mut self,
        rate: SampleRate,
        at: Duration,
        take: &mut impl FnMut(Event<'_>),
    ) -> io::Result<()> {
        loop {
            match self.decoder.next() {
                Ok(None) => return Ok(()),
                Ok(Some(AudioSocketFrame::Audio { rate: actual, payload })) if actual == rate => {
                    take(Event::Answer(Answer { header: None, payload, at }));
                }
                // So begins a server that does not know the call's rate yet.
                Ok(Some(AudioSocketFrame::Audio { payload, .. }))
                    if payload.iter().all(|byte| *byte == 0) => {}
                Ok(Some(AudioSocketFrame::Hangup)) => {
                    return Err(io::Error::other("the server hung up"));
                }
                // The bare loop sends it back.
                Ok(Some(AudioSocketFrame::Uuid(_))) => {}
                Err(error) if error.is_fatal() => return Err(io::Error::other(error)),
                Ok(Some(_)) | Err(_) => take(Event::Foreign),
            }
        }
    }
}

/// Writes the frame of a caller's audio.
pub(super) fn encode(rate: SampleRate, payload: &[u8], frame: &mut Vec<u8>) {
    let length = u16::try_from(payload.len()).expect("20 ms have at most 7680 bytes");
    frame.clear();
    frame.push(Kind::Audio(rate).byte());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
}
