//! What must hold for any payload that a codec is given, one function per fuzz target. The ordinary
//! tests run the same functions over `seeds/`.
//!
//! An input is a stream: its first byte chooses the decoder's rate where there is a choice; then
//! come payloads, each behind one byte. The byte's lower seven bits are its length, doubled; where
//! the highest bit is set, the payload before it was lost.

// Every fuzz target uses one of them.
#![allow(dead_code)]

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::dsp::codec::{CodecError, Decoder};
use sidetone::dsp::opus;

/// G.711 µ-law.
pub(crate) fn ulaw_decode(input: &[u8]) {
    check(MediaFormat::Ulaw, input);
}

/// G.711 A-law.
pub(crate) fn alaw_decode(input: &[u8]) {
    check(MediaFormat::Alaw, input);
}

/// 16-bit samples, big-endian.
pub(crate) fn l16_decode(input: &[u8]) {
    check(MediaFormat::Slin(SampleRate::HZ_16000), input);
}

/// G.722.
pub(crate) fn g722_decode(input: &[u8]) {
    check(MediaFormat::G722, input);
}

/// Opus.
pub(crate) fn opus_decode(input: &[u8]) {
    check(MediaFormat::Opus, input);
}

/// A decoder answers each payload with samples, as many as its format says, or with an error and
/// none; and after a reset it answers the same once more.
fn check(format: MediaFormat, input: &[u8]) {
    let [choice, stream @ ..] = input else { return };
    let rate = match format {
        MediaFormat::Opus => opus::RATES[usize::from(*choice) % opus::RATES.len()],
        other => other.sample_rate(),
    };
    let mut decoder = Decoder::new(format, rate).expect("the codec has the rate");
    let first = decode(&mut decoder, rate, stream);
    decoder.reset();
    assert_eq!(decode(&mut decoder, rate, stream), first);
}

fn decode(decoder: &mut Decoder, rate: SampleRate, mut stream: &[u8]) -> Vec<i16> {
    let (mut samples, mut all) = (Vec::new(), Vec::new());
    while let [head, rest @ ..] = stream {
        let length = (2 * usize::from(head & 0x7f)).min(rest.len());
        let (payload, after) = rest.split_at(length);
        stream = after;
        if head & 0x80 != 0 {
            // Of any length, also of such as no packet has.
            let mut missing = vec![0; 7 * length + 1];
            decoder.conceal((!payload.is_empty()).then_some(payload), &mut missing);
            all.extend_from_slice(&missing);
        }
        let result = decoder.decode(payload, &mut samples);
        assert_eq!(result.is_err(), samples.is_empty(), "{result:?}");
        match result {
            Ok(()) => assert_eq!(samples.len(), promised(decoder.format(), rate, payload)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        if let Err(CodecError::PayloadSize { bytes, .. }) = result {
            assert_eq!(bytes, payload.len());
        }
        all.extend_from_slice(&samples);
    }
    all
}

/// Samples of a payload that is valid.
fn promised(format: MediaFormat, rate: SampleRate, payload: &[u8]) -> usize {
    match format {
        MediaFormat::Ulaw | MediaFormat::Alaw => payload.len(),
        MediaFormat::G722 => 2 * payload.len(),
        MediaFormat::Slin(_) => payload.len() / 2,
        MediaFormat::Opus => {
            opus::Decoder::packet_samples(payload, rate).expect("its length is valid as well")
        }
    }
}
