//! Gumbel-Rao. Paulus, Maddison and Krause, "Rao-Blackwellizing the Straight-Through Gumbel-Softmax Gradient Estimator"
//! (2021); Wang and Bui (2026), eq. 6 and 7.
//!
//! ```text
//! ∂f/∂θ ≈ (1/(Kτ)) Σ_k J(softmax(Y_k/τ)) g,   Y_k ~ θ + G given D:
//!     Y_j = −log(E_j / e^{θ_j} + E_D / Z),   Y_D = −log E_D + log Z,   Z = Σ e^{θ_j}
//! ```
//!
//! τ temperature; K number of draws; E standard exponential numbers; D the one-hot sample, also its index; g = ∂f/∂D;
//! J(q) g = q ⊙ (g − ⟨q, g⟩).
//!
//! Deviation: eq. 6 drops the 1/K. No gradient flows through the conditional draw, and that is right: the derivative of
//! softmax_τ at θ + G is averaged over the law of θ + G given D. With K = 1 and the Y that drew D this is STGS, and its mean over
//! the draws is the mean of STGS given D.
//!
//! The draws are streamed: there is never a tensor with a K axis.

use super::{Exponentials, Latent, SampleEstimator, Work, draws, temperature};
use crate::error::Result;
use crate::kernels::elementwise::softplus_of;
use crate::kernels::softmax::log_softmax_row;
use crate::scalar::Scalar;
use crate::simd::vectorized;

/// GR(τ, K). See the [module](self).
///
/// ```
/// use hardgrad::estimators::{Conditional, Latent, SampleEstimator, Work, GumbelRao};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let latent = Latent { logits: &[0.0, 3.0_f64.ln()], one_hot: &[0.0, 1.0], gumbel: &[0.0, 0.0], conditional: Conditional::Given { values: &[1.0, 1.0], first: 0, stride: 2 } };
/// let (mut dlogits, mut memory) = ([0.0; 2], [0.0; 20]);
/// GumbelRao::new(1.0, 1)?.vjp(&latent, &[0.0, 4.0], &mut dlogits, Work::new(&mut memory, 2));
/// assert!((dlogits[1] - 5.0 / 9.0).abs() < 1e-15); // E = (1, 1): softmax(Y) = (⅙, ⅚)
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GumbelRao {
    tau: f64,
    draws: usize,
}

impl GumbelRao {
    /// With temperature `tau` and `draws` draws (the paper has 100).
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30, or `draws` not a number from 1 to 10⁶.
    pub fn new(tau: f64, draws: usize) -> Result<Self> {
        Ok(Self { tau: temperature(tau)?, draws: self::draws(draws)? })
    }
}

impl<T: Scalar> SampleEstimator<T> for GumbelRao {
    fn vjp(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([log_pi], rest) = work.take();
        log_softmax_row(latent.logits, T::ONE, log_pi); // θ with Z = 1: a shift of θ moves every Y alike
        let rao = Rao { tau: self.tau, draws: self.draws, weight: 1.0 };
        rao.add(log_pi, latent.hot(), &mut latent.exponentials(), g, dlogits, rest);
    }

    fn work_rows(&self) -> usize {
        1 + Rao::ROWS
    }
}

/// weight · GR(τ, K), at any normalised logits: what Gumbel-Rao, ReinMax-Rao and ReinMax-CV share.
pub(super) struct Rao {
    pub(super) tau: f64,
    pub(super) draws: usize,
    pub(super) weight: f64,
}

impl Rao {
    /// Rows of work that [`add`](Self::add) takes.
    pub(super) const ROWS: usize = 2;

    /// Adds the estimate to `dlogits`. `log_pi` are logits with Z = 1, `hot` the index of D.
    pub(super) fn add<T: Scalar>(
        &self,
        log_pi: &[T],
        hot: usize,
        exponentials: &mut Exponentials<'_, T>,
        g: &[T],
        dlogits: &mut [T],
        work: Work<'_, T>,
    ) {
        let ([q, e], _) = work.take();
        let (inv_tau, weight) = (T::of(1.0 / self.tau), T::of(self.weight / (self.draws as f64 * self.tau)));
        for _ in 0..self.draws {
            exponentials.next(e);
            relaxed_given_hot(log_pi, hot, e, inv_tau, q); // softmax(Y_k/τ)
            add_vjp_at(weight, q, hot, g, dlogits); // (1/(Kτ)) J(softmax(Y_k/τ)) g
        }
    }
}

vectorized! {
    /// q = softmax(Y/τ) for Y given that category `hot` is the largest, eq. 7 with Z = 1. Relative to the hot category, whose Y is
    /// −log E_D,
    ///
    /// ```text
    /// exp((Y_j − Y_D)/τ) = (1 + (E_j/E_D) e^{−log π_j})^(−1/τ) = exp(−softplus(log E_j − log E_D − log π_j)/τ) ≤ 1,
    /// ```
    ///
    /// which is finite however small π_j is.
    pub(super) fn relaxed_given_hot<T: Scalar>(log_pi: &[T], hot: usize, e: &[T], inv_tau: T, q: &mut [T]) {
        let log_hot = e[hot].ln();
        for ((q, &log_pi), &e) in q.iter_mut().zip(log_pi).zip(e) {
            let t = e.ln() - log_hot - log_pi;
            *q = (-softplus_of(t) * inv_tau).exp();
        }
        q[hot] = T::ONE;
        let total = T::ONE / crate::simd::sum(q);
        q.iter_mut().for_each(|q| *q *= total);
    }
}

vectorized! {
    /// out += weight · J(q) g, with g taken relative to the hot category's (see `softmax::vjp_row`).
    fn add_vjp_at<T: Scalar>(weight: T, q: &[T], hot: usize, g: &[T], out: &mut [T]) {
        let reference = g[hot];
        let mut mean = T::ZERO;
        for (&q, &g) in q.iter().zip(g) {
            mean += q * (g - reference);
        }
        for ((out, &q), &g) in out.iter_mut().zip(q).zip(g) {
            *out += weight * q * ((g - reference) - mean);
        }
    }
}
