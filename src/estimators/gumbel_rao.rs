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

use super::latent::at_hot;
use super::{Exponentials, Latent, SampleEstimator, Work, draws, temperature};
use crate::error::Result;
use crate::kernels::softmax::log_softmax_row;
use crate::scalar::Real;
use crate::simd::emulated::{Emulated, IntoEmulated};
use crate::simd::{lanes::Lanes, vectorized};

/// GR(τ, K). See the [module](self).
///
/// ```
/// use hardgrad::estimators::{Conditional, Latent, SampleEstimator, Work, GumbelRao};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let latent = Latent { logits: &[0.0, 3.0_f64.ln()], one_hot: &[0.0, 1.0], gumbel: &[0.0, 0.0], conditional: Conditional::Given { values: &[1.0, 1.0], first: 0, stride: 2 } };
/// let estimator = GumbelRao::new(1.0, 1)?;
/// let rows = SampleEstimator::<f64>::work_rows(&estimator);
/// let (mut dlogits, mut memory) = ([0.0; 2], vec![0.0; 2 * rows]);
/// estimator.vjp(&latent, &[0.0, 4.0], &mut dlogits, Work::new(&mut memory, 2));
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

impl<T: Real> SampleEstimator<T> for GumbelRao {
    fn vjp(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([log_pi], rest) = work.take();
        log_softmax_row(latent.logits, T::ONE, log_pi); // θ with Z = 1: a shift of θ moves every Y alike
        let rao = Rao { tau: self.tau, draws: self.draws, weight: 1.0 };
        rao.add(log_pi, latent.one_hot, &mut latent.exponentials(), g, dlogits, rest);
    }

    fn work_rows(&self) -> usize {
        1 + Rao::ROWS
    }

    fn side_by_side(&self) -> Option<&dyn SampleEstimator<Lanes<T::Scalar>>> {
        Some(self)
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
    pub(super) const ROWS: usize = 3 + DRAWS_AT_ONCE;

    /// Adds the estimate to `dlogits`. `log_pi` are logits with Z = 1.
    pub(super) fn add<T: Real>(
        &self,
        log_pi: &[T],
        one_hot: &[T],
        exponentials: &mut Exponentials<'_, T>,
        g: &[T],
        dlogits: &mut [T],
        work: Work<'_, T>,
    ) {
        let ([h, inv_pi, sums], rest) = work.take();
        let (e, _) = rest.take_together(DRAWS_AT_ONCE);
        let reference = at_hot(one_hot, g);
        h.iter_mut().zip(g).for_each(|(h, &g)| *h = g - reference);
        let given = GivenSample::new(log_pi, one_hot, self.tau, inv_pi);
        sums.fill(T::ZERO);
        let mut left = T::ZERO;
        for from in (0..self.draws).step_by(DRAWS_AT_ONCE) {
            let draws = (self.draws - from).min(DRAWS_AT_ONCE);
            let e = &mut e[..draws * log_pi.len()];
            exponentials.next_draws(draws, e);
            left += add_jacobians(given, h, e, sums); // J(softmax(Y_k/τ)) g
        }
        let weight = T::of(self.weight / (self.draws as f64 * self.tau)); // (1/(Kτ)) Σ_k
        for ((to, &sum), &d) in dlogits.iter_mut().zip(&*sums).zip(one_hot) {
            *to += weight * (sum - d * left); // what rounding left goes to the sample's entry, which is the largest
        }
    }
}

/// Draws between two calls of a kernel: enough that the calls do not count, few enough that their numbers stay in the first cache.
const DRAWS_AT_ONCE: usize = 4;

/// The law of Y given the sample, eq. 7 with Z = 1. Relative to the sample's category, whose Y is −log E_D,
///
/// ```text
/// exp((Y_j − Y_D)/τ) = (E_D / (E_j/π_j + E_D))^(1/τ) ≤ 1:
/// ```
///
/// one reciprocal an element at τ = 1 and ½, one logarithm and one exponential at any other τ.
#[derive(Clone, Copy)]
pub(super) struct GivenSample<'a, T> {
    log_pi: &'a [T],
    one_hot: &'a [T],
    /// 1/π, and 0 at D, where E_j/π_j is not added: so that the formula gives 1 there.
    inv_pi: &'a [T],
    inv_tau: f64,
    power: Power,
}

