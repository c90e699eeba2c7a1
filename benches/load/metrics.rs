//! What the server tells of itself, in the text format of Prometheus.

/// One answer of `/metrics`.
#[derive(Debug)]
pub(crate) struct Scrape(pub(crate) String);

/// How late frames were sent: a histogram.
#[derive(PartialEq, Debug)]
pub(crate) struct Lateness {
    /// Upper bounds, in seconds, and how many frames were no later.
    buckets: Vec<(f64, f64)>,
}

impl Scrape {
    /// A figure, by its name with labels.
    ///
    /// # Panics
    /// Where there is none.
    pub(crate) fn value(&self, name: &str) -> f64 {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no metric {name} in\n{}", self.0));
        value.parse().unwrap_or_else(|_| panic!("{name}: no number: {value}"))
    }

    /// The sum of a family's figures: what begins with `name` and its labels.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let values = self.0.lines().filter_map(|line| {
            let (_, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?;
            value.parse::<f64>().ok()
        });
        values.sum()
    }

    /// Datagrams that found the receive buffer full.
    pub(crate) fn overruns(&self) -> u64 {
        self.sum("sidetone_receive_overruns_total") as u64
    }

    pub(crate) fn lateness(&self) -> Lateness {
        let buckets = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix("sidetone_tick_lateness_seconds_bucket{le=\"")?;
            let (bound, count) = rest.split_once("\"} ")?;
            // Rust reads `+Inf`, too.
            Some((bound.parse().ok()?, count.parse().ok()?))
        });
        Lateness { buckets: buckets.collect() }
    }
}

impl Lateness {
    /// That of the frames since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let pairs = self.buckets.iter().zip(&earlier.buckets);
        Self { buckets: pairs.map(|((bound, now), (_, then))| (*bound, now - then)).collect() }
    }

    /// The least bound that a share of the frames does not pass, in milliseconds.
    ///
    /// # Panics
    /// Where there are no frames.
    pub(crate) fn bound_ms(&self, share: f64) -> f64 {
        let (_, all) = *self.buckets.last().expect("a histogram has buckets");
        assert!(all > 0.0, "no frame was sent");
        let bucket = self.buckets.iter().find(|(_, count)| *count >= share * all);
        bucket.expect("the last bucket has all frames").0 * 1e3
    }
}
