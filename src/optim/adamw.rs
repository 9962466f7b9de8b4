//! AdamW (Loshchilov and Hutter, 2019).

use super::{AdamConfig, Moments, Optimizer};
use crate::error::{Error, Result};
use crate::params::{ParamGrads, ParamStore};
use crate::scalar::Scalar;

/// Adam with decoupled weight decay, as PyTorch computes it: with m, v and t as in
/// [`Adam`](super::Adam),
///
/// ```text
/// p ← p (1 − lr · weight_decay)
/// p ← p − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps)
/// ```
///
/// The decay is not part of the gradient, so it is not divided by √v: every parameter, including
/// biases, shrinks by the same factor.
///
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2,
/// with PyTorch's `lr · weight_decay` for the paper's η_t λ.
///
/// ```
/// use hardgrad::{Mat, ParamGrads, ParamStore, optim::{AdamConfig, AdamW, Optimizer}};
/// let mut params = ParamStore::new();
/// params.add("w", Mat::from_rows(&[[1.0_f64, 10.0]]));
/// let mut grads = ParamGrads::zeros(&params);
/// grads.flat_mut()[0] = 5.0;
/// let mut adamw = AdamW::new(AdamConfig { lr: 0.1, ..AdamConfig::default() }, 0.5)?;
/// adamw.step(&mut params, &grads);
/// // Both shrink by 0.1 · 0.5; up to eps, the first step is lr · sign(g).
/// assert!((params.flat()[0] - (0.95 - 0.1)).abs() < 1e-8);
/// assert!((params.flat()[1] - 9.5).abs() < 1e-14);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdamW<T> {
    config: AdamConfig,
    weight_decay: f64,
    moments: Moments<T>,
}

impl<T: Scalar> AdamW<T> {
    /// Creates an optimiser that has made no update yet. PyTorch's default weight decay is 0.01.
    ///
    /// # Errors
    /// If a hyper-parameter is outside its range. The weight decay must be finite and at least 0.
    pub fn new(config: AdamConfig, weight_decay: f64) -> Result<Self> {
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return Err(Error::argument("weight-decay", weight_decay, "a finite number >= 0"));
        }
        Ok(Self { config: config.validated()?, weight_decay, moments: Moments::default() })
    }

    /// Weight decay.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay
    }
}

impl<T: Scalar> Optimizer<T> for AdamW<T> {
    fn step(&mut self, params: &mut ParamStore<T>, grads: &ParamGrads<T>) -> bool {
        let t = self.moments.begin(params.flat().len()) as f64;
        let keep = T::of(1.0 - self.config.lr * self.weight_decay);
        self.moments.advance(&self.config, self.config.adam_update(t, keep), params, grads)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_decay_outside_its_range_is_refused() {
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let e = AdamW::<f32>::new(AdamConfig::default(), bad).expect_err("out of range").to_string();
            assert!(
                e.starts_with("weight-decay: got") && e.ends_with("expected a finite number >= 0"),
                "{e}"
            );
        }
    }
}
