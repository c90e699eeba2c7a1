//! Opus: libopus by its own functions, and through our codec.

use std::hint::black_box;
use std::ptr::NonNull;

use audiopus::ffi;
use sidetone::audio::SampleRate;
use sidetone::dsp::opus::{Decoder, Encoder, Settings};

use crate::resamplers::frame_samples;
use crate::timing::{Contender, Step, touch};

const RATE: SampleRate = SampleRate::HZ_16000;

/// Room for a packet, as `opus.h` recommends it.
const PACKET_BYTES: usize = 4000;

/// The items of a list, over and over.
struct Loop<T> {
    items: Vec<T>,
    at: usize,
}

impl<T: Copy> Loop<Vec<T>> {
    fn next(&mut self) -> &[T] {
        self.at = (self.at + 1) % self.items.len();
        &self.items[self.at]
    }

    /// Brings the item that is next into the nearest cache.
    fn touch(&mut self) {
        let next = (self.at + 1) % self.items.len();
        touch(&mut self.items[next]);
    }
}

/// All frames of `speech`, beginning with another one for each call.
fn frames(speech: &[i16], call: usize) -> Loop<Vec<i16>> {
    let items: Vec<_> = speech.chunks_exact(frame_samples(RATE)).map(<[i16]>::to_vec).collect();
    Loop { at: 7 * call % items.len(), items }
}

fn packets(speech: &[i16], call: usize) -> Loop<Vec<u8>> {
    let frames = frames(speech, call);
    let mut encoder = Encoder::new(RATE, &Settings::default()).expect("the default is valid");
    let encode = |frame: &Vec<i16>| {
        let mut packet = Vec::new();
        let _ = encoder.encode(frame, &mut packet).expect("a frame of 20 ms");
        packet
    };
    Loop { at: frames.at, items: frames.items.iter().map(encode).collect() }
}

/// libopus' encoder with the default settings of ours.
struct RawEncoder(NonNull<ffi::OpusEncoder>);

impl RawEncoder {
    fn new() -> Self {
        let Settings { bitrate_bps, complexity, fec, dtx, expected_loss_percent } =
            Settings::default();
        let mut error = 0;
        // SAFETY: values, and a place for the error.
        let state = unsafe {
            let rate = RATE.hz().cast_signed();
            ffi::opus_encoder_create(rate, 1, ffi::OPUS_APPLICATION_VOIP, &raw mut error)
        };
        let state = NonNull::new(state).expect("libopus makes an encoder");
        for (request, value) in [
            (ffi::OPUS_SET_SIGNAL_REQUEST, ffi::OPUS_SIGNAL_VOICE),
            (ffi::OPUS_SET_BITRATE_REQUEST, bitrate_bps.cast_signed()),
            (ffi::OPUS_SET_COMPLEXITY_REQUEST, i32::from(complexity)),
            (ffi::OPUS_SET_INBAND_FEC_REQUEST, i32::from(fec)),
            (ffi::OPUS_SET_DTX_REQUEST, i32::from(dtx)),
            (ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, i32::from(expected_loss_percent)),
        ] {
            // SAFETY: each of these requests takes one `opus_int32`.
            let error = unsafe { ffi::opus_encoder_ctl(state.as_ptr(), request, value) };
            assert_eq!(error, 0, "{request} {value}");
        }
        Self(state)
    }

    fn encode(&mut self, frame: &[i16], packet: &mut [u8]) -> usize {
        let samples = i32::try_from(frame.len()).expect("a frame is short");
        let room = i32::try_from(packet.len()).expect("a packet is short");
        // SAFETY: the state is alive, and both buffers are as long as is said.
        let bytes = unsafe {
            let packet = packet.as_mut_ptr();
            ffi::opus_encode(self.0.as_ptr(), frame.as_ptr(), samples, packet, room)
        };
        usize::try_from(bytes).expect("libopus encodes")
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: the state is alive, and nobody else has it.
        unsafe { ffi::opus_encoder_destroy(self.0.as_ptr()) }
    }
}

struct RawDecoder(NonNull<ffi::OpusDecoder>);

impl RawDecoder {
    fn new() -> Self {
        let mut error = 0;
        // SAFETY: values, and a place for the error.
        let state = unsafe { ffi::opus_decoder_create(RATE.hz().cast_signed(), 1, &raw mut error) };
        Self(NonNull::new(state).expect("libopus makes a decoder"))
    }

    fn decode(&mut self, packet: &[u8], samples: &mut [i16]) -> usize {
        let bytes = i32::try_from(packet.len()).expect("a packet is short");
        let room = i32::try_from(samples.len()).expect("a frame is short");
        // SAFETY: the state is alive, and both buffers are as long as is said.
        let count = unsafe {
            let samples = samples.as_mut_ptr();
            ffi::opus_decode(self.0.as_ptr(), packet.as_ptr(), bytes, samples, room, 0)
        };
        usize::try_from(count).expect("libopus decodes")
    }
}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: the state is alive, and nobody else has it.
        unsafe { ffi::opus_decoder_destroy(self.0.as_ptr()) }
    }
}

/// Encoders at 16 kHz, ours first.
pub(crate) fn encoders(speech: &'static [i16]) -> [Contender; 2] {
    [
        Contender::new("sidetone", |call| {
            let mut frames = frames(speech, call);
            let mut encoder = Encoder::new(RATE, &Settings::default()).expect("it is valid");
            let mut packet = Vec::with_capacity(PACKET_BYTES);
            move |step| match step {
                Step::Touch => frames.touch(),
                Step::Work => {
                    let _ = encoder.encode(frames.next(), &mut packet).expect("a frame of 20 ms");
                    black_box(&packet);
                }
            }
        }),
        Contender::new("libopus", |call| {
            let mut frames = frames(speech, call);
            let (mut encoder, mut packet) = (RawEncoder::new(), vec![0; PACKET_BYTES]);
            move |step| match step {
                Step::Touch => frames.touch(),
                Step::Work => {
                    let bytes = encoder.encode(frames.next(), &mut packet);
                    black_box(&packet[..bytes]);
                }
            }
        }),
    ]
}

/// Decoders to 16 kHz, ours first.
pub(crate) fn decoders(speech: &'static [i16]) -> [Contender; 2] {
    [
        Contender::new("sidetone", |call| {
            let mut packets = packets(speech, call);
            let mut decoder = Decoder::new(RATE).expect("a rate of Opus");
            let mut samples = Vec::new();
            move |step| match step {
                Step::Touch => packets.touch(),
                Step::Work => {
                    decoder.decode(packets.next(), &mut samples).expect("it was encoded");
                    black_box(&samples);
                }
            }
        }),
        Contender::new("libopus", |call| {
            let mut packets = packets(speech, call);
            let (mut decoder, mut samples) = (RawDecoder::new(), vec![0; frame_samples(RATE)]);
            move |step| match step {
                Step::Touch => packets.touch(),
                Step::Work => {
                    let count = decoder.decode(packets.next(), &mut samples);
                    black_box(&samples[..count]);
                }
            }
        }),
    ]
}
