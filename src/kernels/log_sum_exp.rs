//! Streaming computation of ln Σ eˣ.

/// ln Σ eˣ over all numbers added so far. The state is the largest of them, m, and Σ eˣ⁻ᵐ, so that
/// nothing overflows and the underflowing terms are smaller than a rounding error of the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSumExp {
    max: f64,
    sum: f64,
}

impl Default for LogSumExp {
    fn default() -> Self {
        Self { max: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogSumExp {
    /// Adds these numbers. −∞ contributes nothing; NaN and ∞ make the [`value`](Self::value) NaN.
    pub fn add(&mut self, numbers: impl Iterator<Item = f64> + Clone) {
        let max = numbers.clone().fold(self.max, f64::max);
        if self.max < max {
            self.sum *= (self.max - max).exp();
            self.max = max;
        }
        // Before the first finite number, m is −∞ and x − m would be NaN.
        self.sum += numbers.filter(|&x| x != f64::NEG_INFINITY).map(|x| (x - max).exp()).sum::<f64>();
    }

    /// ln Σ eˣ; −∞ if no number has been added.
    pub fn value(&self) -> f64 {
        self.max + self.sum.ln()
    }
}

#[cfg(test)]
mod examples {
    #[test]
    fn log_sum_exp_by_hand() {
        use super::LogSumExp;
        let mut sum = LogSumExp::default();
        assert_eq!(sum.value(), f64::NEG_INFINITY); // of nothing
        sum.add([-1000.0, -1000.0].into_iter());
        assert!((sum.value() - (2.0_f64.ln() - 1000.0)).abs() < 1e-12);
        sum.add([1e300].into_iter());
        assert_eq!(sum.value(), 1e300);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{from_key, uniform};

    /// Compares with one sum in plain arithmetic, where that does not overflow. The error comes
    /// from 60 roundings of numbers of one sign, and from the arguments of the exponentials, up to
    /// 20, at 2⁻⁵³ each.
    #[test]
    fn parts_and_orders_agree_with_the_whole() {
        let mut rng = from_key(1);
        let mut x: Vec<f64> = (0..20).map(|_| 20.0 * uniform::<f64>(&mut rng) - 10.0).collect();
        x[7] = f64::NEG_INFINITY;
        let want = x.iter().map(|x| x.exp()).sum::<f64>().ln();
        for part in [1, 3, 20] {
            for reversed in [false, true] {
                let mut sum = LogSumExp::default();
                let mut parts: Vec<&[f64]> = x.chunks(part).collect();
                if reversed {
                    parts.reverse();
                }
                parts.iter().for_each(|part| sum.add(part.iter().copied()));
                assert!((sum.value() - want).abs() < 100.0 * f64::EPSILON, "parts of {part}");
            }
        }
    }

    #[test]
    fn nan_and_infinity_give_nan() {
        for bad in [f64::NAN, f64::INFINITY] {
            for numbers in [[bad, 0.0], [0.0, bad]] {
                let mut sum = LogSumExp::default();
                sum.add(numbers.into_iter());
                assert!(sum.value().is_nan(), "{numbers:?}");
            }
        }
        let mut sum = LogSumExp::default();
        sum.add([f64::NEG_INFINITY].into_iter());
        assert_eq!(sum.value(), f64::NEG_INFINITY);
    }
}
