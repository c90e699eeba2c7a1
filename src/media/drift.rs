use std::time::Duration;

/// The least time over which the lowest transit is looked for, in seconds.
const WINDOW: f64 = 2.0;

/// The least packets of a window: of fewer the lowest may be far above the envelope. In a pause of
/// the sender windows grow instead.
const WINDOW_PACKETS: u32 = 50;

/// Points that the envelope is laid under.
const POINTS: usize = 32;

/// The most windows that are thinned into one point: the estimate rests on the last 17 minutes at
/// most, so that it follows a clock whose temperature changes.
const MAX_WINDOWS_PER_POINT: u32 = 16;

/// Fewer points than that have no slope of their own.
const LEAST_POINTS: usize = 5;

/// Windows in a row that must be off the envelope by the same for a step of the path's delay.
const STEP_WINDOWS: usize = 3;

/// Windows in a row that are off the envelope, by whatever: then it is wrong.
const LOST_WINDOWS: u32 = 15;

/// A first line that any point is further above than this, in seconds, is two with a step between.
const CROOKED: f64 = 0.01;

/// The least step that is told from noise, in seconds.
const LEAST_STEP: f64 = 0.003;

/// What a path's least delay may wander by itself, in seconds.
const WANDER: f64 = 0.001;

/// Crystals differ by about that much (one standard deviation) before anything is known.
const UNKNOWN: Slope = Slope { value: 0.0, error: 100e-6 };

/// How far another stream of the same sender may differ: it may have another clock.
const RESTART_ERROR: f64 = TOLD_ERROR;

/// How far the same clock may have changed behind a step of the path.
const STEP_ERROR: f64 = 1e-6;

/// The error at which a slope is told.
const TOLD_ERROR: f64 = 20e-6;

/// How fast the sender's clock runs against ours, and how far its timeline has come away from ours.
///
/// A packet's transit, its arrival by our clock less its time by the sender's, is the difference of
/// the clocks plus a delay that jitter only ever makes longer. So the clock is the lower envelope of
/// the transits: the line below all of them that is nearest to them on the whole (Moon, Skelly,
/// Towsley, "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999),
/// which is that edge of their lower convex hull that spans the mean of their times (Zhang, Liu, Xia,
/// "Clock synchronization algorithms for network measurements", INFOCOM 2002). Only the lowest
/// transit of each window of 2 s is kept; when 32 are full they are thinned to one of 4, 8, 16 and at
/// last 32 s, behind which the oldest are forgotten.
///
/// A change of the path's delay by 3 ms or more, or by four times the windows' mean height above the
/// line where that is more, is told from drift once three windows have shown the same: a new line
/// begins, and what was learnt of the clock is kept. What is smaller cannot be told from drift: a
/// step of 2 ms is worth up to 7 ppm for some minutes. Neither can a delay that grows steadily from
/// the stream's first packet on.
///
/// A packet costs a comparison, a window at most a walk over 32 points. Nothing is allocated.
#[derive(Clone, Debug)]
pub struct DriftEstimator {
    /// That of the envelope.
    slope: Slope,
    /// The window at work; `None` before the first packet.
    window: Option<Window>,
    latest: f64,
    /// Apart from what every packet needs.
    envelope: Box<Envelope>,
}

/// The windows that are over.
#[derive(Clone, Debug)]
struct Envelope {
    /// What is known of the clock without the points.
    prior: Slope,
    /// What is known with them.
    slope: Slope,
    points: [Point; POINTS],
    len: usize,
    /// Where the envelope meets the stream's first arrival.
    floor: f64,
    /// Mean height of the windows above the envelope.
    height: f64,
    /// The lowest of the windows that make the next point, and how many are in it.
    group: Option<Point>,
    grouped: u32,
    windows_per_point: u32,
    /// The latest windows that are off the envelope.
    off: [Point; STEP_WINDOWS],
    off_len: usize,
    /// Windows in a row that are off the envelope.
    off_in_a_row: u32,
    /// When the first packet arrived.
    start: f64,
    /// The envelope at the start.
    reference: f64,
    /// `reference` is final.
    settled: bool,
}

/// A packet: its arrival and its transit, in seconds.
#[derive(Clone, Copy, Default, Debug)]
struct Point {
    at: f64,
    transit: f64,
}

/// Change of the transit with time, and its standard error.
#[derive(Clone, Copy, Debug)]
struct Slope {
    value: f64,
    error: f64,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    end: f64,
    packets: u32,
    lowest: Point,
    /// Of `lowest`, above a line of the slope that was known as it came.
    level: f64,
}

impl Default for DriftEstimator {
    fn default() -> Self {
        Self::new()
    }
}

impl DriftEstimator {
    /// An estimator that has seen no packet.
    #[must_use]
    pub fn new() -> Self {
        let envelope = Box::new(Envelope::new(UNKNOWN));
        Self { slope: UNKNOWN, window: None, latest: 0.0, envelope }
    }

