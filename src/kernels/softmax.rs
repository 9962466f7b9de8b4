//! Softmax, log-softmax and the KL divergence to the uniform prior, by groups of C numbers.
//!
//! [`vjp_row`] is the one kernel from which ST, STGS, Gumbel-Rao, GST and ReinMax are all built: `J(q) g = q ⊙ (g − ⟨q, g⟩)`, the
//! softmax's vector-Jacobian product at a point `q` of the simplex.

use crate::scalar::Scalar;
use crate::simd::{sum, sum_of, vectorized};

/// The largest of `x`; −∞ if there is none.
#[inline(always)]
pub fn max<T: Scalar>(x: &[T]) -> T {
    x.iter().fold(T::NEG_INFINITY, |m, &x| m.max(x))
}

/// eᵃ
#[inline(always)]
fn exp_first<T: Scalar>(a: T, _: T) -> T {
    a.exp()
}

/// y = softmax(x / tau) of one group. The largest x is subtracted first, so the largest exponential is 1: no overflow, and
/// the sum is at least 1.
#[inline(always)]
pub fn softmax_row<T: Scalar>(x: &[T], tau: T, y: &mut [T]) {
    let top = max(x);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = ((x - top) / tau).exp();
    }
    let total = sum(y);
    y.iter_mut().for_each(|y| *y /= total);
}

/// y = log softmax(x / tau) of one group.
#[inline(always)]
pub fn log_softmax_row<T: Scalar>(x: &[T], tau: T, y: &mut [T]) {
    let top = max(x);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = (x - top) / tau;
    }
    let total = sum_of(y, y, exp_first).ln();
    y.iter_mut().for_each(|y| *y -= total);
}

/// dx += weight · J(q) g = weight · q ⊙ (g − ⟨q, g⟩), of one group, for q on the simplex. With q = softmax(x / tau) and weight
/// 1/tau this is the softmax's vjp.
///
/// As Σ q = 1, a number may be taken off every g. Taking off the g of the largest q removes the largest term of the mean: near a
/// corner of the simplex, where g − ⟨q, g⟩ would be the difference of two nearly equal numbers, no digits are lost.
#[inline(always)]
pub fn vjp_row<T: Scalar>(weight: T, q: &[T], g: &[T], dx: &mut [T]) {
    let Some(corner) = (0..q.len()).reduce(|best, i| if q[i] > q[best] { i } else { best }) else { return };
    let reference = g[corner];
    let mut mean = T::ZERO;
    for (&q, &g) in q.iter().zip(g) {
        mean += q * (g - reference);
    }
    for ((dx, &q), &g) in dx.iter_mut().zip(q).zip(g) {
        *dx += weight * q * ((g - reference) - mean);
    }
}

vectorized! {
    /// y = softmax(x) by groups of `group` numbers.
    pub fn softmax<T: Scalar>(x: &[T], group: usize, y: &mut [T]) {
        for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
            softmax_row(x, T::ONE, y);
        }
    }
}

vectorized! {
    /// dx += J(y) g by groups; y is the softmax.
    pub fn softmax_vjp<T: Scalar>(y: &[T], group: usize, g: &[T], dx: &mut [T]) {
        for ((y, g), dx) in y.chunks(group).zip(g.chunks(group)).zip(dx.chunks_mut(group)) {
            vjp_row(T::ONE, y, g, dx);
        }
    }
}

vectorized! {
    /// y = log softmax(x) by groups of `group` numbers.
    pub fn log_softmax<T: Scalar>(x: &[T], group: usize, y: &mut [T]) {
        for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
            log_softmax_row(x, T::ONE, y);
        }
    }
}

vectorized! {
    /// dx += g − eʸ Σ g by groups; y is the log-softmax.
    pub fn log_softmax_vjp<T: Scalar>(y: &[T], group: usize, g: &[T], dx: &mut [T]) {
        for ((y, g), dx) in y.chunks(group).zip(g.chunks(group)).zip(dx.chunks_mut(group)) {
            let total = sum(g);
            for ((dx, &y), &g) in dx.iter_mut().zip(y).zip(g) {
                *dx += g - y.exp() * total;
            }
        }
    }
}

/// Of each group of x: s = x − max x, e = eˢ, and `of_group(s, e, Z, ⟨π, s⟩)` with Z = Σ e and π = e / Z.
///
/// The exponentials of a whole row are taken at once, as groups of 8 would leave most of a vector unused.
#[inline(always)]
fn for_each_group<T: Scalar>(
    x: &[T],
    group: usize,
    s: &mut [T],
    e: &mut [T],
    mut of_group: impl FnMut(usize, &[T], &[T], T, T),
) {
    for (x, s) in x.chunks_exact(group).zip(s.chunks_exact_mut(group)) {
        let top = max(x);
        s.iter_mut().zip(x).for_each(|(s, &x)| *s = x - top);
    }
    e.iter_mut().zip(&*s).for_each(|(e, &s)| *e = s.exp());
    for (at, (s, e)) in s.chunks_exact(group).zip(e.chunks_exact(group)).enumerate() {
        let total = sum(e);
        of_group(at * group, s, e, total, sum_of(e, s, product) / total);
    }
}

#[inline(always)]
fn product<T: Scalar>(a: T, b: T) -> T {
    a * b
}

vectorized! {
    /// KL divergence from softmax(x) to the uniform distribution, summed over the row's groups, in nats: x `[N, L·C]`, one
    /// result a row: Σ_l Σ_c π ln π + L ln C.
    ///
    /// `scratch` has the length of two rows. With s and Z as in `for_each_group`, ln π = s − ln Z, so π ln π needs no epsilon: where π
    /// underflows to 0, s is finite and the product is 0.
    pub fn categorical_kl<T: Scalar>(x: &[T], cols: usize, group: usize, kl: &mut [T], scratch: &mut [T]) {
        let uniform = T::of((group as f64).ln());
        let (s, e) = scratch.split_at_mut(cols);
        for (i, kl) in kl.iter_mut().enumerate() {
            *kl = T::ZERO;
            for_each_group(&x[i * cols..(i + 1) * cols], group, s, e, |_, _, _, total, mean| {
                *kl += uniform + (mean - total.ln());
            });
        }
    }
}

vectorized! {
    /// dx += g · π ⊙ (ln π − ⟨π, ln π⟩) = g · π ⊙ (s − ⟨π, s⟩), with one g a row.
    pub fn categorical_kl_vjp<T: Scalar>(
        x: &[T],
        cols: usize,
        group: usize,
        g: &[T],
        dx: &mut [T],
        scratch: &mut [T],
    ) {
        let (s, e) = scratch.split_at_mut(cols);
        let rows = x.chunks(cols.max(1)).zip(dx.chunks_mut(cols.max(1)));
        for ((x, dx), &g) in rows.zip(g) {
            for_each_group(x, group, s, e, |at, s, e, total, mean| {
                let weight = g / total;
                for ((dx, &s), &e) in dx[at..].iter_mut().zip(s).zip(e) {
                    *dx += weight * e * (s - mean);
                }
            });
        }
    }
}
