//! ReinMax.

use crate::error::Result;
use crate::estimators::{Formula, Latent, Work, temperature};
use crate::kernels::softmax::{log_softmax_row, softmax_row, vjp_row};
use crate::scalar::Real;

/// ReinMax(τ): a second-order straight-through estimator.
///
/// Liu et al., "Bridging Discrete and Backpropagation: Straight-Through and Beyond" (2023); Wang
/// and Bui (2026), eq. 12.
///
/// ```text
/// ∂f/∂θ ≈ 2 J((π_τ + D)/2) g − ½ J(π) g
/// ```
///
/// τ temperature; π = softmax(θ); π_τ = softmax(θ/τ); D the one-hot sample; g = ∂f/∂D; J(q) g = q ⊙
/// (g − ⟨q, g⟩).
///
/// There is no factor 1/τ, because π_τ enters as a value and not through its derivative. Any τ > 0
/// is valid (the published package rejects τ < 1, which the paper uses in other places). At τ = 1
/// the expectation is the second-order approximation, eq. 11, which is exact for quadratic f.
///
/// At τ = 1 it is, for every sample, the mean of [`StraightThrough`](super::StraightThrough) and
/// [`Darn`](super::Darn):
///
/// ```text
/// ½ [ π ⊙ (g − g_D) + D (g_D − ⟨π, g⟩) ]  =  ½ (ST + DARN)
/// ```
///
/// This is ZGR of Shekhovtsov, "Cold Analysis of Rao-Blackwellized Straight-Through Gumbel-Softmax
/// Gradient Estimator" (2023), the limit of [`GumbelRao`](super::GumbelRao) for τ → 0; the
/// registry's name `zgr` is this estimator at τ = 1. The code uses eq. 12 for every τ; the closed
/// form agrees up to rounding.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, ReinMax};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// ReinMax::new(1.0)?.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 0.5).abs() < 1e-15); // 2 · 4 · ⅛ · ⅞ − ½ · ¾
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReinMax {
    tau: f64,
}

impl ReinMax {
    /// Creates the estimator with temperature `tau`.
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30.
    pub fn new(tau: f64) -> Result<Self> {
        Ok(Self { tau: temperature(tau)? })
    }
}

impl Formula for ReinMax {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([p, pi], _) = work.take();
        softmax_row(latent.logits, T::ONE, pi);
        midpoint(latent, latent.one_hot, self.tau, pi, p);
        vjp_row(T::of(2.0), p, g, dlogits); // 2 J((π_τ + D)/2) g
        vjp_row(T::of(-0.5), pi, g, dlogits); // − ½ J(π) g
    }

    fn work_rows(&self) -> usize {
        2
    }
}

/// ReinMax with D replaced by onehot(argmax θ) in the first term, table 1. It shows which part of
/// ReinMax's variance comes from D, and is not for training.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, Scratch, ReinMaxArgmax};
/// // π = (¼, ¾), g = (0, 4), so that J(q) g = 4 q_0 q_1 (−1, 1)
/// let noise = Noise::from_gumbel(vec![0.0, 0.0]);
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [1.0, 0.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// ReinMaxArgmax::new(1.0)?.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// // ReinMax gives 2 · 4 · ⅝ · ⅜ − ½ · ¾ = 1.5 here.
/// assert!((dlogits[1] - 0.5).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReinMaxArgmax {
    tau: f64,
}

impl ReinMaxArgmax {
    /// Creates the estimator with temperature `tau`.
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30.
    pub fn new(tau: f64) -> Result<Self> {
        Ok(Self { tau: temperature(tau)? })
    }
}

impl Formula for ReinMaxArgmax {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([p, pi, top], _) = work.take();
        top.copy_from_slice(latent.logits);
        T::one_hot_of_largest(top);
        softmax_row(latent.logits, T::ONE, pi);
        midpoint(latent, top, self.tau, pi, p);
        vjp_row(T::of(2.0), p, g, dlogits);
        vjp_row(T::of(-0.5), pi, g, dlogits);
    }

    fn work_rows(&self) -> usize {
        3
    }
}

/// Computes p = (π_τ + D)/2.
fn midpoint<T: Real>(latent: &Latent<'_, T>, one_hot: &[T], tau: f64, pi: &[T], p: &mut [T]) {
    if tau == 1.0 {
        p.copy_from_slice(pi);
    } else {
        softmax_row(latent.logits, T::of(tau), p);
    }
    for (p, &d) in p.iter_mut().zip(one_hot) {
        *p = (*p + d) * T::of(0.5);
    }
}

/// dlogits −= ½ J(π) g, the last term of every ReinMax-style estimator.
pub(super) fn subtract_half_jacobian<T: Real>(
    latent: &Latent<'_, T>,
    g: &[T],
    dlogits: &mut [T],
    pi: &mut [T],
) {
    softmax_row(latent.logits, T::ONE, pi);
    vjp_row(T::of(-0.5), pi, g, dlogits);
}

/// Computes θ_D = log((π + D)/2) in log space: log π − log 2, and log(1 + π_D) − log 2 at D. The
/// logarithm of an underflowed π is never taken.
pub(super) fn log_p_row<T: Real>(latent: &Latent<'_, T>, log_p: &mut [T]) {
    log_softmax_row(latent.logits, T::ONE, log_p);
    let at_sample = latent.at_sample(log_p).exp().ln_1p();
    let ln_2 = T::of(std::f64::consts::LN_2);
    for (log_p, &d) in log_p.iter_mut().zip(latent.one_hot) {
        *log_p = d.select(at_sample, *log_p) - ln_2;
    }
}
