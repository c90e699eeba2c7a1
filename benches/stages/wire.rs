use std::hint::black_box;

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::wire::audiosocket::encode_audio;
use sidetone::wire::{AudioSocketFrame, FrameDecoder, RtpPacket};

use crate::driver::{MAX_FRAME_BYTES, Sender};
use crate::stages::Stages;

/// Bytes behind a frame's beginning at which the stream is cut: two pieces for each frame, none of
/// which begins or ends with it.
const CUTS: [usize; 2] = [100, 250];

/// Bytes → values: a datagram of 160 bytes of µ-law; a frame of 320 bytes out of a stream.
pub(crate) fn parse(stages: &mut Stages) {
    stages.case("parse", "rtp", || {
        let datagram = Sender::new(MediaFormat::Ulaw).packet();
        move || {
            let packet = RtpPacket::parse(black_box(&datagram)).unwrap();
            (*packet.header(), packet.payload().len())
        }
    });
    stages.case("parse", "audiosocket", || {
        let mut frame = Vec::new();
        encode_audio(SampleRate::HZ_8000, &[0x1234; 160], &mut frame);
        let stream = frame.repeat(2);
        let pieces = [&stream[CUTS[0]..CUTS[1]], &stream[CUTS[1]..frame.len() + CUTS[0]]];
        let pieces = pieces.map(<[u8]>::to_vec);
        let mut decoder = FrameDecoder::new(MAX_FRAME_BYTES);
        assert_eq!(decoder.feed(&frame[..CUTS[0]]), CUTS[0]);
        move || {
            let mut bytes = 0;
            for piece in &pieces {
                assert_eq!(decoder.feed(black_box(piece)), piece.len());
                while let Some(frame) = decoder.next().unwrap() {
                    let AudioSocketFrame::Audio { payload, .. } = black_box(frame) else {
                        panic!("{frame:?}");
                    };
                    bytes += payload.len();
                }
            }
            assert_eq!(bytes, 320);
        }
    });
}
