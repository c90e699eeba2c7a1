//! The network emulator does what its settings say: what the engine's tests rest on.

#[path = "common/emulator.rs"]
mod emulator;

use std::time::Duration;

use emulator::{Delivery, Emulator, Jitter, Loss, Path, Statistics};

const PACKETS: u64 = 100_000;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sends one packet every 20 ms, then lets all arrive.
fn run(path: Path, seed: u64) -> (Vec<Delivery>, Statistics) {
    let mut emulator = Emulator::new(path, seed);
    for index in 0..PACKETS {
        emulator.send(ms(20 * index), &index.to_be_bytes());
    }
    let deliveries = emulator.receive_all();
    (deliveries, emulator.statistics())
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[test]
fn an_ideal_path_delivers_everything_at_once() {
    let (deliveries, statistics) = run(Path::IDEAL, 1);
    for (delivery, index) in deliveries.iter().zip(0_u64..) {
        assert_eq!((delivery.index, delivery.at), (index, ms(20 * index)));
        assert_eq!(delivery.bytes, index.to_be_bytes());
    }
    let expected = Statistics { sent: PACKETS, delivered: PACKETS, ..Statistics::default() };
    assert_eq!(statistics, expected);
}

#[test]
fn the_same_seed_gives_the_same_network_and_another_seed_another() {
    let path = Path {
        loss: Loss::GilbertElliott { p: 0.02, r: 0.3, h: 0.1, k: 0.99 },
        delay: ms(50),
        jitter: Jitter::Normal { sigma: ms(15) },
        overtaking: true,
        reorder: 0.01,
        reorder_by: ms(45),
        duplicate: 0.02,
    };
    assert_eq!(run(path, 7), run(path, 7));
    assert_ne!(run(path, 7), run(path, 8));
}

#[test]
fn deliveries_are_ordered_and_the_statistics_add_up() {
    let path = Path {
        loss: Loss::Bernoulli { p: 0.1 },
        delay: ms(30),
        jitter: Jitter::Uniform { max: ms(60) },
        overtaking: true,
        duplicate: 0.05,
        ..Path::IDEAL
    };
    let (deliveries, statistics) = run(path, 3);
    assert!(deliveries.is_sorted_by_key(|delivery| delivery.at));
    let first_copies: Vec<u64> =
        deliveries.iter().filter(|delivery| !delivery.duplicate).map(|it| it.index).collect();
    let mut highest = None;
    let mut reordered = 0;
    for &index in &first_copies {
        reordered += u64::from(Some(index) < highest);
        highest = highest.max(Some(index));
    }
    assert!(reordered > 1000, "{reordered}");
    assert_eq!(statistics.reordered, reordered);
    assert_eq!(statistics.delivered, deliveries.len() as u64);
    assert_eq!(statistics.sent - statistics.lost, first_copies.len() as u64);
    assert_eq!(statistics.delivered - statistics.duplicated, first_copies.len() as u64);
}

#[test]
fn independent_loss_has_its_rate() {
    for p in [0.01, 0.2] {
        let (_, statistics) =
            run(Path { loss: Loss::Bernoulli { p }, ..Path::IDEAL }, (p * 100.0) as u64);
        // Five standard deviations of a binomial share: one seed in 1.7 million is further off.
        let tolerance = 5.0 * (p * (1.0 - p) / PACKETS as f64).sqrt();
        assert!(tolerance < p / 5.0, "a tolerance below the effect");
        let rate = share(statistics.lost, statistics.sent);
        assert!((rate - p).abs() < tolerance, "{rate} for {p}");
    }
}

#[test]
fn burst_loss_has_its_rate_and_its_mean_burst_length() {
    let (p, r) = (0.01, 0.25);
    let loss = Loss::GilbertElliott { p, r, h: 0.0, k: 1.0 };
    let (_, statistics) = run(Path { loss, ..Path::IDEAL }, 11);
    // A burst is a stay in the bad state: geometric with mean 1/r = 4 and variance (1 − r)/r² = 12.
    // About 100,000 · p·r/(p + r) = 960 bursts: five standard deviations are 5·√(12/960) = 0.56.
    let burst = share(statistics.lost, statistics.loss_bursts);
    assert!((burst - 4.0).abs() < 0.56, "{burst}");
    // The variance of the share of a two-state chain is π(1 − π)/n · (2 − p − r)/(p + r): with
    // π = 0.03846 and n = 100,000 the standard deviation is 0.00158.
    let rate = share(statistics.lost, statistics.sent);
    assert!((loss.rate() - 0.038_46).abs() < 1e-5);
    assert!((rate - loss.rate()).abs() < 5.0 * 0.001_58, "{rate}");
}

#[test]
fn both_states_of_the_channel_may_lose_and_pass() {
    let loss = Loss::GilbertElliott { p: 0.05, r: 0.2, h: 0.5, k: 0.9 };
    let (_, statistics) = run(Path { loss, ..Path::IDEAL }, 13);
    // 0.8 of the time good, of which 0.1 is lost; 0.2 bad, of which 0.5 is lost: 0.18. Variance of
    // the share: independent 0.18·0.82/n, and (0.5 − 0.1)² times that of the state, 0.16/n·7.
    let deviation = ((0.18 * 0.82 + 0.16 * 0.16 * 7.0) / PACKETS as f64).sqrt();
    assert!((loss.rate() - 0.18).abs() < 1e-12);
    let rate = share(statistics.lost, statistics.sent);
    assert!((rate - 0.18).abs() < 5.0 * deviation, "{rate}");
}

#[test]
fn jitter_has_its_spread_and_nothing_arrives_before_it_was_sent() {
    let delays = |jitter| {
        let path = Path { delay: ms(100), jitter, overtaking: true, ..Path::IDEAL };
        let (deliveries, _) = run(path, 17);
        deliveries.iter().map(|it| (it.at - it.sent_at).as_secs_f64() * 1e3).collect::<Vec<_>>()
    };
    let moments = |values: &[f64]| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
    };
    // Uniform over 60 ms: mean 130, deviation 60/√12 = 17.3. The error of the mean over 100,000 is
    // 17.3/√100,000 = 0.055, that of the deviation is smaller: five of them are 0.28.
    let uniform = delays(Jitter::Uniform { max: ms(60) });
    let (mean, deviation) = moments(&uniform);
    assert!((mean - 130.0).abs() < 0.28 && (deviation - 17.32).abs() < 0.28, "{mean} {deviation}");
    assert!(uniform.iter().all(|&delay| (100.0..160.0).contains(&delay)));
    // Normal with 20 ms: the error of the mean is 0.063, of the deviation 20/√200,000 = 0.045.
    let (mean, deviation) = moments(&delays(Jitter::Normal { sigma: ms(20) }));
    assert!((mean - 100.0).abs() < 0.32 && (deviation - 20.0).abs() < 0.23, "{mean} {deviation}");

    let path = Path { jitter: Jitter::Normal { sigma: ms(20) }, ..Path::IDEAL };
    assert!(run(path, 17).0.iter().all(|delivery| delivery.at >= delivery.sent_at));
}

