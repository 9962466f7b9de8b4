//! MVE.

use crate::error::{Error, Result};
use crate::estimators::latent::at_sample;
use crate::estimators::{Formula, Latent, Work, finite};
use crate::kernels::laplacian::{SMALLEST, conductances, limit_conductances, solve};
use crate::kernels::softmax::{softmax_row, vjp_row};
use crate::scalar::Real;

/// MVE(λ): the minimum-variance estimator in a class that contains Straight-Through and ReinMax.
///
/// "Generalized and Optimal Straight-Through Estimators", AISTATS 2026.
///
/// ```text
/// ∂f/∂θ ≈ J(π) (r ⊙ u + λ w_D D),   A u = a
///     d_ij = 1 + λ(π_i + π_j);   A_ij = −λ π_i π_j / d_ij (i ≠ j);
///     row i of A sums to Σ_j π_j / d_ij
///     w_i = g_i / d_iD;   a = w ⊙ (1 + λπ) − λ⟨w, π⟩ D;   r_i = (1 + λπ_i)/(1 + 2λπ_i)
/// λ → ∞:
/// ∂f/∂θ ≈ ½ J(π) u + ½ g_D (D − π),   (diag(W1) − W) u = b
///     W_ij = π_i π_j / (π_i + π_j), 0 on the diagonal;
///     b_i = π_i g_i / (π_i + π_D) for i ≠ D, b_D = −Σ_{i≠D} b_i
/// ```
///
/// λ ≥ 0 weight of the second-order term; π = softmax(θ); D the one-hot sample; g = ∂f/∂D; x_D the
/// entry of x at D; J(q) g = q ⊙ (g − ⟨q, g⟩).
///
/// The mean is exact for linear f at every λ, and for quadratic f in the limit: the bias decreases
/// as 1/λ. At λ = 0 it is [`StraightThrough`](super::StraightThrough) at τ = 1. With two categories
/// the limit is [`ReinMax`](super::ReinMax) at τ = 1. It needs no conditional draws, and about C³/6
/// multiplications for each variable of C categories.
///
/// Deviations: none in exact arithmetic. A is factorised from its off-diagonal entries and row
/// sums, without subtractions, and the most probable category is eliminated last. Every λ from 0 to
/// 10³⁰ and the limit therefore have the accuracy of the number type.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Mve, Noise, Scratch};
/// let noise = Noise::from_gumbel(vec![0.0; 2]);
/// // π = (¼, ¾)
/// let (logits, one_hot) = ([0.0, 3.0_f64.ln()], [0.0, 1.0]);
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let of = |mve: Mve| {
///     let mut dlogits = [0.0; 2];
///     mve.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
///     dlogits[1]
/// };
/// assert!((of(Mve::new(0.0)?) - 0.75).abs() < 1e-15); // ST: 4 · ¼ · ¾
/// assert!((of(Mve::limit()) - 0.5).abs() < 1e-15); // ReinMax: 2 · 4 · ⅛ · ⅞ − ½ · ¾
/// // A = (23/60, −3/20; −3/20, 43/140), a = (0, 4/7), u = (9/10, 23/10):
/// // ¼ · ¾ · (18/5 − 3/5)
/// assert!((of(Mve::new(4.0)?) - 0.5625).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mve {
    lambda: f64,
}

impl Mve {
    /// Creates the estimator with weight `lambda` of the second-order term; infinity gives the
    /// [`limit`](Self::limit).
    ///
    /// # Errors
    /// If `lambda` is not a number from 0 to 1e30, or infinity.
    pub fn new(lambda: f64) -> Result<Self> {
        if lambda == f64::INFINITY {
            return Ok(Self::limit());
        }
        if lambda < 0.0 || lambda.is_nan() {
            return Err(Error::argument("lambda", lambda, "a number from 0 to 1e30, or inf"));
        }
        Ok(Self { lambda: finite("lambda", lambda)? })
    }

    /// Creates the estimator in the limit λ → ∞, which is exact for quadratic f.
    pub fn limit() -> Self {
        Self { lambda: f64::INFINITY }
    }
}

