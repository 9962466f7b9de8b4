//! Draws of θ + G conditional on the sample D, eq. 7, and the average over them of the relaxed
//! Jacobian. Gumbel-Rao, ReinMax-Rao and ReinMax-CV use this module.

use super::latent::at_sample;
use super::{Exponentials, Work};
use crate::scalar::Real;
use crate::simd::emulated::{Emulated, IntoEmulated};
use crate::simd::vectorized;

/// The term weight · GR(τ, K) at normalised logits.
pub(super) struct Rao {
    pub(super) tau: f64,
    pub(super) draws: usize,
    pub(super) weight: f64,
}

impl Rao {
    /// Number of work rows that [`add`](Self::add) takes.
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
        let reference = at_sample(one_hot, g);
        h.iter_mut().zip(g).for_each(|(h, &g)| *h = g - reference);
        let given = Conditional::new(log_pi, one_hot, self.tau, inv_pi);
        sums.fill(T::ZERO);
        let mut left = T::ZERO;
        for from in (0..self.draws).step_by(DRAWS_AT_ONCE) {
            let draws = (self.draws - from).min(DRAWS_AT_ONCE);
            let e = &mut e[..draws * log_pi.len()];
            exponentials.next(e);
            left += add_jacobians(given, h, e, sums); // J(softmax(Y_k/τ)) g
        }
        let weight = T::of(self.weight / (self.draws as f64 * self.tau)); // (1/(Kτ)) Σ_k
        for ((to, &sum), &d) in dlogits.iter_mut().zip(&*sums).zip(one_hot) {
            // The rounding error is moved to the sample's entry, the largest one.
            *to += weight * (sum - d * left);
        }
    }
}

/// Draws per call of a kernel: enough to make the overhead of the call negligible, and few enough
/// for their numbers to stay in the first-level cache.
const DRAWS_AT_ONCE: usize = 4;

/// The distribution of Y given the sample, eq. 7 with Z = 1. Relative to the sample's category,
/// where Y_D = −log E_D,
///
/// ```text
/// exp((Y_j − Y_D)/τ) = (E_D / (E_j/π_j + E_D))^(1/τ) ≤ 1
/// ```
///
/// This takes one reciprocal per element at τ = 1 and ½, and one logarithm and one exponential at
/// any other τ.
#[derive(Clone, Copy)]
pub(super) struct Conditional<'a, T> {
    log_pi: &'a [T],
    one_hot: &'a [T],
    /// 1/π, and 0 at D, where E_j/π_j is not added: the formula then gives 1 at D.
    inv_pi: &'a [T],
    inv_tau: f64,
    power: Power,
}

/// Method for computing the power 1/τ.
#[derive(Clone, Copy, PartialEq)]
enum Power {
    One,
    Square,
    General,
    /// Any power, where E_j/π_j might overflow.
    SmallPi,
}

/// If log π_j is below this value, E_j/π_j might overflow. E_j/π_j is then larger than E_D by a
/// factor of at least 1e17, so log(E_j/π_j + E_D) equals log E_j − log π_j up to rounding.
const SMALL_LOG_PI: f64 = -80.0;

impl<'a, T: Real> Conditional<'a, T> {
    /// Creates the distribution. `inv_pi` is a work row for 1/π.
    pub(super) fn new(log_pi: &'a [T], one_hot: &'a [T], tau: f64, inv_pi: &'a mut [T]) -> Self {
        reciprocals(log_pi, one_hot, inv_pi);
        let inv_tau = 1.0 / tau;
        let power = match inv_tau {
            _ if log_pi.iter().any(|log_pi| log_pi.any_below(T::of(SMALL_LOG_PI))) => Power::SmallPi,
            1.0 => Power::One,
            2.0 => Power::Square,
            _ => Power::General,
        };
        Self { log_pi, one_hot, inv_pi, inv_tau, power }
    }

    /// Replaces the E of one draw by q Σq, where q = softmax(Y/τ). Returns Σq and Σ q_j Σq h_j.
    #[inline(always)]
    fn relax(&self, h: &[T], e: &mut [T]) -> (T, T) {
        // E is finite, so it can be selected by a multiplication.
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
                Power::SmallPi => {
                    let (log_pi, near) = (self.log_pi[j], sum.log2_normal() - log_hot);
                    let far = q.log2_normal() - log_hot - log_pi * T::of(std::f64::consts::LOG2_E);
                    let down = log_pi.if_above(T::of(SMALL_LOG_PI), near, far);
                    self.one_hot[j].select(T::ONE, (minus_inv_tau * down).exp2_nonpositive())
                }
            };
            norm += *q;
            mean = q.mul_add(h, mean);
        }
        (norm, mean)
    }
}

impl<'a, T: Real> IntoEmulated for Conditional<'a, T> {
    type Into = Conditional<'a, Emulated<T>>;
    fn into_emulated(self) -> Self::Into {
        let Self { log_pi, one_hot, inv_pi, inv_tau, power } = self;
        let [log_pi, one_hot, inv_pi] = [log_pi, one_hot, inv_pi].map(IntoEmulated::into_emulated);
        Conditional { log_pi, one_hot, inv_pi, inv_tau, power }
    }
}

vectorized! {
    /// Computes 1/π, and 0 at D.
    fn reciprocals<T: Real>(log_pi: &[T], one_hot: &[T], inv_pi: &mut [T]) {
        for ((inv_pi, &log_pi), &d) in inv_pi.iter_mut().zip(log_pi).zip(one_hot) {
            *inv_pi = d.select(T::ZERO, (-log_pi).exp());
        }
    }
}

vectorized! {
    fused
    /// Replaces the E of one draw by q = softmax(Y/τ).
    pub(super) fn relaxed_row_conditional<T: Real>(given: Conditional<'_, T>, q: &mut [T]) {
        let (norm, _) = given.relax(given.log_pi, q);
        let inv_norm = T::ONE / norm;
        q.iter_mut().for_each(|q| *q *= inv_norm);
    }
}

vectorized! {
    fused
    /// sums += Σ_k J(softmax(Y_k/τ)) g. Shapes: h = g − g_D and sums `[C]`, E `[draws, C]`, which
    /// is overwritten.
    ///
    /// Returns the sum of the added numbers, which is 0 up to rounding.
    fn add_jacobians<T: Real>(given: Conditional<'_, T>, h: &[T], e: &mut [T], sums: &mut [T]) -> T {
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
    use crate::kernels::softmax::{log_softmax_row, vjp_row};
    use crate::rng::{LaneRng, from_key, uniform};
    use crate::scalar::Scalar;

    /// Computes q = softmax(Y/τ) with logarithms only: (1 + (E_j/E_D)/π_j)^(−1/τ) =
    /// exp(−softplus(log E_j − log E_D − log π_j)/τ).
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
                let given = Conditional::new(&log_pi, &one_hot, tau, &mut inv_pi);
                let mut e = vec![T::ZERO; (1 + case * 2) * c];
                LaneRng::from_key(case as u64).fill_exponential(&mut e);
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

    /// The entries are sums over up to 13 draws of numbers below 1/4, with a few roundings of 2⁻²⁴
    /// and 2⁻⁵³. At τ = 1e-3 an error of the logarithm is multiplied by a thousand.
    #[test]
    fn draws_agree_with_a_computation_by_logarithms() {
        compare::<f32>(1e-3);
        compare::<f64>(1e-12);
    }
}