#[test]
fn without_overtaking_jitter_keeps_the_order() {
    let path = Path { jitter: Jitter::Uniform { max: ms(200) }, ..Path::IDEAL };
    let (deliveries, statistics) = run(path, 19);
    assert!(deliveries.is_sorted_by_key(|delivery| delivery.index));
    assert_eq!(statistics.reordered, 0);
    let (_, statistics) = run(Path { overtaking: true, ..path }, 19);
    assert!(statistics.reordered > PACKETS / 2);
}

#[test]
fn a_packet_held_back_is_overtaken() {
    let path = Path { reorder: 0.03, reorder_by: ms(50), ..Path::IDEAL };
    let (deliveries, statistics) = run(path, 23);
    let held: Vec<u64> =
        deliveries.iter().filter(|it| it.at > it.sent_at).map(|it| it.index).collect();
    // Held back for 50 ms, a packet is overtaken unless the two behind it are held back as well.
    let overtaken = held
        .iter()
        .filter(|&&index| {
            held.binary_search(&(index + 1)).is_err() || held.binary_search(&(index + 2)).is_err()
        })
        .filter(|&&index| index + 1 < PACKETS)
        .count();
    assert_eq!(statistics.reordered, overtaken as u64);
    // Five standard deviations of a binomial share of 0.03.
    assert!(
        (share(held.len() as u64, PACKETS) - 0.03).abs() < 5.0 * (0.03 * 0.97 / 1e5_f64).sqrt()
    );
}

#[test]
fn one_impairment_does_not_change_another() {
    let path = Path {
        jitter: Jitter::Uniform { max: ms(60) },
        overtaking: true,
        duplicate: 0.1,
        ..Path::IDEAL
    };
    let (all, _) = run(path, 29);
    let (some, statistics) = run(Path { loss: Loss::Bernoulli { p: 0.3 }, ..path }, 29);
    assert!(statistics.lost > 0);
    let kept: Vec<u64> = some.iter().map(|delivery| delivery.index).collect();
    let surviving: std::collections::HashSet<u64> = kept.iter().copied().collect();
    let expected: Vec<Delivery> =
        all.into_iter().filter(|delivery| surviving.contains(&delivery.index)).collect();
    assert_eq!(some, expected);
}

#[test]
fn packets_arrive_only_when_their_time_has_come() {
    let mut emulator = Emulator::new(Path { delay: ms(40), ..Path::IDEAL }, 31);
    assert_eq!(emulator.next_arrival(), None);
    emulator.send(ms(10), b"a");
    assert_eq!(emulator.next_arrival(), Some(ms(50)));
    assert_eq!(emulator.receive(ms(49)), None);
    assert_eq!(emulator.receive(ms(50)).map(|delivery| delivery.bytes), Some(b"a".to_vec()));
    emulator.set_path(Path { loss: Loss::Bernoulli { p: 1.0 }, ..Path::IDEAL });
    emulator.send(ms(60), b"b");
    assert_eq!((emulator.next_arrival(), emulator.statistics().lost), (None, 1));
}