/// How to take the power 1/τ.
#[derive(Clone, Copy, PartialEq)]
enum Power {
    One,
    Square,
    General,
    /// Any, where E_j/π_j might overflow.
    Far,
}

/// Below this log π, E_j/π_j might overflow; above E_D it stands by a factor of 1e17 or more, so that log(E_j/π_j + E_D) is
/// log E_j − log π_j to the last digit.
const FAR: f64 = -80.0;

impl<'a, T: Real> GivenSample<'a, T> {
    /// With a row of work for 1/π.
    pub(super) fn new(log_pi: &'a [T], one_hot: &'a [T], tau: f64, inv_pi: &'a mut [T]) -> Self {
        reciprocals(log_pi, one_hot, inv_pi);
        let inv_tau = 1.0 / tau;
        let power = match inv_tau {
            _ if log_pi.iter().any(|log_pi| log_pi.any_below(T::of(FAR))) => Power::Far,
            1.0 => Power::One,
            2.0 => Power::Square,
            _ => Power::General,
        };
        Self { log_pi, one_hot, inv_pi, inv_tau, power }
    }

    /// Turns the E of one draw into q Σq, where q = softmax(Y/τ). Gives Σq and Σ q_j Σq h_j.
    #[inline(always)]
    fn relax(&self, h: &[T], e: &mut [T]) -> (T, T) {
        // An E is finite, so it may be chosen by a multiplication.
        let e_hot = e.iter().zip(self.one_hot).fold(T::ZERO, |sum, (&e, &d)| e.mul_add(d, sum));
        let log_hot = e_hot.log2_normal();
        let minus_inv_tau = T::of(-self.inv_tau);
        let (mut norm, mut mean) = (T::ZERO, T::ZERO);
        for (j, (q, &h)) in e.iter_mut().zip(h).enumerate() {
            let sum = q.mul_add(self.inv_pi[j], e_hot);
            *q = match self.power {
                Power::One => e_hot * sum.recip_normal(),
                Power::Square => {
                    let root = e_hot * sum.recip_normal();
                    root * root
                }
                Power::General => (minus_inv_tau * (sum.log2_normal() - log_hot)).exp2_nonpositive(),
                Power::Far => {
                    let (log_pi, near) = (self.log_pi[j], sum.log2_normal() - log_hot);
                    let far = q.log2_normal() - log_hot - log_pi * T::of(std::f64::consts::LOG2_E);
                    let down = log_pi.if_above(T::of(FAR), near, far);
                    self.one_hot[j].if_above(T::ZERO, T::ONE, (minus_inv_tau * down).exp2_nonpositive())
                }
            };
            norm += *q;
            mean = q.mul_add(h, mean);
        }
        (norm, mean)
    }
}

impl<'a, T: Real> IntoEmulated for GivenSample<'a, T> {
    type Into = GivenSample<'a, Emulated<T>>;
    fn into_emulated(self) -> Self::Into {
        let Self { log_pi, one_hot, inv_pi, inv_tau, power } = self;
        let [log_pi, one_hot, inv_pi] = [log_pi, one_hot, inv_pi].map(IntoEmulated::into_emulated);
        GivenSample { log_pi, one_hot, inv_pi, inv_tau, power }
    }
}

vectorized! {
    /// 1/π, and 0 at D.
    fn reciprocals<T: Real>(log_pi: &[T], one_hot: &[T], inv_pi: &mut [T]) {
        for ((inv_pi, &log_pi), &d) in inv_pi.iter_mut().zip(log_pi).zip(one_hot) {
            *inv_pi = d.if_above(T::ZERO, T::ZERO, (-log_pi).exp());
        }
    }
}

