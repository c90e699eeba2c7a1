//! G.711 and L16: ours, the crates that do it, and a plain copy.

use audio_codec::{Decoder, Encoder, pcma, pcmu};
use sidetone::dsp::{g711, l16};
use xlaw::{PcmXLawDecoder, PcmXLawEncoder};

use crate::timing::{Contender, Place};

/// 20 ms at 8 kHz.
const SAMPLES: usize = 160;

/// Frames of `speech`, one for each call.
fn frame(speech: &[i16], call: usize) -> Vec<i16> {
    let frames = speech.len() / SAMPLES;
    speech[call % frames * SAMPLES..][..SAMPLES].to_vec()
}

/// A function from one slice to another of [`SAMPLES`].
fn slices<A, B, F>(name: &str, source: impl Fn(usize) -> Vec<A>, convert: F) -> Contender
where
    A: Copy + 'static,
    B: Copy + Default + 'static,
    F: Fn(&[A], &mut [B]) + 'static,
{
    stateful(name, source, || (), move |(), a, b| convert(a, b))
}

/// The same with a state.
fn stateful<A, B, S, F>(
    name: &str,
    source: impl Fn(usize) -> Vec<A>,
    state: impl Fn() -> S,
    convert: F,
) -> Contender
where
    A: Copy + 'static,
    B: Copy + Default + 'static,
    S: 'static,
    F: Fn(&mut S, &[A], &mut [B]) + 'static,
{
    Contender::new(name, state, source, Place::exact(SAMPLES), move |state, a, b: &mut Vec<B>| {
        convert(state, a, b);
    })
}

/// A function from a slice to as many bytes as [`SAMPLES`] of 16 bits are.
fn to_bytes<A: Copy + 'static>(
    name: &str,
    source: impl Fn(usize) -> Vec<A>,
    convert: impl Fn(&[A], &mut [u8]) + 'static,
) -> Contender {
    let place = Place::exact(2 * SAMPLES);
    Contender::new(name, || (), source, place, move |(), a, b: &mut Vec<u8>| convert(a, b))
}

/// One sample after the other.
fn each<A: Copy, B>(source: &[A], target: &mut [B], convert: impl Fn(A) -> B) {
    for (to, &from) in target.iter_mut().zip(source) {
        *to = convert(from);
    }
}

/// Whether µ-law or A-law.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Law {
    Ulaw,
    Alaw,
}

impl Law {
    pub(crate) const BOTH: [Self; 2] = [Self::Ulaw, Self::Alaw];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ulaw => "µ-law",
            Self::Alaw => "A-law",
        }
    }
}

/// Encoders, ours first. The state of `xlaw` (a table of 16 KiB) and the tables of the others are
/// shared by all calls.
pub(crate) fn encoders(law: Law, speech: &'static [i16]) -> Vec<Contender> {
    let source = |call| frame(speech, call);
    match law {
        Law::Ulaw => {
            let xlaw: &PcmXLawEncoder = Box::leak(Box::new(PcmXLawEncoder::new_ulaw()));
            vec![
                slices("sidetone", source, |a, b| {
                    g711::ulaw_encode(a, b);
                }),
                slices("oxideav-g711", source, |a, b| {
                    each(a, b, oxideav_g711::mulaw::encode_sample);
                }),
                slices("xlaw", source, |a, b| each(a, b, |sample| xlaw.encode(sample))),
                stateful("audio-codec", source, pcmu::PcmuEncoder::new, |state, a, b| {
                    state.encode_into(a, b).expect("there is room");
                }),
                slices("ezk-g711", source, |a, b| each(a, b, ezk_g711::mulaw::encode)),
            ]
        }
        Law::Alaw => {
            let xlaw: &PcmXLawEncoder = Box::leak(Box::new(PcmXLawEncoder::new_alaw()));
            vec![
                slices("sidetone", source, |a, b| {
                    g711::alaw_encode(a, b);
                }),
                slices("oxideav-g711", source, |a, b| {
                    each(a, b, oxideav_g711::alaw::encode_sample);
                }),
                slices("xlaw", source, |a, b| each(a, b, |sample| xlaw.encode(sample))),
                stateful("audio-codec", source, pcma::PcmaEncoder::new, |state, a, b| {
                    state.encode_into(a, b).expect("there is room");
                }),
                slices("ezk-g711", source, |a, b| each(a, b, ezk_g711::alaw::encode)),
            ]
        }
    }
}

/// Decoders, ours first.
pub(crate) fn decoders(law: Law, speech: &'static [i16]) -> Vec<Contender> {
    let source = |call| {
        let (samples, mut codes) = (frame(speech, call), vec![0; SAMPLES]);
        match law {
            Law::Ulaw => g711::ulaw_encode(&samples, &mut codes),
            Law::Alaw => g711::alaw_encode(&samples, &mut codes),
        };
        codes
    };
    match law {
        Law::Ulaw => {
            let xlaw: &PcmXLawDecoder = Box::leak(Box::new(PcmXLawDecoder::new_ulaw()));
            vec![
                slices("sidetone", source, |a, b| {
                    g711::ulaw_decode(a, b);
                }),
                slices("oxideav-g711", source, |a, b| {
                    each(a, b, oxideav_g711::mulaw::decode_sample);
                }),
                slices("xlaw", source, |a, b| each(a, b, |code| xlaw.decode(code))),
                stateful("audio-codec", source, pcmu::PcmuDecoder::new, |state, a, b| {
                    state.decode_into(a, b).expect("there is room");
                }),
                slices("ezk-g711", source, |a, b| each(a, b, ezk_g711::mulaw::decode)),
            ]
        }
        Law::Alaw => {
            let xlaw: &PcmXLawDecoder = Box::leak(Box::new(PcmXLawDecoder::new_alaw()));
            vec![
                slices("sidetone", source, |a, b| {
                    g711::alaw_decode(a, b);
                }),
                slices("oxideav-g711", source, |a, b| {
                    each(a, b, oxideav_g711::alaw::decode_sample);
                }),
                slices("xlaw", source, |a, b| each(a, b, |code| xlaw.decode(code))),
                stateful("audio-codec", source, pcma::PcmaDecoder::new, |state, a, b| {
                    state.decode_into(a, b).expect("there is room");
                }),
                slices("ezk-g711", source, |a, b| each(a, b, ezk_g711::alaw::decode)),
            ]
        }
    }
}

/// L16 to samples and back, big-endian: the bytes of each sample change places.
pub(crate) fn swaps(speech: &'static [i16]) -> [Contender; 2] {
    let samples = |call| frame(speech, call);
    let bytes = |call| bytes(&frame(speech, call));
    let decode = |a: &[u8], b: &mut [i16]| {
        l16::decode_be(a, b);
    };
    [
        slices("L16 decode", bytes, decode),
        to_bytes("L16 encode", samples, |a, b| {
            l16::encode_be(a, b);
        }),
    ]
}

/// A plain copy of a frame of 16-bit samples, 320 bytes: the C library's `memcpy`.
pub(crate) fn copy(speech: &'static [i16]) -> Contender {
    to_bytes("memcpy", |call| bytes(&frame(speech, call)), |a, b| b.copy_from_slice(a))
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_be_bytes()).collect()
}