    /// Takes a packet: when it arrived, since the call's start by our clock, and its time by the
    /// sender's, since its first packet, by timestamp. Packets may come in any order of their
    /// timestamps; an arrival before the latest counts as that.
    #[inline]
    pub fn push(&mut self, arrival: Duration, media: Duration) {
        let at = arrival.as_secs_f64().max(self.latest);
        let point = Point { at, transit: at - media.as_secs_f64() };
        self.latest = at;
        let level = point.level(self.slope.value);
        match &mut self.window {
            Some(window) if at < window.end || window.packets < WINDOW_PACKETS => {
                window.packets += 1;
                if level < window.level {
                    window.level = level;
                    window.lowest = point;
                }
            }
            _ => self.open_window(point),
        }
    }

    /// How fast the sender's clock is, in parts per million: positive where it gains on ours. `None`
    /// until its standard error is 20 ppm, which takes a steady stream 20 s, one with 80 ms of jitter 30.
    #[must_use]
    pub fn ppm(&self) -> Option<f64> {
        (self.slope.error <= TOLD_ERROR).then_some(-self.slope.value * 1e6)
    }

    /// How far the sender's timeline is ahead of where it began relative to ours, in nanoseconds,
    /// without jitter: negative where it has fallen behind. A change of the path's delay counts, once
    /// it is told; in the first ten seconds the lower of two delays may count as the first. 0 before
    /// the first window of a stream.
    #[must_use]
    pub fn offset_ns(&self) -> i64 {
        let Envelope { len, floor, start, reference, .. } = *self.envelope;
        if len == 0 {
            return 0;
        }
        let now = floor + self.slope.value * (self.latest - start);
        ((reference - now) * 1e9) as i64
    }

    /// The next packet is the first of a new timeline: a new stream, or a leap of the timestamps.
    /// The offset is 0 again. The speed of the clock stays as a guess of ± 20 ppm, which gives way to
    /// what the new stream shows.
    pub fn restart(&mut self) {
        *self.envelope = Envelope::new(self.envelope.kept(RESTART_ERROR));
        self.slope = self.envelope.slope;
        self.window = None;
    }

    #[cold]
    fn open_window(&mut self, first: Point) {
        match self.window {
            Some(window) => self.envelope.take_window(window.lowest),
            None => self.envelope.start = first.at,
        }
        self.slope = self.envelope.slope;
        self.window = Some(Window {
            end: first.at + WINDOW,
            packets: 1,
            lowest: first,
            level: first.level(self.slope.value),
        });
    }
}

impl Envelope {
    /// One without points, of a clock of which so much is known.
    const fn new(prior: Slope) -> Self {
        Self {
            prior,
            slope: prior,
            points: [Point { at: 0.0, transit: 0.0 }; POINTS],
            len: 0,
            floor: 0.0,
            height: 0.0,
            group: None,
            grouped: 0,
            windows_per_point: 1,
            off: [Point { at: 0.0, transit: 0.0 }; STEP_WINDOWS],
            off_len: 0,
            off_in_a_row: 0,
            start: 0.0,
            reference: 0.0,
            settled: false,
        }
    }

    fn take_window(&mut self, lowest: Point) {
        let above = self.above(lowest);
        let noise = LEAST_STEP.max(4.0 * self.height);
        if self.len >= LEAST_POINTS && above.abs() > noise {
            let first = self.off[..self.off_len].first();
            // Of windows that disagree the latest counts.
            if first.is_some_and(|&first| (self.above(first) - above).abs() > noise) {
                self.off_len = 0;
            }
            self.off[self.off_len] = lowest;
            self.off_len += 1;
            self.off_in_a_row += 1;
            if self.off_len == STEP_WINDOWS || self.off_in_a_row >= LOST_WINDOWS {
                self.step();
            }
            return;
        }
        self.off_in_a_row = 0;
        self.off_len = 0;
        let group = self
            .group
            .filter(|group| group.level(self.slope.value) <= lowest.level(self.slope.value));
        self.group = Some(group.unwrap_or(lowest));
        self.grouped += 1;
        if self.grouped >= self.windows_per_point {
            self.take_point(self.group.unwrap_or(lowest));
            self.group = None;
            self.grouped = 0;
        }
    }

    /// A new line begins, with the windows that are off the old one.
    fn step(&mut self) {
        self.prior = self.kept(STEP_ERROR);
        self.settled = true;
        self.windows_per_point = 1;
        self.group = None;
        self.grouped = 0;
        self.len = self.off_len;
        self.points[..self.len].copy_from_slice(&self.off[..self.len]);
        self.off_len = 0;
        self.off_in_a_row = 0;
        self.fit();
    }

