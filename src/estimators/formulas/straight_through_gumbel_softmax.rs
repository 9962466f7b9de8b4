//! Straight-Through Gumbel-Softmax.

use crate::error::Result;
use crate::estimators::{Formula, Latent, Work, temperature};
use crate::kernels::softmax::{softmax_in_place, vjp_row};
use crate::scalar::Real;

/// STGS(τ): the backward pass differentiates the relaxed sample with the same noise.
///
/// Straight-Through Gumbel-Softmax. Jang, Gu and Poole, "Categorical Reparameterization with
/// Gumbel-Softmax" (2017); Wang and Bui (2026), eq. 5.
///
/// ```text
/// ∂f/∂θ ≈ (1/τ) J(softmax((θ+G)/τ)) g,   D = onehot(argmax(θ+G)) with the same G
/// ```
///
/// τ temperature; G standard Gumbel noise; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
///
/// No deviation from the paper.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, StraightThroughGumbelSoftmax};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![3.0_f64.ln(), 0.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// let estimator = StraightThroughGumbelSoftmax::new(0.5)?;
/// estimator.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 2.0).abs() < 1e-15); // θ + G = (ln 3, ln 3): (1/τ) · 4 · ½ · ½
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StraightThroughGumbelSoftmax {
    tau: f64,
}

impl StraightThroughGumbelSoftmax {
    /// Creates the estimator with temperature `tau`.
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30.
    pub fn new(tau: f64) -> Result<Self> {
        Ok(Self { tau: temperature(tau)? })
    }
}

impl Formula for StraightThroughGumbelSoftmax {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([relaxed], _) = work.take();
        let tau = T::of(self.tau);
        relaxed_row(latent.logits, latent.gumbel, tau, relaxed);
        vjp_row(T::ONE / tau, relaxed, g, dlogits); // (1/τ) J(softmax((θ+G)/τ)) g
    }

    fn work_rows(&self) -> usize {
        1
    }
}

/// Computes the relaxed sample q = softmax((θ + G)/τ).
pub(super) fn relaxed_row<T: Real>(logits: &[T], gumbel: &[T], tau: T, q: &mut [T]) {
    for ((q, &theta), &gumbel) in q.iter_mut().zip(logits).zip(gumbel) {
        *q = theta + gumbel;
    }
    softmax_in_place(q, tau);
}
