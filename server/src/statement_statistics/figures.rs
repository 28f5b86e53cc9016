//! The figures of a statement, and how a run is added to them.

/// What one run of a statement cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// How long it was planned, in milliseconds, if it was and that counts.
    pub(crate) planning_ms: Option<f64>,
    /// How long it ran, in milliseconds.
    pub(crate) execution_ms: f64,
    /// How many rows it gave or changed.
    pub(crate) rows: u64,
    /// How many records it wrote.
    pub(crate) records: u64,
    /// How many bytes these have.
    pub(crate) bytes: u64,
}

/// Times, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Times {
    /// How many.
    pub(crate) calls: u64,
    /// All together.
    pub(crate) total: f64,
    /// The least.
    pub(crate) min: f64,
    /// The greatest.
    pub(crate) max: f64,
    /// The mean.
    pub(crate) mean: f64,
    /// The sum of the squares of the distances from the mean.
    pub(crate) squares: f64,
}

impl Times {
    /// Adds a time. Mean and squares grow as Welford showed ("Note on a method for calculating
    /// corrected sums of squares and products", 1962), which stays exact over many.
    fn add(&mut self, time: f64) {
        self.calls += 1;
        self.total += time;
        if self.calls == 1 {
            (self.min, self.max, self.mean) = (time, time, time);
            return;
        }
        let before = self.mean;
        self.mean += (time - before) / self.calls as f64;
        self.squares += (time - before) * (time - self.mean);
        self.min = self.min.min(time);
        self.max = self.max.max(time);
    }

    /// The standard deviation of all of them.
    pub(crate) fn deviation(&self) -> f64 {
        if self.calls > 1 { (self.squares / self.calls as f64).sqrt() } else { 0.0 }
    }
}

/// What a statement cost so far.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    /// Its planning, as far as that was counted.
    pub(crate) planning: Times,
    /// Its runs.
    pub(crate) execution: Times,
    /// Rows that it gave or changed.
    pub(crate) rows: u64,
    /// Records that it wrote.
    pub(crate) records: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// How much it is used of late.
    pub(crate) usage: f64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            planning: Times::default(),
            execution: Times::default(),
            rows: 0,
            records: 0,
            bytes: 0,
            usage: 1.0,
        }
    }
}

impl Figures {
    /// Adds a run.
    pub(super) fn add(&mut self, sample: &Sample) {
        if let Some(time) = sample.planning_ms {
            self.planning.add(time);
        }
        self.execution.add(sample.execution_ms);
        self.rows += sample.rows;
        self.records += sample.records;
        self.bytes += sample.bytes;
        self.usage += 1.0;
    }

    /// Lets its usage count less, and tells it.
    pub(super) fn decay(&mut self, factor: f64) -> f64 {
        self.usage *= factor;
        self.usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_those_of_all_times() {
        let mut times = Times::default();
        [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().for_each(|time| times.add(time));
        assert_eq!((times.calls, times.total, times.min, times.max), (8, 40.0, 2.0, 9.0));
        assert!((times.mean - 5.0).abs() < 1e-12 && (times.deviation() - 2.0).abs() < 1e-12);
        let mut one = Times::default();
        one.add(3.0);
        assert_eq!((one.mean, one.deviation()), (3.0, 0.0));
    }
}
