//! Statistics of how a model uses its discrete code: counts, perplexity and the number of dead
//! categories of each variable.

use crate::error::{Error, Result};
use crate::scalar::Scalar;
use serde::{Deserialize, Serialize};

/// Number of times that each category of each of L variables was chosen.
///
/// In a collapsed code a few categories receive all samples and the others are dead, so the model
/// has the capacity of a smaller one. The perplexity of a variable is exp of the entropy of its
/// empirical distribution. It is the number of equally likely categories that would have that
/// entropy: 1 if only one category occurs, and C if all are equally frequent.
///
/// ```
/// use hardgrad::usage::CodeUsage;
/// let mut usage = CodeUsage::new(2, 3); // two variables of three categories
/// usage.add(&[1.0, 0.0, 0.0, 0.0, 0.0, 1.0])?;
/// usage.add(&[0.0, 1.0, 0.0, 0.0, 0.0, 1.0])?;
/// assert_eq!((usage.counts(0), usage.counts(1)), (&[1, 1, 0][..], &[0, 0, 2][..]));
/// assert_eq!((usage.dead(0), usage.dead(1)), (1, 2));
/// assert!((usage.perplexity(0) - 2.0).abs() < 1e-15);
/// assert_eq!(usage.perplexity(1), 1.0);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeUsage {
    categories: usize,
    counts: Vec<u64>,
}

impl CodeUsage {
    /// Creates counts of zero.
    ///
    /// # Panics
    /// If `categories` is 0.
    #[track_caller]
    pub fn new(variables: usize, categories: usize) -> Self {
        Self::from_counts(vec![0; variables * categories], categories)
    }

    /// Creates the statistics from counts, `[L, C]`.
    ///
    /// ```
    /// use hardgrad::usage::CodeUsage;
    /// let usage = CodeUsage::from_counts(vec![1, 1, 2], 3);
    /// // The entropy is 3/2 ln 2.
    /// assert!((usage.perplexity(0) - 8.0_f64.sqrt()).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the number of counts is not a multiple of `categories`, or `categories` is 0.
    #[track_caller]
    pub fn from_counts(counts: Vec<u64>, categories: usize) -> Self {
        let len = counts.len();
        assert!(
            categories > 0 && len.is_multiple_of(categories),
            "CodeUsage: {len} counts do not divide into variables of {categories} categories"
        );
        Self { categories, counts }
    }

    /// Adds one-hot samples, `[N, L·C]`, to the counts.
    ///
    /// ```
    /// use hardgrad::usage::CodeUsage;
    /// let mut usage = CodeUsage::new(1, 2);
    /// assert!(usage.add(&[0.0, 1.0, 0.5, 0.5]).is_err()); // the second one is relaxed
    /// assert_eq!(usage.counts(0), [0, 0]);
    /// ```
    ///
    /// # Errors
    /// If a sample is not one-hot, for instance because it contains NaN. The counts then do not
    /// change.
    ///
    /// # Panics
    /// If the length is not a multiple of L·C.
    #[track_caller]
    pub fn add<T: Scalar>(&mut self, one_hot: &[T]) -> Result<()> {
        let (width, len) = (self.counts.len(), one_hot.len());
        assert!(len.is_multiple_of(width.max(1)), "add: {len} numbers, expected samples of {width}");
        for (variable, sample) in one_hot.chunks(self.categories).enumerate() {
            let ones = sample.iter().filter(|&&x| x == T::ONE).count();
            let zeros = sample.iter().filter(|&&x| x == T::ZERO).count();
            if ones != 1 || zeros != sample.len() - 1 {
                let variable = variable % self.variables();
                let value = format!("{sample:?} of variable {variable}");
                return Err(Error::argument("sample", value, "one 1, the others 0"));
            }
        }
        for sample in one_hot.chunks(width.max(1)) {
            for (count, &x) in self.counts.iter_mut().zip(sample) {
                *count += u64::from(x == T::ONE);
            }
        }
        Ok(())
    }

    /// Adds the counts of `other`.
    ///
    /// # Panics
    /// If `other` has another number of variables or categories.
    #[track_caller]
    pub fn merge(&mut self, other: &Self) {
        let (ours, theirs) = ((self.variables(), self.categories), (other.variables(), other.categories));
        assert!(ours == theirs, "merge: {theirs:?} variables and categories, expected {ours:?}");
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    /// L, the number of variables.
    pub fn variables(&self) -> usize {
        self.counts.len() / self.categories
    }

    /// C, the number of categories of each variable.
    pub fn categories(&self) -> usize {
        self.categories
    }

    /// Counts of the categories of a variable, `[C]`.
    ///
    /// # Panics
    /// If the variable does not exist.
    #[track_caller]
    pub fn counts(&self, variable: usize) -> &[u64] {
        &self.counts[variable * self.categories..(variable + 1) * self.categories]
    }

    /// Perplexity of a variable, exp(−Σ f ln f) with f the frequencies of its categories. It lies
    /// in [1, C] up to rounding, and is NaN before the first sample.
    ///
    /// # Panics
    /// If the variable does not exist.
    #[track_caller]
    pub fn perplexity(&self, variable: usize) -> f64 {
        let counts = self.counts(variable);
        let total = counts.iter().sum::<u64>() as f64;
        if total == 0.0 {
            return f64::NAN;
        }
        let chosen = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / total);
        (-chosen.map(|f| f * f.ln()).sum::<f64>()).exp()
    }

