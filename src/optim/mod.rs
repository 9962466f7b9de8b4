//! Optimisers over the flat parameter store: [`Adam`], [`AdamW`] and [`RAdam`], with PyTorch's
//! update formulas; schedules of the learning rate; and clipping of the gradient's norm.

mod adam;
mod adamw;
mod norm;
mod radam;
mod schedule;

pub use adam::Adam;
pub use adamw::AdamW;
pub use norm::{clip_norm, norm};
pub use radam::RAdam;
pub use schedule::{LrSchedule, cosine_annealing, linear_warm_up};

use crate::error::{Error, Result};
use crate::par;
use crate::params::{ParamGrads, ParamStore};
use crate::scalar::Scalar;
use crate::simd::aligned::Aligned;
use crate::simd::vectorized;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

/// Changes parameters, given their gradients.
pub trait Optimizer<T: Scalar>: std::fmt::Debug + Send {
    /// One update. Returns whether the gradients, their mean squares and the updated parameters are all finite; if not,
    /// parameters and moments are of no more use.
    ///
    /// # Panics
    /// If `grads` are not those of `params`, or both are of another size than at the first update.
    fn step(&mut self, params: &mut ParamStore<T>, grads: &ParamGrads<T>) -> bool;

    /// The learning rate of the next update.
    fn lr(&self) -> f64;

    /// Sets the learning rate of the updates to come; the moments stay as they are. See
    /// [`LrSchedule`].
    ///
    /// # Errors
    /// If it is not a finite number ≥ 0. The rate is then unchanged.
    fn set_lr(&mut self, lr: f64) -> Result<()>;

    /// The running moments, for a checkpoint.
    fn moments(&self) -> &Moments<T>;

    /// The running moments, to be restored from a checkpoint.
    fn moments_mut(&mut self) -> &mut Moments<T>;
}

/// Hyper-parameters of [`Adam`], [`AdamW`] and [`RAdam`].
///
/// ```
/// use hardgrad::optim::AdamConfig;
/// assert!(AdamConfig { lr: 5e-4, ..AdamConfig::default() }.validated().is_ok());
/// let e = AdamConfig { lr: -1.0, ..AdamConfig::default() }.validated().unwrap_err();
/// assert_eq!(e.to_string(), "lr: got -1, expected a finite number >= 0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamConfig {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of the gradients, in [0, 1).
    pub beta1: f64,
    /// Decay of the mean of their squares, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub eps: f64,
}

impl Default for AdamConfig {
    /// PyTorch's: lr 1e-3, β 0.9 and 0.999, eps 1e-8.
    fn default() -> Self {
        Self { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

impl AdamConfig {
    /// Itself, if every number is in its range.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the number that is not, and its range.
    pub fn validated(self) -> Result<Self> {
        for (name, value) in [("lr", self.lr), ("eps", self.eps)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::argument(name, value, "a finite number >= 0"));
            }
        }
        for (name, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::argument(name, value, "a number in [0, 1)"));
            }
        }
        Ok(self)
    }

    fn set_lr(&mut self, lr: f64) -> Result<()> {
        *self = Self { lr, ..*self }.validated()?;
        Ok(())
    }

    /// Update t, from 1, of Adam, after every parameter has been multiplied by `keep`.
    fn adam_update<T: Scalar>(&self, t: f64, keep: T) -> Update<T> {
        let correction1 = 1.0 - self.beta1.powf(t);
        let correction2 = 1.0 - self.beta2.powf(t);
        let root = Some((T::of(correction2.sqrt()), T::of(self.eps)));
        Update { keep, scale: T::of(self.lr / correction1), root }
    }
}

/// The state of [`Adam`], [`AdamW`] and [`RAdam`]: exponential means of the gradients and of their
/// squares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Moments<T> {
    /// Number of updates made.
    pub step: u64,
    /// m, one number a parameter number.
    pub mean: Aligned<T>,
    /// v, one number a parameter number.
    pub mean_square: Aligned<T>,
}

/// What one update does with the moments: p ← keep · p − scale · m / (√v / divisor + eps) with
/// `root = Some((divisor, eps))`, and p ← keep · p − scale · m without. A `keep` of 1 changes no
/// bit.
#[derive(Clone, Copy, Debug)]
struct Update<T> {
    keep: T,
    scale: T,
    root: Option<(T, T)>,
}

/// Numbers to a block of parallel work: 5 arrays of 64 KiB, about the size of a core's second-level cache.
const BLOCK: usize = 1 << 14;

