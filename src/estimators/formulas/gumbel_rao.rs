//! Gumbel-Rao.

use crate::error::Result;
use crate::estimators::rao::Rao;
use crate::estimators::{Formula, Latent, Work, draws, temperature};
use crate::kernels::softmax::log_softmax_row;
use crate::scalar::Real;

/// GR(τ, K): straight-through Gumbel-softmax averaged over K conditional draws.
///
/// Gumbel-Rao. Paulus, Maddison and Krause, "Rao-Blackwellizing the Straight-Through Gumbel-Softmax
/// Gradient Estimator" (2021); Wang and Bui (2026), eq. 6 and 7.
///
/// ```text
/// ∂f/∂θ ≈ (1/(Kτ)) Σ_k J(softmax(Y_k/τ)) g,   Y_k ~ θ + G given D:
///     Y_j = −log(E_j / e^{θ_j} + E_D / Z),   Y_D = −log E_D + log Z,   Z = Σ e^{θ_j}
/// ```
///
/// τ temperature; K number of draws; E standard exponential numbers; D the one-hot sample, also its
/// index; g = ∂f/∂D; J(q) g = q ⊙ (g − ⟨q, g⟩).
///
/// Deviation: eq. 6 omits the factor 1/K. No gradient flows through the conditional draw, which is
/// correct: the derivative of softmax_τ at θ + G is averaged over the distribution of θ + G given
/// D. With K = 1 and the Y from which D was drawn this is STGS, and its mean over the draws is the
/// mean of STGS given D.
///
/// The draws are streamed: no tensor with a K axis is stored.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, GumbelRao};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]).with_exponentials(vec![1.0, 1.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let estimator = GumbelRao::new(1.0, 1)?;
/// let mut dlogits = [0.0; 2];
/// estimator.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 5.0 / 9.0).abs() < 1e-15); // E = (1, 1): softmax(Y) = (⅙, ⅚)
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GumbelRao {
    tau: f64,
    draws: usize,
}

impl GumbelRao {
    /// Creates the estimator with temperature `tau` and `draws` conditional draws (100 in the
    /// paper).
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30, or `draws` is not a number from 1 to 10⁶.
    pub fn new(tau: f64, draws: usize) -> Result<Self> {
        Ok(Self { tau: temperature(tau)?, draws: self::draws(draws)? })
    }
}

impl Formula for GumbelRao {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([log_pi], rest) = work.take();
        log_softmax_row(latent.logits, T::ONE, log_pi); // θ with Z = 1; a shift of θ shifts every Y equally
        let rao = Rao { tau: self.tau, draws: self.draws, weight: 1.0 };
        rao.add(log_pi, latent.one_hot, &mut latent.exponentials(), g, dlogits, rest);
    }

    fn work_rows(&self) -> usize {
        1 + Rao::ROWS
    }
}
