//! Streaming statistics of gradient estimates: elementwise mean and variance, and the deviation of
//! the mean from the exact gradient.
//!
//! [`Estimates`] collects N estimates e of one gradient and computes a [`Summary`]. Let m be their
//! mean, S the trace of their covariance (divisor N − 1), and x the exact gradient:
//!
//! ```text
//! cosine       ⟨m, x⟩ / (‖m‖ ‖x‖)
//! relative sd  √S / ‖m‖
//! bias         ‖m − x‖
//! ```
//!
//! The mean m still contains noise, which contributes S/N to both E‖m‖² and E‖m − x‖². It makes the
//! cosine too small and the bias too large. The *corrected* statistics subtract this contribution:
//!
//! ```text
//! cosine       ⟨m, x⟩ / (√(‖m‖² − S/N) ‖x‖)
//! bias         √(‖m − x‖² − S/N)
//! ```
//!
//! Standard errors are computed with the jackknife over B = 16 groups of N/B estimates. A smooth
//! statistic c without group b is c_b ≈ c − ⟨∇c, m_b − m⟩ / (B − 1), where m_b is the mean of the
//! group. The variance of c is that of ⟨∇c, m⟩, Σ ⟨∇c, m_b − m⟩² / (B (B − 1)). Therefore
//!
//! ```text
//! se² = (B − 1)/B Σ_b (c_b − mean of the c_b)²
//! ```

use crate::error::{Error, Result};

