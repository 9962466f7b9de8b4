//! Straight-Through Gumbel-Softmax. Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax" (2017);
//! Wang and Bui (2026), eq. 5.
//!
//! ```text
//! ∂f/∂θ ≈ (1/τ) J(softmax((θ+G)/τ)) g,   D = onehot(argmax(θ+G)) with the same G
//! ```
//!
//! τ temperature; G standard Gumbel noise; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
//!
//! No deviation from the paper.

use super::{Latent, SampleEstimator, Work, temperature};
use crate::error::Result;
use crate::kernels::softmax::{softmax_row, vjp_row};
use crate::scalar::Scalar;

/// STGS(τ): backward through the relaxed sample that the same noise gives. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StraightThroughGumbelSoftmax {
    tau: f64,
}

impl StraightThroughGumbelSoftmax {
    /// With temperature `tau`.
    ///
    /// # Errors
    /// If `tau` is not a finite number > 0.
    pub fn new(tau: f64) -> Result<Self> {
        Ok(Self { tau: temperature(tau)? })
    }
}

impl<T: Scalar> SampleEstimator<T> for StraightThroughGumbelSoftmax {
    fn vjp(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], [scores, relaxed, _]: Work<'_, T>) {
        let tau = T::of(self.tau);
        let sums = latent.logits.iter().zip(latent.gumbel).map(|(&t, &n)| t + n);
        scores.iter_mut().zip(sums).for_each(|(s, sum)| *s = sum); // θ + G
        softmax_row(scores, tau, relaxed);
        vjp_row(T::ONE / tau, relaxed, g, dlogits); // (1/τ) J(softmax((θ+G)/τ)) g
    }
}
