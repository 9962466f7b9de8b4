//! ReinMax-Rao. Wang and Bui (2026), eq. 17.
//!
//! ```text
//! ∂f/∂θ ≈ 2 GR_{τ,K}(θ_D; D) − ½ J(π) g,   θ_D = log((π + D)/2)
//! ```
//!
//! τ temperature and K draws of Gumbel-Rao; π = softmax(θ); D the one-hot sample; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
//!
//! Deviation: eq. 17 prints the last term at θ_D and at τ; the paper's text and the published code have θ and temperature 1,
//! and so has this. Gumbel-Rao's logits are θ_D, so its Z is 1.

use super::gumbel_rao::Rao;
use super::reinmax::{log_p_row, subtract_half_jacobian};
use super::{Latent, SampleEstimator, Work, draws, temperature};
use crate::error::Result;
use crate::scalar::Real;
use crate::simd::lanes::Lanes;

/// ReinMax-Rao(τ, K). See the [module](self).
///
/// ```
/// use hardgrad::estimators::{Conditional, Latent, SampleEstimator, Work, ReinMaxRao};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let latent = Latent { logits: &[0.0, 3.0_f64.ln()], one_hot: &[0.0, 1.0], gumbel: &[0.0, 0.0], conditional: Conditional::Given { values: &[1.0, 1.0], first: 0, stride: 2 } };
/// let estimator = ReinMaxRao::new(1.0, 1)?;
/// let rows = SampleEstimator::<f64>::work_rows(&estimator);
/// let (mut dlogits, mut memory) = ([0.0; 2], vec![0.0; 2 * rows]);
/// estimator.vjp(&latent, &[0.0, 4.0], &mut dlogits, Work::new(&mut memory, 2));
/// assert!((dlogits[1] - 0.345).abs() < 1e-15); // E = (1, 1): 2 · 4 · 0.1 · 0.9 − ½ · ¾
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReinMaxRao {
    tau: f64,
    draws: usize,
}

impl ReinMaxRao {
    /// With temperature `tau` and `draws` draws (the paper has 100).
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30, or `draws` not a number from 1 to 10⁶.
    pub fn new(tau: f64, draws: usize) -> Result<Self> {
        Ok(Self { tau: temperature(tau)?, draws: self::draws(draws)? })
    }
}

impl<T: Real> SampleEstimator<T> for ReinMaxRao {
    fn vjp(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([log_p], rest) = work.take();
        subtract_half_jacobian(latent, g, dlogits, log_p); // − ½ J(π) g
        log_p_row(latent, log_p); // θ_D
        let rao = Rao { tau: self.tau, draws: self.draws, weight: 2.0 };
        rao.add(log_p, latent.one_hot, &mut latent.exponentials(), g, dlogits, rest); // 2 GR_{τ,K}(θ_D; D)
    }

    fn work_rows(&self) -> usize {
        1 + Rao::ROWS
    }

    fn side_by_side(&self) -> Option<&dyn SampleEstimator<Lanes<T::Scalar>>> {
        Some(self)
    }
}
