//! The plain Gumbel-softmax (Concrete) relaxation.

use super::straight_through_gumbel_softmax::relaxed_row;
use crate::error::Result;
use crate::estimators::{Formula, Latent, Work, temperature};
use crate::kernels::softmax::vjp_row;
use crate::scalar::Real;

/// Gumbel-softmax: a relaxed sample with its exact derivative, without a straight-through step.
///
/// The Gumbel-softmax or Concrete relaxation. Jang, Gu and Poole (2017); Maddison, Mnih and Teh
/// (2017).
///
/// ```text
/// sample = softmax((θ+G)/τ_f),   ∂f/∂θ ≈ (1/τ_b) J(softmax((θ+G)/τ_b)) g
/// ```
///
/// τ_f, τ_b forward and backward temperature; G standard Gumbel noise; g the cotangent of the
/// sample; J(q) g = q ⊙ (g − ⟨q, g⟩).
///
/// With τ_f = τ_b this is the reparameterised gradient of the relaxed problem, which is exact for
/// that problem. With another τ_b the temperatures are decoupled (Shah et al., "Improving Discrete
/// Optimisation Via Decoupled Straight-Through Gumbel-Softmax", 2024). The limit τ_f → 0 is the
/// straight-through Gumbel-softmax.
///
/// ```
/// use hardgrad::estimators::{Estimator, GumbelSoftmax, Noise};
/// let mut sample = [0.0; 2];
/// let noise = Noise::from_gumbel(vec![0.0; 2]);
/// GumbelSoftmax::new(1.0)?.sample(&[0.0, 3.0_f64.ln()], &noise, 2, &mut sample);
/// assert!((sample[1] - 0.75).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GumbelSoftmax {
    forward: f64,
    backward: f64,
}

impl GumbelSoftmax {
    /// Creates the estimator with one temperature for both passes.
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30.
    pub fn new(tau: f64) -> Result<Self> {
        Self::decoupled(tau, tau)
    }

    /// Creates the estimator with separate temperatures for the sample and for its derivative.
    ///
    /// # Errors
    /// If a temperature is not a finite number ≥ 1e-30.
    pub fn decoupled(forward: f64, backward: f64) -> Result<Self> {
        Ok(Self { forward: temperature(forward)?, backward: temperature(backward)? })
    }
}

impl Formula for GumbelSoftmax {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([q], _) = work.take();
        let tau = T::of(self.backward);
        relaxed_row(latent.logits, latent.gumbel, tau, q);
        vjp_row(T::ONE / tau, q, g, dlogits);
    }

    fn work_rows(&self) -> usize {
        1
    }

    fn draw<T: Real>(&self, logits: &[T], gumbel: &[T], sample: &mut [T]) {
        relaxed_row(logits, gumbel, T::of(self.forward), sample);
    }
}