vectorized! {
    fused
    /// q = softmax(Y/τ) in place of E, of one draw.
    pub(super) fn relaxed_given_sample<T: Real>(given: GivenSample<'_, T>, q: &mut [T]) {
        let (norm, _) = given.relax(given.log_pi, q);
        let inv_norm = T::ONE / norm;
        q.iter_mut().for_each(|q| *q *= inv_norm);
    }
}

vectorized! {
    fused
    /// sums += Σ_k J(softmax(Y_k/τ)) g. Shapes: h = g − g_D and sums `[C]`, E `[draws, C]`, which is overwritten.
    ///
    /// Gives the sum of what it added, which but for rounding is 0.
    fn add_jacobians<T: Real>(given: GivenSample<'_, T>, h: &[T], e: &mut [T], sums: &mut [T]) -> T {
        let mut left = T::ZERO;
        for e in e.chunks_exact_mut(h.len()) {
            let (norm, mean) = given.relax(h, e);
            let inv_norm = T::ONE / norm;
            let shift = -(mean * inv_norm * inv_norm);
            for ((sum, &q), &h) in sums.iter_mut().zip(&*e).zip(h) {
                let factor = h.mul_add(inv_norm, shift); // (h − ⟨q, h⟩/Σq)/Σq
                *sum = q.mul_add(factor, *sum);
                left = q.mul_add(factor, left);
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::elementwise::softplus_of;
    use crate::kernels::softmax::vjp_row;
    use crate::rng::{LaneRng, from_key, uniform};
    use crate::scalar::Scalar;

    /// q = softmax(Y/τ) by logarithms alone: (1 + (E_j/E_D)/π_j)^(−1/τ) = exp(−softplus(log E_j − log E_D − log π_j)/τ).
    fn by_logarithms<T: Scalar>(log_pi: &[T], hot: usize, e: &[T], inv_tau: T) -> Vec<T> {
        let of = |(&e_j, &log_pi): (&T, &T)| (-softplus_of(e_j.ln() - e[hot].ln() - log_pi) * inv_tau).exp();
        let mut q: Vec<T> = e.iter().zip(log_pi).map(of).collect();
        q[hot] = T::ONE;
        let total: T = q.iter().copied().sum();
        q.iter_mut().for_each(|q| *q /= total);
        q
    }

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
                let mut one_hot = vec![T::ZERO; c];
                one_hot[hot] = T::ONE;
                let [mut inv_pi, mut want, mut got] =
                    [const { Vec::new() }; 3].map(|_: Vec<T>| vec![T::ZERO; c]);
                let h: Vec<T> = g.iter().map(|&g_j| g_j - g[hot]).collect();
                let given = GivenSample::new(&log_pi, &one_hot, tau, &mut inv_pi);
                let mut e = vec![T::ZERO; (1 + case * 2) * c];
                T::fill_exponential(&mut LaneRng::from_key(case as u64), &mut e);
                for e in e.chunks(c) {
                    vjp_row(T::ONE, &by_logarithms(&log_pi, hot, e, T::of(1.0 / tau)), &g, &mut want);
                }
                let left = add_jacobians(given, &h, &mut e, &mut got);
                got[hot] -= left;
                for (got, want) in got.iter().zip(want) {
                    let error = (got.to_f64() - want.to_f64()).abs();
                    assert!(error < tolerance, "tau {tau}, C {c}: {got}, {want}");
                }
            }
        }
    }

    /// Entries of up to 13 draws, each below 1/4, with some roundings of 2⁻²⁴ and 2⁻⁵³; at τ = 1e-3 an error in the logarithm counts a
    /// thousandfold.
    #[test]
    fn draws_agree_with_those_by_logarithms() {
        compare::<f32>(1e-3);
        compare::<f64>(1e-12);
    }
}
