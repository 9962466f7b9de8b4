//! Straight-Through.

use crate::error::Result;
use crate::estimators::{Formula, Latent, Work, temperature};
use crate::kernels::softmax::{softmax_row, vjp_row};
use crate::scalar::Real;

/// ST(τ): the backward pass differentiates softmax(θ/τ) in place of the sample.
///
/// Straight-Through. Bengio, Léonard and Courville, "Estimating or Propagating Gradients Through
/// Stochastic Neurons for Conditional Computation" (2013); Wang and Bui (2026), eq. 3.
///
/// ```text
/// ∂f/∂θ ≈ (1/τ) J(π_τ) g
/// ```
///
/// τ temperature; π_τ = softmax(θ/τ); g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
///
/// Deviation: eq. 3 has no factor 1/τ, but the derivative of π_τ has it, and so do all published
/// numbers. At τ = 1 the expectation is the first-order approximation, eq. 9.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, StraightThrough};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// StraightThrough::new(1.0)?.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 0.75).abs() < 1e-15); // 4 · ¼ · ¾
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StraightThrough {
    tau: f64,
}

impl StraightThrough {
    /// Creates the estimator with temperature `tau`.
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30.
    pub fn new(tau: f64) -> Result<Self> {
        Ok(Self { tau: temperature(tau)? })
    }
}

impl Formula for StraightThrough {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([pi], _) = work.take();
        let tau = T::of(self.tau);
        softmax_row(latent.logits, tau, pi); // π_τ
        vjp_row(T::ONE / tau, pi, g, dlogits); // (1/τ) J(π_τ) g
    }

    fn work_rows(&self) -> usize {
        1
    }
}