    /// What is known of the clock where its error may have become `least`.
    fn kept(&self, least: f64) -> Slope {
        if self.slope.error > TOLD_ERROR {
            return self.prior;
        }
        Slope { error: self.slope.error.max(least), ..self.slope }
    }

    fn take_point(&mut self, point: Point) {
        if self.len == POINTS {
            self.settled = true;
            self.make_room();
        }
        self.points[self.len] = point;
        self.len += 1;
        self.fit();
    }

    /// Thins the points to the lower one of each pair, or forgets the oldest.
    fn make_room(&mut self) {
        if self.windows_per_point == MAX_WINDOWS_PER_POINT {
            self.points.copy_within(1.., 0);
            self.len -= 1;
            return;
        }
        for n in 0..POINTS / 2 {
            let (a, b) = (self.points[2 * n], self.points[2 * n + 1]);
            let slope = self.slope.value;
            self.points[n] = if b.level(slope) < a.level(slope) { b } else { a };
        }
        self.len = POINTS / 2;
        self.windows_per_point *= 2;
    }

    /// Lays the line under the points.
    fn fit(&mut self) {
        let own = own_slope(&self.points[..self.len]);
        let young = self.windows_per_point == 1 && self.len <= 2 * LEAST_POINTS;
        let own = match own {
            Some((_, highest)) if young && highest > CROOKED => {
                self.points.copy_within(self.len - STEP_WINDOWS..self.len, 0);
                self.len = STEP_WINDOWS;
                self.settled = true;
                None
            }
            own => own.map(|(slope, _)| slope),
        };
        self.slope = own.map_or(self.prior, |own| own.joined_with(self.prior));
        let points = &self.points[..self.len];
        let levels = || points.iter().map(|point| point.level(self.slope.value));
        let lowest = levels().fold(f64::INFINITY, f64::min);
        self.height = levels().sum::<f64>() / points.len() as f64 - lowest;
        self.floor = lowest + self.slope.value * self.start;
        if !self.settled {
            self.reference = self.floor;
        }
    }

    /// How far a point is above the envelope.
    fn above(&self, point: Point) -> f64 {
        point.transit - (self.floor + self.slope.value * (point.at - self.start))
    }
}

impl Point {
    /// Where a line of that slope through the point meets the call's start.
    fn level(self, slope: f64) -> f64 {
        self.transit - slope * self.at
    }
}

impl Slope {
    /// The mean of both by their certainty; a prior that is a guess and was wrong is left out.
    fn joined_with(self, prior: Self) -> Self {
        let apart = (self.value - prior.value).abs();
        if prior.error >= TOLD_ERROR && apart > 4.0 * (self.error + prior.error) {
            return self;
        }
        let (a, b) = (self.error.powi(-2), prior.error.powi(-2));
        Self { value: (self.value * a + prior.value * b) / (a + b), error: (a + b).sqrt().recip() }
    }
}

/// The slope of the lower envelope of `points`, whose times ascend, and how far the highest of them
/// is above it.
fn own_slope(points: &[Point]) -> Option<(Slope, f64)> {
    let (first, last) = (points.first()?, points.last()?);
    let span = last.at - first.at;
    if points.len() < LEAST_POINTS || span <= 0.0 {
        return None;
    }
    let mean_of =
        |value: fn(&Point) -> f64| points.iter().map(value).sum::<f64>() / points.len() as f64;
    let mean = Point { at: mean_of(|point| point.at), transit: mean_of(|point| point.transit) };
    let (from, to) = edge_below(points, mean.at);
    if to.at <= from.at {
        return None;
    }
    let value = (to.transit - from.transit) / (to.at - from.at);
    // The envelope of one-sided noise is better than a mean of it, so this errs on the safe side.
    let height = mean.level(value) - from.level(value);
    let error = (height + WANDER) / (points.len() as f64).sqrt() / span;
    let highest = points.iter().map(|point| point.level(value)).fold(f64::NEG_INFINITY, f64::max);
    Some((Slope { value, error }, highest - from.level(value)))
}

/// The edge of the lower convex hull that spans the moment `at`.
fn edge_below(points: &[Point], at: f64) -> (Point, Point) {
    let mut hull = [Point::default(); POINTS];
    let mut len = 0;
    for &point in points {
        while len >= 2 && !turns_up(hull[len - 2], hull[len - 1], point) {
            len -= 1;
        }
        hull[len] = point;
        len += 1;
    }
    let to = hull[..len].iter().position(|point| point.at > at).unwrap_or(len - 1);
    (hull[to.saturating_sub(1)], hull[to])
}

/// Whether `b` is below the line from `a` to `c`.
fn turns_up(a: Point, b: Point, c: Point) -> bool {
    (b.transit - a.transit) * (c.at - a.at) < (c.transit - a.transit) * (b.at - a.at)
}

#[cfg(test)]
mod tests;