    /// Perplexities of all variables, in order.
    ///
    /// ```
    /// use hardgrad::usage::CodeUsage;
    /// let usage = CodeUsage::from_counts(vec![5, 5, 0, 7], 2);
    /// let mean = usage.perplexities().sum::<f64>() / 2.0;
    /// assert!((mean - 1.5).abs() < 1e-15);
    /// ```
    pub fn perplexities(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        (0..self.variables()).map(|variable| self.perplexity(variable))
    }

    /// Perplexity and number of chosen categories of each variable.
    ///
    /// ```
    /// use hardgrad::usage::CodeUsage;
    /// let summary = CodeUsage::from_counts(vec![5, 5, 0, 7], 2).summary();
    /// assert_eq!(summary.used, [2, 1]);
    /// assert!((summary.mean() - 1.5).abs() < 1e-15 && summary.least() == 1.0);
    /// ```
    pub fn summary(&self) -> UsageSummary {
        let used = |variable| (self.categories - self.dead(variable)) as u32;
        UsageSummary {
            perplexity: self.perplexities().collect(),
            used: (0..self.variables()).map(used).collect(),
        }
    }

    /// Number of categories of a variable that were never chosen, including masked ones.
    ///
    /// # Panics
    /// If the variable does not exist.
    #[track_caller]
    pub fn dead(&self, variable: usize) -> usize {
        self.counts(variable).iter().filter(|&&count| count == 0).count()
    }
}

/// Perplexity and number of chosen categories of each of L variables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageSummary {
    /// Perplexity of each variable, `[L]`: exp of the entropy of its mean one-hot code, in [1, C].
    pub perplexity: Vec<f64>,
    /// Number of categories of each variable that were chosen at least once, `[L]`.
    pub used: Vec<u32>,
}

impl UsageSummary {
    /// Mean of the variables' perplexities; NaN without variables.
    pub fn mean(&self) -> f64 {
        self.perplexity.iter().sum::<f64>() / self.perplexity.len() as f64
    }

    /// The smallest of the variables' perplexities; +∞ without variables.
    pub fn least(&self) -> f64 {
        self.perplexity.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All counts from 0 to 3 for three categories, compared with Π f^−f, a form of the perplexity
    /// without a logarithm.
    #[test]
    fn the_perplexity_is_the_weighted_geometric_mean_of_inverse_frequencies() {
        for code in 1..64_u64 {
            let counts = [code % 4, code / 4 % 4, code / 16];
            let total = counts.iter().sum::<u64>() as f64;
            let want: f64 = counts.iter().map(|&c| c as f64 / total).map(|f| f.powf(-f)).product();
            let got = CodeUsage::from_counts(counts.to_vec(), 3).perplexity(0);
            // The sum has three terms of at most 1/e each and is at most ln 3. With the exponential
            // there are about ten roundings of numbers up to 3.
            assert!((got - want).abs() < 30.0 * f64::EPSILON, "{counts:?}: {got} for {want}");
        }
        assert!(CodeUsage::new(1, 3).perplexity(0).is_nan());
    }

    #[test]
    fn merged_parts_equal_the_whole() {
        let one_hot = |k: usize| [0, 1, 2, 3].map(|j| f32::from(u8::from(j == k)));
        let samples: Vec<f32> = (0..40).flat_map(|i| one_hot(i * i % 7 % 4)).collect();
        let (mut whole, mut parts) = (CodeUsage::new(2, 4), CodeUsage::new(2, 4));
        whole.add(&samples).unwrap();
        for part in samples.chunks(8 * 5) {
            let mut usage = CodeUsage::new(2, 4);
            usage.add(part).unwrap();
            parts.merge(&usage);
        }
        assert_eq!(whole, parts);
        assert_eq!(whole.counts(0).iter().sum::<u64>(), 20);
    }

    #[test]
    fn samples_that_are_not_one_hot_are_rejected() {
        for bad in [[0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [f32::NAN, 1.0], [1.0, -1.0]] {
            let mut usage = CodeUsage::new(2, 2);
            let e = usage.add(&[[1.0, 0.0], bad].concat()).unwrap_err().to_string();
            assert!(e.contains("of variable 1") && e.contains("expected one 1, the others 0"), "{e}");
            assert_eq!(usage, CodeUsage::new(2, 2));
        }
    }
}
