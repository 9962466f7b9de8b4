//! Means over seeds, and their differences from published means.

/// A mean over runs that differ in their seed only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Number of runs; 0 where it is not known.
    pub n: usize,
    /// Mean of the runs.
    pub mean: f64,
    /// Standard error of the mean: the sd with divisor n − 1, divided by √n. A single run has none.
    pub error: Option<f64>,
}

impl Mean {
    /// Mean of these numbers; `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let error = (n > 1).then(|| (squares / ((n - 1) * n) as f64).sqrt());
        Some(Self { n, mean, error })
    }
}

/// Comparison of a mean with a published one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Our mean minus the published one.
    pub difference: f64,
    /// √(se² + se²), if both are known.
    pub combined: Option<f64>,
    /// Whether the difference is larger than the spread of the runs explains, if the spread is
    /// known: see [`Comparison::new`].
    pub far: Option<bool>,
}

impl Comparison {
    /// The difference is `far` if it is larger than 3 combined standard errors and larger than 1
    /// nat. A single run has no standard error; the sd of the published seeds, se·√n, is used in
    /// its place.
    pub fn new(here: Mean, published: Mean) -> Self {
        let difference = here.mean - published.mean;
        let both = |error: f64| published.error.map(|other| error.hypot(other));
        let combined = here.error.and_then(both);
        let of_one_seed = published.error.map(|error| error * (published.n as f64).sqrt());
        let spread = combined.or_else(|| of_one_seed.and_then(both));
        let far = spread.map(|spread| difference.abs() > (3.0 * spread).max(1.0));
        Self { difference, combined, far }
    }

    /// The difference in combined standard errors.
    pub fn errors(&self) -> Option<f64> {
        self.combined.filter(|&combined| combined > 0.0).map(|combined| self.difference / combined)
    }
}
