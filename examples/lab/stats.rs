//! Means over seeds, and their differences from published means.

use statrs::distribution::{ContinuousCDF, StudentsT};

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
    /// The difference divided by the standard error that it has if our seeds spread as the published
    /// ones do, if their spread is known. If both are runs of one experiment, its variance over many
    /// comparisons is 1, also where we have a single run.
    pub standardised: Option<f64>,
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
        let as_published = of_one_seed.and_then(|sd| both(sd / (here.n as f64).sqrt()));
        let standardised = as_published.filter(|&error| error > 0.0).map(|error| difference / error);
        let far = spread.map(|spread| difference.abs() > (3.0 * spread).max(1.0));
        Self { difference, combined, standardised, far }
    }

    /// The difference in combined standard errors.
    pub fn errors(&self) -> Option<f64> {
        self.combined.filter(|&combined| combined > 0.0).map(|combined| self.difference / combined)
    }
}

/// A mean with a standard error and the degrees of freedom of that error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean over seeds.
    pub mean: f64,
    /// Standard error of the mean.
    pub error: f64,
    /// Degrees of freedom of the variance behind `error`.
    pub freedom: f64,
}

impl Estimate {
    /// The mean with the standard error of its own runs. `None` for fewer than two runs.
    pub fn of(mean: Mean) -> Option<Self> {
        let error = mean.error.filter(|_| mean.n > 1)?;
        Some(Self { mean: mean.mean, error, freedom: (mean.n - 1) as f64 })
    }

    /// The mean with the variance between seeds pooled over its runs and `other` runs of the same
    /// experiment, because the variance of three runs is inaccurate, and one run has none. `None`
    /// if neither has a variance.
    pub fn pooled(mean: Mean, other: Option<Mean>) -> Option<Self> {
        let (mut squares, mut freedom) = (0.0, 0.0);
        for Mean { n, error, .. } in [Some(mean), other].into_iter().flatten() {
            if let Some(error) = error.filter(|_| n > 1) {
                squares += error * error * (n * (n - 1)) as f64;
                freedom += (n - 1) as f64;
            }
        }
        let error = (squares / freedom / mean.n as f64).sqrt();
        (freedom > 0.0).then_some(Self { mean: mean.mean, error, freedom })
    }
}

/// Two-sided p-value of Welch's t-test of equal means, with the degrees of freedom of Welch and
/// Satterthwaite. `None` if the standard errors are 0, because all runs have equal losses.
pub fn welch(a: Estimate, b: Estimate) -> Option<f64> {
    let [va, vb] = [a, b].map(|estimate| estimate.error.powi(2));
    let sum = va + vb;
    let freedom = sum * sum / (va * va / a.freedom + vb * vb / b.freedom);
    let t = (a.mean - b.mean).abs() / sum.sqrt();
    StudentsT::new(0.0, 1.0, freedom).ok().map(|law| 2.0 * law.sf(t))
}
