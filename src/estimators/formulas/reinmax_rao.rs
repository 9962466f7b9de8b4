//! ReinMax-Rao.

use super::reinmax::{log_p_row, subtract_half_jacobian};
use crate::error::Result;
use crate::estimators::rao::Rao;
use crate::estimators::{Formula, Latent, Work, draws, temperature};
use crate::scalar::Real;

/// ReinMax-Rao(τ, K): ReinMax with its first term replaced by a Gumbel-Rao term.
///
/// Wang and Bui (2026), eq. 17.
///
/// ```text
/// ∂f/∂θ ≈ 2 GR_{τ,K}(θ_D; D) − ½ J(π) g,   θ_D = log((π + D)/2)
/// ```
///
/// τ temperature and K draws of Gumbel-Rao; π = softmax(θ); D the one-hot sample; g = ∂f/∂D; J(q)
/// g = q ⊙ (g − ⟨q, g⟩).
///
/// Deviation: eq. 17 has the last term at θ_D and at τ; the paper's text and the published code
/// have it at θ and temperature 1, and so does this implementation. The logits of the Gumbel-Rao
/// term are θ_D, so its Z is 1.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, ReinMaxRao};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]).with_exponentials(vec![1.0, 1.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let estimator = ReinMaxRao::new(1.0, 1)?;
/// let mut dlogits = [0.0; 2];
/// estimator.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 0.345).abs() < 1e-15); // E = (1, 1): 2 · 4 · 0.1 · 0.9 − ½ · ¾
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReinMaxRao {
    tau: f64,
    draws: usize,
}

impl ReinMaxRao {
    /// Creates the estimator with temperature `tau` and `draws` conditional draws (100 in the
    /// paper).
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30, or `draws` is not a number from 1 to 10⁶.
    pub fn new(tau: f64, draws: usize) -> Result<Self> {
        Ok(Self { tau: temperature(tau)?, draws: self::draws(draws)? })
    }
}

impl Formula for ReinMaxRao {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([log_p], rest) = work.take();
        subtract_half_jacobian(latent, g, dlogits, log_p); // − ½ J(π) g
        log_p_row(latent, log_p); // θ_D
        let rao = Rao { tau: self.tau, draws: self.draws, weight: 2.0 };
        rao.add(log_p, latent.one_hot, &mut latent.exponentials(), g, dlogits, rest); // 2 GR_{τ,K}(θ_D; D)
    }

    fn work_rows(&self) -> usize {
        1 + Rao::ROWS
    }
}