/// Running elementwise mean and sum of squared deviations, with weights (West 1979).
///
/// ```
/// use hardgrad::stats::RunningMoments;
/// let mut moments = RunningMoments::new(2);
/// for value in [[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]] {
///     moments.add(1.0, &value);
/// }
/// assert_eq!(moments.mean(), [3.0, 5.0]);
/// assert_eq!(moments.squares(), [14.0, 0.0]); // (−2)² + (−1)² + 3²
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RunningMoments {
    weight: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl RunningMoments {
    /// Creates moments of no values, for vectors of this length.
    pub fn new(len: usize) -> Self {
        Self { weight: 0.0, mean: vec![0.0; len], squares: vec![0.0; len] }
    }

    /// Adds a value with a weight > 0. As long as a component has not changed, its sum of squared
    /// deviations is exactly 0.
    ///
    /// # Panics
    /// If the value has another length.
    #[track_caller]
    pub fn add(&mut self, weight: f64, value: &[f64]) {
        assert!(
            value.len() == self.mean.len(),
            "add: got {} numbers, expected {}",
            value.len(),
            self.mean.len()
        );
        self.weight += weight;
        let part = weight / self.weight;
        for ((mean, squares), &x) in self.mean.iter_mut().zip(&mut self.squares).zip(value) {
            let delta = x - *mean;
            *mean += part * delta;
            *squares += weight * delta * (x - *mean);
        }
    }

    /// Adds all values of `other` (Chan, Golub and LeVeque 1979).
    ///
    /// ```
    /// use hardgrad::stats::RunningMoments;
    /// let of = |values: &[f64]| {
    ///     let mut moments = RunningMoments::new(1);
    ///     values.iter().for_each(|&x| moments.add(1.0, &[x]));
    ///     moments
    /// };
    /// let mut merged = of(&[1.0, 2.0]);
    /// merged.merge(&of(&[6.0]));
    /// assert_eq!(merged, of(&[1.0, 2.0, 6.0]));
    /// ```
    ///
    /// # Panics
    /// If the vectors of `other` have another length.
    #[track_caller]
    pub fn merge(&mut self, other: &Self) {
        let (len, theirs) = (self.mean.len(), other.mean.len());
        assert!(theirs == len, "merge: got vectors of {theirs} numbers, expected {len}");
        if other.weight == 0.0 {
            return;
        }
        let weight = self.weight + other.weight;
        let part = other.weight / weight;
        let ours = self.mean.iter_mut().zip(&mut self.squares);
        for ((mean, squares), (&m, &s)) in ours.zip(other.mean.iter().zip(&other.squares)) {
            let delta = m - *mean;
            *mean += part * delta;
            *squares += s + self.weight * part * delta * delta;
        }
        self.weight = weight;
    }

    /// Sum of the weights. It is the number of values if each has weight 1.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Weighted mean; zeros if there are no values.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Weighted sums of squared deviations from the mean.
    pub fn squares(&self) -> &[f64] {
        &self.squares
    }

    /// Trace of the covariance, with divisor N − 1, if each value has weight 1. NaN for fewer than
    /// two values.
    fn covariance_trace(&self) -> f64 {
        let divisor = self.weight - 1.0;
        if divisor > 0.0 { self.squares.iter().sum::<f64>() / divisor } else { f64::NAN }
    }
}

/// ⟨a, b⟩
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Cosine of the angle between two vectors, ⟨a, b⟩ / (‖a‖ ‖b‖); NaN if one of them is 0.
///
/// ```
/// use hardgrad::stats::cosine;
/// assert_eq!(cosine(&[3.0, 4.0], &[0.0, 2.0]), 0.8);
/// assert!(cosine(&[3.0, 4.0], &[0.0, 0.0]).is_nan());
/// ```
///
/// # Panics
/// If the vectors differ in length.
#[track_caller]
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    assert!(a.len() == b.len(), "cosine: got {} and {} numbers, expected equal lengths", a.len(), b.len());
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

/// N estimates of one gradient, in sixteen groups. The [module](self) has the formulas.
///
/// ```
/// use hardgrad::stats::Estimates;
/// let mut estimates = Estimates::new(2, 32)?;
/// for i in 0..32 {
///     estimates.add(&[3.0, if i % 2 == 0 { 5.0 } else { 3.0 }]);
/// }
/// let found = estimates.summary(&[3.0, 0.0]); // the mean is (3, 4)
/// assert_eq!((found.cosine, found.bias_norm, found.mean_norm), (Some(0.6), 4.0, 5.0));
/// assert!((found.covariance_trace - 32.0 / 31.0).abs() < 1e-12);
/// assert!(found.cosine_se < Some(1e-12)); // every group has the same mean
/// assert!(Estimates::new(2, 40).is_err());
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Estimates {
    groups: Vec<RunningMoments>,
    added: usize,
    of_each: usize,
}

/// Statistics of [`Estimates`]. A statistic that does not exist is `None`: the direction of a zero
/// vector, a corrected norm whose square would be negative, and any statistic that is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// N, the number of estimates.
    pub draws: usize,
    /// Cosine between the mean and the exact gradient.
    pub cosine: Option<f64>,
    /// Standard error of the cosine.
    pub cosine_se: Option<f64>,
    /// Cosine corrected for the noise in the mean. It can exceed 1 by chance.
    pub cosine_corrected: Option<f64>,
    /// Relative standard deviation, ‖std‖₂ / ‖mean‖₂.
    pub relative_sd: Option<f64>,
    /// Standard error of the relative standard deviation.
    pub relative_sd_se: Option<f64>,
    /// Trace of the covariance of one estimate, ‖std‖₂².
    pub covariance_trace: f64,
    /// Norm of the mean, ‖mean‖₂.
    pub mean_norm: f64,
    /// Norm of the exact gradient, ‖exact‖₂.
    pub exact_norm: f64,
    /// Norm of the bias, ‖mean − exact‖₂.
    pub bias_norm: f64,
    /// Norm of the bias, corrected for the noise in the mean.
    pub bias_norm_corrected: Option<f64>,
}

impl Estimates {
    /// Number of groups B of the jackknife.
    pub const GROUPS: usize = 16;

