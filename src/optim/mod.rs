//! Optimisers over the flat parameter store ([`Adam`], [`AdamW`] and [`RAdam`], with PyTorch's
//! update formulas), learning-rate schedules, and gradient-norm clipping.

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
use crate::scalar::{Scalar, flushed, smallest_factor};
use crate::simd::aligned::Aligned;
use crate::simd::vectorized;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

/// An optimiser: updates parameters from their gradients.
pub trait Optimizer<T: Scalar>: std::fmt::Debug + Send {
    /// Makes one update. Returns whether the gradients, their mean squares and the updated
    /// parameters are all finite. After a `false`, the parameters and moments are invalid.
    ///
    /// # Panics
    /// If `grads` are not the gradients of `params`, or the number of parameters differs from that
    /// at the first update.
    fn step(&mut self, params: &mut ParamStore<T>, grads: &ParamGrads<T>) -> bool;

    /// Learning rate of the next update.
    fn lr(&self) -> f64;

    /// Sets the learning rate of all following updates. The moments do not change. See
    /// [`LrSchedule`].
    ///
    /// # Errors
    /// If the rate is not a finite number ≥ 0. The learning rate is then unchanged.
    fn set_lr(&mut self, lr: f64) -> Result<()>;

    /// Running moments, to be saved in a checkpoint.
    fn moments(&self) -> &Moments<T>;

    /// Running moments, to be restored from a checkpoint.
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
    /// Decay rate β₁ of the mean of the gradients, in [0, 1).
    pub beta1: f64,
    /// Decay rate β₂ of the mean of the squared gradients, in [0, 1).
    pub beta2: f64,
    /// Constant added to the root of the mean square.
    pub eps: f64,
}

impl Default for AdamConfig {
    /// PyTorch's defaults: lr 1e-3, β 0.9 and 0.999, eps 1e-8.
    fn default() -> Self {
        Self { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

impl AdamConfig {
    /// Returns `self` if every number is in its range.
    ///
    /// # Errors
    /// [`Error::Argument`] with the name and range of the number that is out of range.
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

    /// Performs update t (from 1) of Adam after multiplying every parameter by `keep`.
    fn adam_update<T: Scalar>(&self, t: f64, keep: T) -> Update<T> {
        let correction1 = 1.0 - self.beta1.powf(t);
        let correction2 = 1.0 - self.beta2.powf(t);
        let root = Some((T::of(correction2.sqrt()), T::of(self.eps)));
        Update { keep, scale: T::of(self.lr / correction1), root }
    }
}

/// The state of [`Adam`], [`AdamW`] and [`RAdam`]: exponential moving averages of the gradients and
/// of the squared gradients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Moments<T> {
    /// Number of updates made.
    pub step: u64,
    /// m, one number per parameter element.
    pub mean: Aligned<T>,
    /// v, one number per parameter element.
    pub mean_square: Aligned<T>,
}

/// How an update uses the moments. With `root = Some((divisor, eps))` it is p ← keep · p − scale ·
/// m / (√v / divisor + eps); with `None` it is p ← keep · p − scale · m. A `keep` of 1 leaves the
/// bits of p unchanged.
#[derive(Clone, Copy, Debug)]
struct Update<T> {
    keep: T,
    scale: T,
    root: Option<(T, T)>,
}

/// Elements per block of parallel work. The 5 arrays have 64 KiB each, which in total is about the
/// size of a core's second-level cache.
const BLOCK: usize = 1 << 14;

impl<T: Scalar> Moments<T> {
    /// m ← m + (1 − β₁)(g − m), v ← β₂ v + (1 − β₂) g², then `update`, in one pass over memory.
    /// Returns whether v (and therefore g) and the new parameters are finite.
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

    /// Allocates the moments at the first update and increments the update count. Returns the
    /// number of the update, from 1.
    fn begin(&mut self, len: usize) -> u64 {
        if self.step == 0 {
            self.mean.resize(len, T::ZERO);
            self.mean_square.resize(len, T::ZERO);
        }
        self.step += 1;
        self.step
    }
}

vectorized! {
    /// Processes one block of [`Moments::advance`], with gains = [1 − β₁, β₂, 1 − β₂].
    fn advance_block<T: Scalar>(p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], gains: [T; 3], update: Update<T>) -> bool {
        let [gain1, beta2, gain2] = gains;
        let mut largest = T::Bits::default();
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            // If a parameter gets no gradient for many steps (for example the weights of a pixel
            // that is almost always blank), its moments decay towards the subnormal numbers: after
            // 1500 steps on MNIST the update took four times as long. The error in the mean is below
            // floor / gain1, 1e-30 for `f32` and β₁ = 0.9, and it is divided by at least eps.
            *m = flushed(*m + gain1 * (g - *m), smallest_factor());
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

    /// Makes one update of `len` parameters in which one gradient and one value are chosen by the
    /// caller. Returns whether everything stayed finite.
    fn stays_finite(len: usize, at: usize, gradient: f32, value: f32) -> bool {
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
                assert!(stays_finite(len, at, -1e18, f32::MAX));
                // (1 − β₂) g² is 1e39, and the largest f32 is 3.4e38.
                for gradient in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e21] {
                    assert!(!stays_finite(len, at, gradient, 0.0), "gradient {gradient} at {at} of {len}");
                }
                for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    assert!(!stays_finite(len, at, 0.0, value), "parameter {value} at {at} of {len}");
                }
            }
        }
    }
}
