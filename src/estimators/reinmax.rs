//! ReinMax. Liu et al., "Bridging Discrete and Backpropagation: Straight-Through and Beyond" (2023); Wang and Bui (2026),
//! eq. 12.
//!
//! ```text
//! ∂f/∂θ ≈ 2 J((π_τ + D)/2) g − ½ J(π) g
//! ```
//!
//! τ temperature; π = softmax(θ); π_τ = softmax(θ/τ); D the one-hot sample; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
//!
//! No 1/τ: π_τ enters as a value, not through its derivative. Any τ > 0 (the packaged reference refuses τ < 1, the paper
//! uses such τ elsewhere). At τ = 1 the expectation is the second-order approximation, eq. 11, which is exact for quadratic f.

use super::{Latent, SampleEstimator, Work, temperature};
use crate::error::Result;
use crate::kernels::softmax::{softmax_row, vjp_row};
use crate::scalar::Scalar;

/// ReinMax(τ). See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReinMax {
    tau: f64,
}

impl ReinMax {
    /// With temperature `tau`.
    ///
    /// # Errors
    /// If `tau` is not a finite number > 0.
    pub fn new(tau: f64) -> Result<Self> {
        Ok(Self { tau: temperature(tau)? })
    }
}

impl<T: Scalar> SampleEstimator<T> for ReinMax {
    fn vjp(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], [pi, p, _]: Work<'_, T>) {
        let half = T::of(0.5);
        softmax_row(latent.logits, T::of(self.tau), p);
        p.iter_mut().zip(latent.one_hot).for_each(|(p, &d)| *p = half * (*p + d)); // (π_τ + D)/2
        vjp_row(T::of(2.0), p, g, dlogits); // 2 J((π_τ + D)/2) g
        softmax_row(latent.logits, T::ONE, pi);
        vjp_row(-half, pi, g, dlogits); // − ½ J(π) g
    }
}
