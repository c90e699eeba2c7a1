//! Packets that are missing, and those that know about them.

use super::*;

fn energy(samples: impl IntoIterator<Item = i16>) -> f64 {
    samples.into_iter().map(|sample| f64::from(sample).powi(2)).sum()
}

/// Signal-to-noise ratio in dB.
fn snr(signal: &[i16], with_noise: &[i16]) -> f64 {
    let noise: f64 =
        signal.iter().zip(with_noise).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    10.0 * (energy(signal.iter().copied()) / noise).log10()
}

#[test]
fn redundancy_repairs_a_loss_better_than_concealment_does() {
    // Not frames of 10 ms: libopus 1.6.1 copies them too coarsely to gain anything.
    for (rate, units) in [(WIDE, 8), (WIDE, 16), (WIDE, 24), (SampleRate::HZ_8000, 8)] {
        let signal: Vec<i16> = if rate == WIDE { fixture() } else { voice(rate) };
        let packets = packets(rate, &LOSSY, &signal, units);
        let complete = decode_all(&mut Decoder::new(rate).unwrap(), &packets);
        let mut recovering = Decoder::new(rate).unwrap();
        let mut concealing = Decoder::new(rate).unwrap();
        let (mut recovered, mut concealed) = (Vec::new(), Vec::new());
        let (mut samples, mut times) = (Vec::new(), [0, 0]);
        for (at, packet) in packets.iter().enumerate() {
            let gap = units * unit_samples(rate);
            if at % 6 == 5 && at + 1 < packets.len() {
                let (mut a, mut b) = (vec![1; gap], vec![1; gap]);
                let recovery = recovering.recover(&packets[at + 1], &mut a);
                concealing.conceal(&mut b);
                times[usize::from(recovery == Recovery::Redundancy)] += 1;
                recovered.extend_from_slice(&a);
                concealed.extend_from_slice(&b);
            } else {
                for (decoder, all) in
                    [(&mut recovering, &mut recovered), (&mut concealing, &mut concealed)]
                {
                    decoder.decode(packet, &mut samples).unwrap();
                    all.extend_from_slice(&samples);
                }
            }
        }
        assert!(times[1] > 4 * times[0], "{rate} {units}: {times:?}");
        let (with, without) = (snr(&complete, &recovered), snr(&complete, &concealed));
        // Measured: 8.6 dB and more with libopus 1.3.1, 2.2 dB and more with 1.6.1.
        assert!(with > without + 1.0, "{rate} {units}: {with:.1} dB, {without:.1} dB");
    }
}

/// Calls `check` with each packet but the first of some streams, and a way to get two decoders
/// that have heard all before the packet before it.
fn after_losses(mut check: impl FnMut(&[u8], &mut Decoder, &mut Decoder)) {
    let streams = [(LOSSY, 8), (LOSSY, 16), (LOSSY, 24), (Settings::default(), 8)];
    for (settings, units) in streams {
        let packets = packets(WIDE, &settings, &fixture()[..32_000], units);
        let mut samples = Vec::new();
        let mut pair = [Decoder::new(WIDE).unwrap(), Decoder::new(WIDE).unwrap()];
        for gap in (2..packets.len() - 1).step_by(3) {
            for decoder in &mut pair {
                decoder.reset();
                for packet in &packets[..gap] {
                    decoder.decode(packet, &mut samples).unwrap();
                }
            }
            let [one, other] = &mut pair;
            check(&packets[gap + 1], one, other);
        }
    }
}

#[test]
fn recovery_is_told_exactly_where_libopus_finds_redundancy() {
    let mut times = [0, 0];
    after_losses(|following, one, other| {
        let mut ours = vec![0; Decoder::packet_samples(following, WIDE).unwrap()];
        let (mut with, mut without) = (ours.clone(), ours.clone());
        // libopus says by its samples alone what it did.
        one.inner.decode(Some(following), &mut with[..], true).unwrap();
        other.conceal(&mut without);
        let found = with != without;
        times[usize::from(found)] += 1;
        assert_eq!(has_redundancy(following), found, "{:02x?}", &following[..2]);
        // A second loss in a row, from the same state as libopus was in.
        let told = other.recover(following, &mut ours);
        assert_eq!(told == Recovery::Redundancy, found);
    });
    assert!(times[0] > 30 && times[1] > 30, "{times:?}");
}

#[test]
fn redundancy_is_of_no_use_after_a_packet_without_a_silk_layer() {
    let settings = Settings { bitrate_bps: 120_000, ..Settings::default() };
    let celt = packets(WIDE, &settings, &fixture()[..16_000], 8);
    let silk = packets(WIDE, &LOSSY, &fixture()[..16_000], 8);
    let silk = silk.iter().find(|packet| has_redundancy(packet)).unwrap();
    let mut decoders = [(); 3].map(|()| Decoder::new(WIDE).unwrap());
    let mut gaps = [[0; 320]; 3];
    for decoder in &mut decoders {
        decode_all(decoder, &celt);
    }
    decoders[0].inner.decode(Some(&silk[..]), &mut gaps[0][..], true).unwrap();
    decoders[1].conceal(&mut gaps[1]);
    assert_eq!(gaps[0], gaps[1]);
    assert_eq!(decoders[2].recover(silk, &mut gaps[2]), Recovery::Concealment);
    assert_eq!(gaps[1], gaps[2]);
    // With a reset, that packet is forgotten.
    decoders[2].reset();
    assert_eq!(decoders[2].recover(silk, &mut gaps[2]), Recovery::Redundancy);
}

