//! Opus: libopus by its own functions, and through our codec.

use std::hint::black_box;
use std::ptr::NonNull;

use audiopus::ffi;
use sidetone::audio::SampleRate;
use sidetone::dsp::opus::{Decoder, Encoder, Settings};

use crate::resamplers::frame_samples;
use crate::timing::{Contender, Place, Source};

const RATE: SampleRate = SampleRate::HZ_16000;

/// Room for a packet, as `opus.h` recommends it.
const PACKET_BYTES: usize = 4000;

/// Frames that all calls share, over and over.
struct Loop<T: 'static> {
    frames: &'static [Vec<T>],
    at: usize,
}

impl<T> Loop<T> {
    /// Beginning with another one for each call.
    fn new(frames: &'static [Vec<T>], call: usize) -> Self {
        Self { frames, at: 7 * call % frames.len() }
    }

    fn following(&self) -> usize {
        if self.at + 1 == self.frames.len() { 0 } else { self.at + 1 }
    }
}

impl<T: Copy> Source for Loop<T> {
    type Item = T;

    fn next(&mut self) -> &[T] {
        self.at = self.following();
        &self.frames[self.at]
    }

    fn touch(&mut self) {
        for &value in &self.frames[self.following()] {
            black_box(value);
        }
    }
}

fn frames(speech: &[i16]) -> &'static [Vec<i16>] {
    let frames: Vec<_> = speech.chunks_exact(frame_samples(RATE)).map(<[i16]>::to_vec).collect();
    frames.leak()
}

fn packets(speech: &[i16]) -> &'static [Vec<u8>] {
    let mut encoder = Encoder::new(RATE, &Settings::default()).expect("the default is valid");
    let encode = |frame: &[i16]| {
        let mut packet = Vec::new();
        let _ = encoder.encode(frame, &mut packet).expect("a frame of 20 ms");
        packet
    };
    let packets: Vec<_> = speech.chunks_exact(frame_samples(RATE)).map(encode).collect();
    packets.leak()
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
    let frames = frames(speech);
    let input = |call| Loop::new(frames, call);
    let settings = Settings::default();
    // What a frame becomes on average.
    let frame = settings.bitrate_bps as usize / 8 / 50;
    let place = Place { frame, room: PACKET_BYTES };
    [
        Contender::new(
            "sidetone",
            || Encoder::new(RATE, &settings).expect("the default is valid"),
            input,
            place,
            |encoder, frame, packet| {
                let _ = encoder.encode(frame, packet).expect("a frame of 20 ms");
                black_box(&packet);
            },
        ),
        Contender::new("libopus", RawEncoder::new, input, place, |encoder, frame, packet| {
            let bytes = encoder.encode(frame, packet);
            black_box(&packet[..bytes]);
        }),
    ]
}

/// Decoders to 16 kHz, ours first.
pub(crate) fn decoders(speech: &'static [i16]) -> [Contender; 2] {
    let packets = packets(speech);
    let input = |call| Loop::new(packets, call);
    let place = Place::exact(frame_samples(RATE));
    [
        Contender::new(
            "sidetone",
            || Decoder::new(RATE).expect("a rate of Opus"),
            input,
            place,
            |decoder, packet, samples| {
                decoder.decode(packet, samples).expect("it was encoded");
                black_box(&samples);
            },
        ),
        Contender::new("libopus", RawDecoder::new, input, place, |decoder, packet, samples| {
            let count = decoder.decode(packet, samples);
            black_box(&samples[..count]);
        }),
    ]
}
