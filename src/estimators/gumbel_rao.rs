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
use crate::kernels::softmax::{log_softmax_row, vjp_row};
use crate::scalar::Scalar;
use crate::simd::{self, LANES, vectorized};

/// GR(τ, K). See the [module](self).
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
    pub(super) const ROWS: usize = 2 + 2 * LANES;

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
        let ([a, b], rest) = work.take();
        let (e, rest) = rest.take_together(LANES);
        let (sums, _) = rest.take_together(LANES);
        let (inv_tau, weight) = (T::of(1.0 / self.tau), T::of(self.weight / (self.draws as f64 * self.tau)));
        let in_lanes = log_pi.iter().all(|&log_pi| log_pi >= T::of(LEAST_LOG_PI));
        if in_lanes {
            for (((inv_pi, h), &log_pi), &g_j) in a.iter_mut().zip(&mut *b).zip(log_pi).zip(g) {
                (*inv_pi, *h) = ((-log_pi).exp(), g_j - g[hot]);
            }
            sums.fill(T::ZERO);
        }
        for from in (0..self.draws).step_by(LANES) {
            let draws = (self.draws - from).min(LANES);
            exponentials.next_lanes(draws, e);
            if in_lanes {
                add_jacobians(e, a, b, hot, inv_tau, draws, sums);
                continue;
            }
            for k in 0..draws {
                let (draw, q) = (&mut *a, &mut *b);
                draw.iter_mut().zip(e.as_chunks::<LANES>().0).for_each(|(to, e)| *to = e[k]);
                relaxed_given_hot(log_pi, hot, draw, inv_tau, q); // softmax(Y_k/τ)
                vjp_row(weight, q, g, dlogits); // (1/(Kτ)) J(softmax(Y_k/τ)) g
            }
        }
        if in_lanes {
            for (to, sums) in dlogits.iter_mut().zip(sums.as_chunks::<LANES>().0) {
                *to += weight * simd::sum(sums);
            }
        }
    }
}

/// log π from which [`add_jacobians`] takes: E/π stays below 2e27 there, and E_D over it above 1e-35, both normal numbers.
const LEAST_LOG_PI: f64 = -60.0;

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
    let total = T::ONE / simd::sum(q);
    q.iter_mut().for_each(|q| *q *= total);
}

vectorized! {
    /// sums += J(softmax(Y_k/τ)) g of sixteen draws at once, one a vector lane, of which the first `draws` count: the plain twin is
    /// [`relaxed_given_hot`] and [`vjp_row`], draw by draw.
    ///
    /// Shapes: e and sums `[C, 16]`, 1/π and h = g − g_D `[C]`. With E_j/π_j + E_D in place of e^−Y_j there is one division an element
    /// at τ = 1 and ½, and one logarithm and one exponential at any other τ; the plain twin has five of them. At C = 64 and K = 100 an
    /// element takes 0.9 ns on one AVX-512 core at τ = 1, its exponential number included, against 17 ns for the plain twin.
    fn add_jacobians<T: Scalar>(
        e: &mut [T],
        inv_pi: &[T],
        h: &[T],
        hot: usize,
        inv_tau: T,
        draws: usize,
        sums: &mut [T],
    ) {
        let e = e.as_chunks_mut::<LANES>().0;
        let e_hot = e[hot];
        let (mut total, mut mean) = ([T::ZERO; LANES], [T::ZERO; LANES]);
        // q_j = exp((Y_j − Y_D)/τ) takes the place of E_j; 1/π_D counts as 0, so that Y_D = −log E_D.
        let power = if inv_tau == T::ONE { 1 } else if inv_tau == T::of(2.0) { 2 } else { 0 };
        let log_hot = e_hot.map(T::ln_normal);
        for (j, ((q, &inv_pi), &h)) in e.iter_mut().zip(inv_pi).zip(h).enumerate() {
            let inv_pi = if j == hot { T::ZERO } else { inv_pi };
            match power {
                1 => for l in 0..LANES {
                    q[l] = e_hot[l] / (q[l] * inv_pi + e_hot[l]);
                    total[l] += q[l];
                    mean[l] += q[l] * h;
                },
                2 => for l in 0..LANES {
                    let root = e_hot[l] / (q[l] * inv_pi + e_hot[l]);
                    q[l] = root * root;
                    total[l] += q[l];
                    mean[l] += q[l] * h;
                },
                _ => for l in 0..LANES {
                    let down = (q[l] * inv_pi + e_hot[l]).ln_normal() - log_hot[l];
                    q[l] = (-inv_tau * down.max(T::ZERO)).exp_nonpositive();
                    total[l] += q[l];
                    mean[l] += q[l] * h;
                },
            }
        }
        let mut norm = [T::ZERO; LANES];
        for l in 0..LANES {
            let counts = if l < draws { T::ONE } else { T::ZERO };
            mean[l] /= total[l];
            norm[l] = counts / total[l];
        }
        for ((sums, q), &h) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(&*e).zip(h) {
            for l in 0..LANES {
                sums[l] += q[l] * norm[l] * (h - mean[l]);
            }
        }
    }
}
