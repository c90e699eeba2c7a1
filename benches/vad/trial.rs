//! Every detector on some seconds, with what can be said of it without a clock.

use crate::common::document;
use crate::contenders::Contender;
use crate::corpus::{NARROW, Track, read};
use crate::edges::Edges;
use crate::noise::Noise;
use crate::over_the_bot::Interruptions;
use crate::scoring::Tally;
use crate::{Material, Surroundings, THRESHOLD, cost};

/// The fixture, with two seconds of silence before each time.
fn material() -> Material {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/speech-8k.wav");
    let speech = read(path.as_ref(), NARROW);
    let silence = vec![0; 2 * NARROW.hz() as usize];
    let samples = [&silence[..], &speech].concat().repeat(2);
    Material::new(vec![Track::new("fixture".to_owned(), NARROW, samples)])
}

pub(crate) fn run() {
    let material = material();
    let track = &material.tracks[0];
    let spoken = track.labels.iter().filter(|label| **label).count() as f64;
    let share = spoken / track.labels.len() as f64;
    assert!((0.55..0.75).contains(&share), "{share} of the track is speech");
    assert_eq!(track.pieces().len(), 6, "three clauses, twice: {:?}", track.pieces());
    for noise in &material.noises {
        let power = noise.iter().map(|it| it * it).sum::<f64>() / noise.len() as f64;
        assert!((power - 1.0).abs() < 1e-9);
    }
    for &contender in Contender::ALL {
        let mut tally = Tally::default();
        let heard = material.heard(track, Surroundings::Noisy(Noise::White, 20));
        tally.add(track, &contender.scores(&heard), THRESHOLD);
        let (name, area) = (contender.name(), tally.area());
        assert!(area > 0.85, "{name}: an area of {area}");
        // What is on the curve at the threshold is what was counted.
        let counted = (tally.false_positives(), tally.recall());
        let near =
            |point: &(f64, f64)| (point.0 - counted.0).abs() + (point.1 - counted.1).abs() < 0.05;
        assert!(contender.is_yes_or_no() || tally.curve().iter().any(near), "{name}");
    }
    let edges = Edges::all(&material);
    assert_eq!((edges[0].missed, edges[0].invented), (0, 0), "{}", edges[0].line());
    for it in Interruptions::all(&material, &[None]) {
        let is_hard = it.scene.bot_db > 0 && it.scene.echo_db == Some(18);
        assert!(it.pieces >= 2 && (is_hard || it.missed == 0), "{}", it.line());
        assert_eq!(it.invented, 0, "{}", it.line());
    }
    assert!(cost::levels(&material).iter().all(|it| it.frame_ns > 0.0));
    let document = include_str!("../../docs/vad.md");
    assert!(document::replaced(document, "").is_some(), "docs/vad.md lacks its markers");
}