#[test]
fn redundancy_fills_the_end_of_a_longer_gap_of_any_length() {
    let mut recovered = 0;
    after_losses(|following, one, other| {
        let frame = Decoder::packet_samples(following, WIDE).unwrap();
        for before in [0, 1, 320, 333] {
            let (mut gap, mut parts) = (vec![0; before + frame], vec![0; before + frame]);
            if one.recover(following, &mut gap) == Recovery::Redundancy {
                other.conceal(&mut parts[..before]);
                assert_eq!(other.recover(following, &mut parts[before..]), Recovery::Redundancy);
                assert_eq!(gap, parts);
                recovered += 1;
            }
        }
        let mut short = vec![0; frame - 1];
        assert_eq!(one.recover(following, &mut short), Recovery::Concealment);
    });
    assert!(recovered > 100, "{recovered}");
}

/// One packet that holds the frames of `packets`, with their lengths and some padding
/// (RFC 6716 section 3.2.5).
fn merged(packets: &[Vec<u8>], padding: usize) -> Vec<u8> {
    let count = u8::try_from(packets.len()).unwrap();
    let mut merged = vec![packets[0][0] | 3, 0xc0 | count];
    merged.extend(vec![255; padding / 254]);
    merged.push(u8::try_from(padding % 254).unwrap());
    for frame in &packets[..packets.len() - 1] {
        let length = frame.len() - 1;
        let low = if length < 252 { length } else { 252 + length % 4 };
        merged.push(u8::try_from(low).unwrap());
        merged.extend((length >= 252).then(|| u8::try_from((length - low) / 4).unwrap()));
    }
    merged.extend(packets.iter().flat_map(|frame| &frame[1..]));
    merged.resize(merged.len() + padding, 0);
    merged
}

#[test]
fn packets_of_many_frames_are_taken_apart() {
    let settings = Settings { bitrate_bps: 120_000, ..LOSSY };
    for settings in [LOSSY, settings] {
        let packets = packets(WIDE, &settings, &fixture()[..32_000], 8);
        for padding in [0, 1, 253, 254, 600] {
            let groups: Vec<_> = packets
                .chunks_exact(6)
                .filter(|group| group.iter().all(|packet| packet[0] == group[0][0]))
                .collect();
            assert!(groups.len() > 10);
            for group in groups {
                let merged = merged(group, padding);
                assert_eq!(Decoder::packet_samples(&merged, WIDE), Ok(6 * 320));
                assert_eq!(has_redundancy(&merged), has_redundancy(&group[0]));
                let mut decoder = Decoder::new(WIDE).unwrap();
                let at_once = decode_all(&mut decoder, &[merged]);
                decoder.reset();
                assert_eq!(at_once, decode_all(&mut decoder, group));
            }
        }
    }
}

#[test]
fn a_loss_goes_on_as_the_sound_before_it_and_fades() {
    for rate in RATES {
        let packets = packets(rate, &Settings::default(), &voice(rate), 8);
        let mut decoder = Decoder::new(rate).unwrap();
        // The middle of a syllable.
        let before = decode_all(&mut decoder, &packets[..58]);
        let frame = 8 * unit_samples(rate);
        let loud = energy(before[before.len() - frame..].iter().copied());
        let mut energies = Vec::new();
        for _ in 0..50 {
            let mut samples = vec![1; frame];
            decoder.conceal(&mut samples);
            energies.push(energy(samples) / loud);
        }
        assert!(energies[0] > 0.1 && energies[0] < 2.0, "{rate}: {energies:?}");
        // Comfort noise is left, 30 dB below.
        assert!(energies[10..].iter().all(|&energy| energy < 0.001), "{rate}: {energies:?}");
    }
}

#[test]
fn a_loss_of_any_length_is_filled() {
    for rate in RATES {
        let unit = unit_samples(rate);
        let packets = packets(rate, &Settings::default(), &voice(rate)[..32 * unit], 8);
        for length in (0..=3 * unit).chain([48 * unit, 48 * unit + 1, 500 * unit - 1]) {
            let mut decoder = Decoder::new(rate).unwrap();
            let mut samples = vec![1; length];
            decoder.conceal(&mut samples);
            assert!(samples.iter().all(|&sample| sample == 0), "{rate} {length}");
            // The beginning of a loss of whole units.
            let mut whole = vec![1; length.next_multiple_of(unit)];
            decode_all(&mut decoder, &packets);
            decoder.conceal(&mut samples);
            decoder.reset();
            decode_all(&mut decoder, &packets);
            decoder.conceal(&mut whole);
            assert_eq!(samples, whole[..length]);
        }
    }
}
