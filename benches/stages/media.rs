use std::hint::black_box;

use sidetone::audio::{MediaFormat, Ptime, SampleRate};
use sidetone::dsp::codec::{Decoder, Encoder};
use sidetone::dsp::opus;
use sidetone::media::{MediaSettings, Packetizer, Playout};

use crate::call;
use crate::driver::SEED;
use crate::driver::speech::frame_samples;
use crate::stages::Stages;

const RATE: SampleRate = SampleRate::HZ_8000;

/// Payload → samples.
pub(crate) fn decode(stages: &mut Stages) {
    stages.case("decode", "ulaw", || {
        let payload = call::ulaw_payloads().swap_remove(0);
        let mut decoder = Decoder::new(MediaFormat::Ulaw, RATE).unwrap();
        let mut samples = Vec::new();
        move || {
            decoder.decode(black_box(&payload), &mut samples).unwrap();
            black_box(&samples).len()
        }
    });
}

/// A frame into the queue, and one out of it: two wait, as behind the echo.
pub(crate) fn playout(stages: &mut Stages) {
    stages.case("playout", "push_pull", || {
        let max_queue = MediaSettings::default().playout_max_queue;
        let mut playout = Playout::new(RATE, Ptime::MS_20, max_queue);
        let (pushed, mut pulled) = ([0x1234; 160], [0; 160]);
        playout.push(&pushed);
        playout.push(&pushed);
        move || {
            assert_eq!(playout.push(black_box(&pushed)), pushed.len());
            let answer = playout.pull(black_box(&mut pulled));
            assert_eq!(answer.queued_samples, pulled.len());
        }
    });
}

/// Samples → datagram: encoding, and the header.
pub(crate) fn packetize(stages: &mut Stages) {
    stages.case("packetize", "ulaw", || {
        let frame: Vec<i16> = call::speech()[..frame_samples(RATE)].to_vec();
        let mut encoder =
            Encoder::new(MediaFormat::Ulaw, RATE, &opus::Settings::default()).unwrap();
        let mut packetizer = Packetizer::new(MediaFormat::Ulaw, SEED);
        let (mut payload, mut datagram) = (Vec::new(), Vec::new());
        move || {
            let _ = encoder.encode(black_box(&frame), &mut payload).unwrap();
            datagram.clear();
            datagram.extend_from_slice(&packetizer.header());
            datagram.extend_from_slice(&payload);
            packetizer.sent(160);
            black_box(&datagram).len()
        }
    });
}