impl<T: Scalar> Moments<T> {
    /// m ← m + (1 − β₁)(g − m), v ← β₂ v + (1 − β₂) g², then `update`, in one pass over memory. Returns whether v, and so g, and
    /// the new parameters are finite.
    #[track_caller]
    fn advance(
        &mut self,
        config: &AdamConfig,
        update: Update<T>,
        params: &mut ParamStore<T>,
        grads: &ParamGrads<T>,
    ) -> bool {
        grads.check(params);
        let (p, g) = (params.flat_mut(), grads.flat());
        assert!(
            p.len() == g.len() && p.len() == self.mean.len(),
            "optimiser: {} parameters, {} gradients, {} moments",
            p.len(),
            g.len(),
            self.mean.len()
        );
        let gain1 = T::of(1.0 - config.beta1);
        let (beta2, gain2) = (T::of(config.beta2), T::of(1.0 - config.beta2));
        let work = ((p, g), (&mut self.mean[..], &mut self.mean_square[..]));
        let finite = AtomicBool::new(true);
        par::for_each_block(work, BLOCK, |_, ((p, g), (m, v))| {
            if !advance_block(p, g, m, v, [gain1, beta2, gain2], update) {
                finite.store(false, Ordering::Relaxed);
            }
        });
        finite.into_inner()
    }

    /// Sizes the moments at the first update and counts the update. Returns its number, from 1.
    fn begin(&mut self, len: usize) -> u64 {
        if self.step == 0 {
            self.mean.resize(len, T::ZERO);
            self.mean_square.resize(len, T::ZERO);
        }
        self.step += 1;
        self.step
    }
}

/// 0 for a number below `floor`, `x` for any other.
///
/// The moments of a parameter that gets no gradient for long (a pixel that is hardly ever inked) decay towards the subnormal
/// numbers, on which CPUs are some hundred times slower: 1500 steps into MNIST the update took four times as long. The mean's floor
/// lies so far above them, by 1/ε, that its products with 1 − β₁ and the learning rate are normal too. What is lost is in `f32` below
/// 1e-31 of the mean, against a divisor of at least eps.
#[inline(always)]
fn flushed<T: Scalar>(x: T, floor: T) -> T {
    if x.abs() < floor { T::ZERO } else { x }
}

vectorized! {
    /// One block of [`Moments::advance`], with gains = [1 − β₁, β₂, 1 − β₂].
    fn advance_block<T: Scalar>(p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], gains: [T; 3], update: Update<T>) -> bool {
        let [gain1, beta2, gain2] = gains;
        let mut largest = T::Bits::default();
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            *m = flushed(*m + gain1 * (g - *m), T::MIN_POSITIVE / T::EPSILON);
            *v = flushed(beta2 * *v + gain2 * g * g, T::MIN_POSITIVE);
            let step = match update.root {
                Some((divisor, eps)) => update.scale * *m / (v.sqrt() / divisor + eps),
                None => update.scale * *m,
            };
            *p = update.keep * *p - step;
            largest = largest.max(p.magnitude()).max(v.magnitude());
        }
        largest < T::NEG_INFINITY.magnitude()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mat;

    /// One update of `len` parameters, one of whose gradients and values is given.
    fn goes_well(len: usize, at: usize, gradient: f32, value: f32) -> bool {
        let mut params = ParamStore::new();
        params.add("w", Mat::zeros(1, len));
        params.flat_mut()[at] = value;
        let mut grads = ParamGrads::zeros(&params);
        grads.flat_mut()[at] = gradient;
        Adam::new(AdamConfig::default()).expect("defaults").step(&mut params, &grads)
    }

    #[test]
    fn a_rate_outside_its_range_is_refused_and_changes_nothing() {
        let mut adam = Adam::<f32>::new(AdamConfig::default()).expect("defaults");
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(adam.set_lr(bad).is_err());
            assert_eq!(adam.lr(), 1e-3);
        }
        adam.set_lr(0.0).expect("a rate of 0 changes no parameter");
        assert_eq!(adam.lr(), 0.0);
    }

    #[test]
    fn any_number_that_is_not_finite_is_reported() {
        for len in [1, 15, 16, 17, BLOCK + 3] {
            for at in [0, len / 2, len - 1] {
                assert!(goes_well(len, at, -1e18, f32::MAX));
                // (1 − β₂) g² is 1e39; f32 ends at 3.4e38.
                for gradient in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e21] {
                    assert!(!goes_well(len, at, gradient, 0.0), "gradient {gradient} at {at} of {len}");
                }
                for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    assert!(!goes_well(len, at, 0.0, value), "parameter {value} at {at} of {len}");
                }
            }
        }
    }
}
