//! Adam (Kingma and Ba, 2015).

use super::{AdamConfig, Moments, Optimizer};
use crate::error::Result;
use crate::params::{ParamGrads, ParamStore};
use crate::scalar::Scalar;

/// Adam, as PyTorch computes it: with t the number of the update,
///
/// ```text
/// m ← m + (1 − β₁)(g − m)
/// v ← β₂ v + (1 − β₂) g²
/// p ← p − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps)
/// ```
///
/// eps is thus added outside the root, after the bias correction.
///
/// ```
/// use hardgrad::{Mat, ParamGrads, ParamStore, optim::{Adam, AdamConfig, Optimizer}};
/// let mut params = ParamStore::new();
/// params.add("w", Mat::from_rows(&[[1.0_f64]]));
/// let mut grads = ParamGrads::zeros(&params);
/// grads.flat_mut()[0] = 5.0;
/// let mut adam = Adam::new(AdamConfig { lr: 0.1, ..AdamConfig::default() }).unwrap();
/// adam.step(&mut params, &grads);
/// // Up to eps, the first step is lr · sign(g).
/// assert!((params.flat()[0] - 0.9).abs() < 1e-8);
/// ```
#[derive(Clone, Debug)]
pub struct Adam<T> {
    config: AdamConfig,
    moments: Moments<T>,
}

impl<T: Scalar> Adam<T> {
    /// Creates an optimiser that has made no update yet.
    ///
    /// # Errors
    /// If a hyper-parameter is outside its range.
    pub fn new(config: AdamConfig) -> Result<Self> {
        Ok(Self { config: config.validated()?, moments: Moments::default() })
    }
}

impl<T: Scalar> Optimizer<T> for Adam<T> {
    fn step(&mut self, params: &mut ParamStore<T>, grads: &ParamGrads<T>) -> bool {
        let t = self.moments.begin(params.flat().len()) as f64;
        self.moments.advance(&self.config, self.config.adam_update(t, T::ONE), params, grads)
    }

    fn lr(&self) -> f64 {
        self.config.lr
    }

    fn set_lr(&mut self, lr: f64) -> Result<()> {
        self.config.set_lr(lr)
    }

    fn moments(&self) -> &Moments<T> {
        &self.moments
    }

    fn moments_mut(&mut self) -> &mut Moments<T> {
        &mut self.moments
    }
}
