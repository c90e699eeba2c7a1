/// A gain that moves to a new value over one frame, so that nothing clicks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Fader {
    gain: f32,
    target: f32,
}

impl Fader {
    /// A fader that is all the way up.
    pub(super) const UP: Self = Self { gain: 1.0, target: 1.0 };

    /// Moves to `gain_db` over the next frame. It never amplifies: what is above 0 dB, or no number,
    /// is 0 dB.
    pub(super) fn move_to(&mut self, gain_db: f32) {
        // `min` answers the number where the other one is none.
        self.target = 10_f32.powf(gain_db.min(0.0) / 20.0);
    }

    /// Puts the next frame behind the fader.
    pub(super) fn apply(&mut self, frame: &mut [i16]) {
        let from = std::mem::replace(&mut self.gain, self.target);
        let to = self.target;
        if from == 1.0 && to == 1.0 {
            return;
        }
        let step = (to - from) / frame.len() as f32;
        for (n, sample) in (1_u16..).zip(frame) {
            let gain = from + step * f32::from(n);
            *sample = (f32::from(*sample) * gain).round() as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: i16 = 20_000;

    fn frame_behind(fader: &mut Fader) -> [i16; 160] {
        let mut frame = [LEVEL; 160];
        fader.apply(&mut frame);
        frame
    }

    #[test]
    fn one_that_is_up_changes_nothing() {
        let mut fader = Fader::UP;
        let all: Vec<i16> = (i16::MIN..=i16::MAX).step_by(7).collect();
        let mut frame = all.clone();
        fader.apply(&mut frame);
        assert_eq!(frame, all);
    }

    #[test]
    fn it_moves_over_one_frame_by_even_steps_and_stays() {
        let mut fader = Fader::UP;
        fader.move_to(-20.0);
        let down = frame_behind(&mut fader);
        // 0.9 of the level in 160 steps are 112.5 each, and half a sample of rounding at either end.
        let mut before = LEVEL;
        for sample in down {
            assert!((111..=114).contains(&(before - sample)), "from {before} to {sample}");
            before = sample;
        }
        assert_eq!(down[159], 2_000);
        assert_eq!(frame_behind(&mut fader), [2_000; 160]);
        fader.move_to(0.0);
        let up = frame_behind(&mut fader);
        assert!(up.is_sorted() && up[0] < 2_114 && up[159] == LEVEL);
        assert_eq!(fader, Fader::UP);
    }

    #[test]
    fn it_only_lowers() {
        for (gain_db, expected) in [(6.0, LEVEL), (f32::NAN, LEVEL), (f32::NEG_INFINITY, 0)] {
            let mut fader = Fader::UP;
            fader.move_to(gain_db);
            frame_behind(&mut fader);
            assert_eq!(frame_behind(&mut fader), [expected; 160], "{gain_db} dB");
        }
    }
}