    /// Creates an empty collection for `count` estimates of `len` numbers.
    ///
    /// # Errors
    /// If `count` is not a multiple of 16, or is below 32.
    pub fn new(len: usize, count: usize) -> Result<Self> {
        if count < 2 * Self::GROUPS || !count.is_multiple_of(Self::GROUPS) {
            let expected = "a multiple of 16 from 32 on, as the standard errors come from 16 equal groups";
            return Err(Error::argument("draws", count, expected));
        }
        let groups = vec![RunningMoments::new(len); Self::GROUPS];
        Ok(Self { groups, added: 0, of_each: count / Self::GROUPS })
    }

    /// Adds the next estimate.
    ///
    /// # Panics
    /// If it has another length, or `count` estimates have been added already.
    #[track_caller]
    pub fn add(&mut self, estimate: &[f64]) {
        let group = self.added / self.of_each;
        assert!(group < Self::GROUPS, "add: all {} estimates have been added already", self.added);
        self.groups[group].add(1.0, estimate);
        self.added += 1;
    }

    /// Computes the statistics with respect to the exact gradient.
    ///
    /// # Panics
    /// If the exact gradient has another length, or fewer estimates were added than
    /// [`new`](Self::new) was called for.
    #[track_caller]
    pub fn summary(&self, exact: &[f64]) -> Summary {
        let expected = self.of_each * Self::GROUPS;
        assert!(self.added == expected, "summary: got {} estimates, expected {expected}", self.added);
        let all = self.without(None);
        let (mean, trace) = (all.mean(), all.covariance_trace());
        let bias: Vec<f64> = mean.iter().zip(exact).map(|(m, e)| m - e).collect();
        let noise = trace / expected as f64;
        let exact_norm = dot(exact, exact).sqrt();
        let of_mean = |m: &RunningMoments| cosine(m.mean(), exact);
        let relative_sd = |m: &RunningMoments| m.covariance_trace().sqrt() / dot(m.mean(), m.mean()).sqrt();
        // If the mean consists of noise only, the difference under the root can be 0 or negative.
        // The quotient is then not finite.
        let corrected = dot(mean, exact) / ((dot(mean, mean) - noise).sqrt() * exact_norm);
        Summary {
            draws: expected,
            cosine: finite(of_mean(&all)),
            cosine_se: self.jackknife(of_mean),
            cosine_corrected: finite(corrected),
            relative_sd: finite(relative_sd(&all)),
            relative_sd_se: self.jackknife(relative_sd),
            covariance_trace: trace,
            mean_norm: dot(mean, mean).sqrt(),
            exact_norm,
            bias_norm: dot(&bias, &bias).sqrt(),
            bias_norm_corrected: finite((dot(&bias, &bias) - noise).sqrt()),
        }
    }

    /// The moments of all groups except one.
    fn without(&self, left_out: Option<usize>) -> RunningMoments {
        let mut all = RunningMoments::new(self.groups[0].mean().len());
        let kept = self.groups.iter().enumerate().filter(|&(b, _)| Some(b) != left_out);
        kept.for_each(|(_, group)| all.merge(group));
        all
    }

    /// Jackknife standard error of a statistic.
    fn jackknife(&self, statistic: impl Fn(&RunningMoments) -> f64) -> Option<f64> {
        let count = Self::GROUPS as f64;
        let values: Vec<f64> = (0..Self::GROUPS).map(|b| statistic(&self.without(Some(b)))).collect();
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|c| (c - mean).powi(2)).sum();
        finite(((count - 1.0) / count * squares).sqrt())
    }
}

fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{from_key, uniform};

    /// For a mean, the jackknife's standard error is exactly the usual one, computed from the group
    /// means. For a cosine this holds to first order. The estimates are (1, u) with u uniform on
    /// (−½, ½), so the noise in the mean is small; the exact gradient is (1, 1).
    #[test]
    fn the_standard_error_is_that_of_many_repetitions() {
        const COUNT: usize = 1024;
        let mut rng = from_key(1);
        let mut run = || {
            let mut estimates = Estimates::new(2, COUNT).unwrap();
            (0..COUNT).for_each(|_| estimates.add(&[1.0, uniform::<f64>(&mut rng) - 0.5]));
            estimates.summary(&[1.0, 1.0])
        };
        // The cosine is cos(φ − 45°) with tan φ = m. Its derivative at m = 0 is sin 45°, and the
        // standard deviation of m is √(1/12N).
        let expected = 0.5_f64.sqrt() * (1.0 / (12.0 * COUNT as f64)).sqrt();
        let runs: Vec<Summary> = (0..50).map(|_| run()).collect();
        // se² is distributed as expected² χ²₁₅/15. Its mean over 50 repetitions has standard
        // deviation expected² √(2/(15·50)); the tolerance is five of them.
        let mean = runs.iter().map(|s| s.cosine_se.unwrap().powi(2)).sum::<f64>() / 50.0;
        assert!((mean / expected.powi(2) - 1.0).abs() < 5.0 * (2.0_f64 / 750.0).sqrt() + 0.01, "{mean}");
        let trace = runs.iter().map(|s| s.covariance_trace).sum::<f64>() / 50.0;
        // Var u² = 1/80 − 1/144 is the variance of the square of a uniform number.
        let tolerance = 5.0 * ((1.0 / 80.0 - 1.0 / 144.0) / (50.0 * COUNT as f64)).sqrt();
        assert!((trace - 1.0 / 12.0).abs() < tolerance, "{trace}");
    }

    /// For pure noise around x the uncorrected cosine is below 1 because of the noise in the mean,
    /// whose share of ‖m‖² is S/N. The corrected cosine is not.
    #[test]
    fn the_correction_removes_the_noise() {
        const LEN: usize = 1600;
        const COUNT: usize = 160;
        let mut rng = from_key(2);
        let mut estimates = Estimates::new(LEN, COUNT).unwrap();
        let exact = vec![0.05; LEN]; // ‖x‖² = 4
        for _ in 0..COUNT {
            let estimate: Vec<f64> = exact.iter().map(|x| x + uniform::<f64>(&mut rng) - 0.5).collect();
            estimates.add(&estimate);
        }
        let found = estimates.summary(&exact);
        let noise = LEN as f64 / 12.0 / COUNT as f64; // S/N
        let share = noise / 4.0; // of ‖x‖²
        let plain = 1.0 / (1.0 + share).sqrt();
        // The tolerance has two parts: ½ share of a sum of LEN squares with relative standard
        // deviation √(2/LEN), and share times the relative standard deviation of the noise along x.
        let sd = 0.5 * share * (2.0 / LEN as f64).sqrt() + share * (share / LEN as f64).sqrt();
        let tolerance = 5.0 * sd;
        assert!((found.cosine.unwrap() - plain).abs() < tolerance, "{found:?}");
        assert!((found.cosine_corrected.unwrap() - 1.0).abs() < tolerance, "{found:?}");
        assert!(
            plain < 1.0 - 2.0 * tolerance,
            "the corrected and uncorrected cosine are too close for this test"
        );
        // E‖m − x‖² = S/N, so the corrected bias is close to 0 or does not exist.
        let left = found.bias_norm_corrected.unwrap_or(0.0).powi(2);
        assert!(left < 5.0 * noise * (2.0 / LEN as f64).sqrt(), "{found:?}");
    }

    #[test]
    fn undefined_statistics_are_none() {
        let mut zeros = Estimates::new(2, 32).unwrap();
        (0..32).for_each(|_| zeros.add(&[0.0, 0.0]));
        let found = zeros.summary(&[1.0, 0.0]);
        let none =
            [found.cosine, found.cosine_se, found.cosine_corrected, found.relative_sd, found.relative_sd_se];
        assert_eq!((none, found.bias_norm), ([None; 5], 1.0));
        let mut bad = Estimates::new(1, 32).unwrap();
        (0..32).for_each(|i| bad.add(&[if i == 7 { f64::NAN } else { 1.0 }]));
        assert_eq!(bad.summary(&[1.0]).cosine, None);
    }
}