impl Formula for Mve {
    fn vjp<T: Real>(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
        let ([pi, last, d, u, w, gradient, m], rest) = work.take();
        let (matrix, _) = rest.take_together(pi.len());
        softmax_row(latent.logits, T::ONE, pi);
        last.copy_from_slice(pi);
        T::one_hot_of_largest(last);
        d.copy_from_slice(latent.one_hot);
        u.copy_from_slice(g);
        // From here on, the most probable category is the last one.
        exchange(last, pi);
        exchange(last, d);
        exchange(last, u);
        gradient.fill(T::ZERO);
        if self.lambda.is_finite() {
            finite_row(T::of(self.lambda), pi, d, u, w, matrix, m);
            vjp_row(T::ONE, pi, u, gradient); // J(π) (r ⊙ u + λ w_D D)
        } else {
            let half = T::of(0.5);
            let score = half * at_sample(d, u);
            limit_row(pi, d, u, w, matrix, m);
            vjp_row(half, pi, u, gradient); // ½ J(π) u
            for ((to, &d), &pi) in gradient.iter_mut().zip(&*d).zip(&*pi) {
                *to += score * (d - pi); // ½ g_D (D − π)
            }
        }
        exchange(last, gradient);
        dlogits.iter_mut().zip(&*gradient).for_each(|(to, &x)| *to += x);
    }

    fn work_rows(&self) -> usize {
        7
    }

    fn work_matrices(&self) -> usize {
        1
    }
}

/// Exchanges the last number of a row with the number at `place`, a one-hot row.
fn exchange<T: Real>(place: &[T], row: &mut [T]) {
    let Some(&end) = row.last() else { return };
    let other = at_sample(place, row);
    row.iter_mut().zip(place).for_each(|(x, &place)| *x = place.select(end, *x));
    if let Some(last) = row.last_mut() {
        *last = other;
    }
}

/// u ← r ⊙ u + λ w_D D. On entry `u` contains g.
fn finite_row<T: Real>(
    lambda: T,
    pi: &[T],
    d: &[T],
    u: &mut [T],
    w: &mut [T],
    matrix: &mut [T],
    m: &mut [T],
) {
    let pi_at_sample = at_sample(d, pi);
    let mut mean = T::ZERO;
    for ((w, &g), &pi) in w.iter_mut().zip(&*u).zip(pi) {
        *w = g / (T::ONE + lambda * (pi + pi_at_sample)); // w_i = g_i / d_iD
        mean += *w * pi;
    }
    let mean = lambda * mean;
    let jump = lambda * at_sample(d, w);
    for (((a, &w), &pi), &d) in u.iter_mut().zip(&*w).zip(pi).zip(d) {
        *a = w * (T::ONE + lambda * pi) - d.select(mean, T::ZERO); // a = w ⊙ (1 + λπ) − λ⟨w, π⟩ D
    }
    conductances(lambda, pi, matrix, m);
    solve(matrix, m, w, u); // Σ a = Σ w
    for ((u, &pi), &d) in u.iter_mut().zip(pi).zip(d) {
        let scaled = lambda * pi;
        let r = (T::ONE + scaled) / (T::ONE + (scaled + scaled));
        *u = r * *u + d.select(jump, T::ZERO); // r ⊙ u + λ w_D D
    }
}

/// u ← the solution of (diag(W1) − W) u = b. On entry `u` contains g.
fn limit_row<T: Real>(pi: &[T], d: &[T], u: &mut [T], zeros: &mut [T], matrix: &mut [T], m: &mut [T]) {
    let pi_at_sample = at_sample(d, pi);
    let mut total = T::ZERO;
    for ((b, &pi), &d) in u.iter_mut().zip(pi).zip(d) {
        let part = pi / (pi + pi_at_sample).max(T::of(SMALLEST)) * *b; // b_i = π_i g_i / (π_i + π_D)
        *b = d.select(T::ZERO, part);
        total += *b;
    }
    u.iter_mut().zip(d).for_each(|(b, &d)| *b = d.select(-total, *b)); // b_D = −Σ b_i
    zeros.fill(T::ZERO);
    limit_conductances(pi, matrix, m);
    solve(matrix, m, zeros, u); // Σ b = 0
}
