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
        let ([h, inv_pi], rest) = work.take();
        let (e, rest) = rest.take_together(LANES);
        let (sums, _) = rest.take_together(LANES);
        let (inv_tau, weight) = (T::of(1.0 / self.tau), T::of(self.weight / (self.draws as f64 * self.tau)));
        h.iter_mut().zip(g).for_each(|(h, &g_j)| *h = g_j - g[hot]);
        reciprocals(log_pi, inv_pi);
        sums.fill(T::ZERO);
        for from in (0..self.draws).step_by(LANES) {
            let draws = (self.draws - from).min(LANES);
            exponentials.next_lanes(draws, e);
            relaxed_lanes(log_pi, inv_pi, hot, inv_tau, e); // softmax(Y_k/τ), but for its sum
            add_jacobians(e, h, hot, draws, sums); // J(softmax(Y_k/τ)) g
        }
        for (to, sums) in dlogits.iter_mut().zip(sums.as_chunks::<LANES>().0) {
            *to += weight * simd::sum(sums); // (1/(Kτ)) Σ_k
        }
    }
}

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
    /// 1/π
    fn reciprocals<T: Scalar>(log_pi: &[T], inv_pi: &mut [T]) {
        for (inv_pi, &log_pi) in inv_pi.iter_mut().zip(log_pi) {
            *inv_pi = (-log_pi).exp();
        }
    }
}

vectorized! {
    /// Sixteen draws at once, one a vector lane: e `[C, 16]` holds E and then q Σq, [`relaxed_given_hot`]'s q but for its sum.
    ///
    /// exp((Y_j − Y_D)/τ) = (E_D / (E_j/π_j + E_D))^(1/τ) takes one reciprocal an element at τ = 1 and ½, and one logarithm and one
    /// exponential at any other τ, where the plain twin has five of them.
    fn relaxed_lanes<T: Scalar>(log_pi: &[T], inv_pi: &[T], hot: usize, inv_tau: T, e: &mut [T]) {
        let e = e.as_chunks_mut::<LANES>().0;
        let (e_hot, mut log_hot) = (e[hot], [T::ZERO; LANES]);
        for l in 0..LANES {
            log_hot[l] = e_hot[l].log2_normal();
        }
        for ((q, &log_pi), &inv_pi) in e.iter_mut().zip(log_pi).zip(inv_pi) {
            if log_pi < T::of(FAR) {
                let log_pi = log_pi * T::of(std::f64::consts::LOG2_E);
                for l in 0..LANES {
                    q[l] = (-inv_tau * (q[l].log2_normal() - log_hot[l] - log_pi)).exp2_nonpositive();
                }
                continue;
            }
            if inv_tau == T::ONE {
                for l in 0..LANES {
                    q[l] = e_hot[l] * (q[l] * inv_pi + e_hot[l]).recip_normal();
                }
            } else if inv_tau == T::of(2.0) {
                for l in 0..LANES {
                    let root = e_hot[l] * (q[l] * inv_pi + e_hot[l]).recip_normal();
                    q[l] = root * root;
                }
            } else {
                for l in 0..LANES {
                    let down = (q[l] * inv_pi + e_hot[l]).log2_normal() - log_hot[l];
                    q[l] = (-inv_tau * down).exp2_nonpositive();
                }
            }
        }
        e[hot] = [T::ONE; LANES];
    }
}

/// Below this log π, E_j/π_j might overflow; above E_D it stands by a factor of 1e17 or more, so that log(E_j/π_j + E_D) is
/// log E_j − log π_j to the last digit.
const FAR: f64 = -80.0;

vectorized! {
    /// sums += J(q/Σq) g of sixteen draws at once, of which the first `draws` count. Shapes: q and sums `[C, 16]`, h = g − g_D `[C]`.
    fn add_jacobians<T: Scalar>(q: &[T], h: &[T], hot: usize, draws: usize, sums: &mut [T]) {
        let q = q.as_chunks::<LANES>().0;
        let (mut norm, mut mean) = ([T::ZERO; LANES], [T::ZERO; LANES]);
        for (q, &h) in q.iter().zip(h) {
            for l in 0..LANES {
                norm[l] += q[l];
                mean[l] += q[l] * h;
            }
        }
        for l in 0..LANES {
            norm[l] = T::ONE / norm[l];
            mean[l] *= norm[l];
        }
        norm[draws..].fill(T::ZERO);
        let sums = sums.as_chunks_mut::<LANES>().0;
        let mut left = [T::ZERO; LANES];
        for ((sums, q), &h) in sums.iter_mut().zip(q).zip(h) {
            for l in 0..LANES {
                let entry = q[l] * norm[l] * (h - mean[l]);
                sums[l] += entry;
                left[l] += entry;
            }
        }
        // A row sums to 0: what rounding left goes to the largest entry. (The running sum also keeps the compiler on the lanes: without it
        // the loop over C is vectorised, by gathers, five times slower.)
        for l in 0..LANES {
            sums[hot][l] -= left[l];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::softmax::vjp_row;
    use crate::rng::{LaneRng, from_key, uniform};

    /// The kernels across lanes against their plain twins, draw by draw.
    fn compare<T: Scalar>(tolerance: f64) {
        let mut rng = from_key(3);
        for (case, &tau) in [1.0, 0.5, 0.7, 1e-3, 1e3, 1.0, 0.7].iter().enumerate() {
            for c in [1, 2, 8, 33] {
                let spread = [1.0, 10.0, 1e4][case % 3];
                let logits: Vec<T> =
                    (0..c).map(|_| T::of(spread * (uniform::<f64>(&mut rng) - 0.5))).collect();
                let g: Vec<T> = (0..c).map(|_| T::of(uniform::<f64>(&mut rng) - 0.5)).collect();
                let (mut log_pi, hot) = (logits.clone(), case % c);
                log_softmax_row(&logits, T::ONE, &mut log_pi);
                let mut e = vec![T::ZERO; c * LANES];
                LaneRng::from_key(case as u64).fill_exponential(&mut e);
                let (mut want, mut draw, mut q) = (vec![T::ZERO; c], vec![T::ZERO; c], vec![T::ZERO; c]);
                let draws = 1 + case * 2;
                for k in 0..draws {
                    draw.iter_mut().zip(e.as_chunks::<LANES>().0).for_each(|(to, e)| *to = e[k]);
                    relaxed_given_hot(&log_pi, hot, &draw, T::of(1.0 / tau), &mut q);
                    vjp_row(T::ONE, &q, &g, &mut want);
                }
                let h: Vec<T> = g.iter().map(|&g_j| g_j - g[hot]).collect();
                let mut sums = vec![T::ZERO; c * LANES];
                let mut inv_pi = vec![T::ZERO; c];
                reciprocals(&log_pi, &mut inv_pi);
                relaxed_lanes(&log_pi, &inv_pi, hot, T::of(1.0 / tau), &mut e);
                add_jacobians(&e, &h, hot, draws, &mut sums);
                for (sums, want) in sums.as_chunks::<LANES>().0.iter().zip(want) {
                    let got = simd::sum(sums).to_f64();
                    assert!((got - want.to_f64()).abs() < tolerance, "tau {tau}, C {c}: {got}, {want}");
                }
            }
        }
    }

    /// Entries of up to 13 draws, each below 1/4, with some roundings of 2⁻²⁴ and 2⁻⁵³; at τ = 1e-3 an error in the logarithm counts a
    /// thousandfold.
    #[test]
    fn lanes_agree_with_single_draws() {
        compare::<f32>(1e-3);
        compare::<f64>(1e-12);
    }
}
