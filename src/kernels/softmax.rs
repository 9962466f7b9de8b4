//! Softmax, log-softmax and the KL divergence to the uniform prior, by groups of C numbers.
//!
//! [`vjp_row`] is the one kernel from which ST, STGS, Gumbel-Rao, GST and ReinMax are all built: `J(q) g = q ⊙ (g − ⟨q, g⟩)`, the
//! softmax's vector-Jacobian product at a point `q` of the simplex.

use crate::par::{self, Blocks, Wide};
use crate::scalar::Scalar;
use crate::simd::{self, sum, sum_of, vectorized};

/// The largest of `x`; −∞ if there is none.
///
/// ```
/// assert_eq!(hardgrad::kernels::softmax::max(&[1.0, 3.0, 2.0]), 3.0);
/// ```
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
///
/// ```
/// let mut y = [0.0; 2];
/// hardgrad::kernels::softmax::softmax_row(&[1000.0, 1000.0 + 2.0 * 3.0_f64.ln()], 2.0, &mut y);
/// for (got, want) in y.iter().zip([0.25, 0.75]) {
///     assert!((got - want).abs() < 1e-13_f64);
/// }
/// ```
pub fn softmax_row<T: Scalar>(x: &[T], tau: T, y: &mut [T]) {
    y.copy_from_slice(x);
    softmax_in_place(tau, y);
}

vectorized! {
    /// x ← softmax(x / tau) of one group.
    pub fn softmax_in_place<T: Scalar>(tau: T, x: &mut [T]) {
        let top = max(x);
        x.iter_mut().for_each(|x| *x = (*x - top) / tau);
        simd::map(x, T::exp);
        let total = sum(x);
        x.iter_mut().for_each(|x| *x /= total);
    }
}

vectorized! {
    /// y = log softmax(x / tau) of one group.
    ///
    /// ```
    /// let mut y = [0.0; 2];
    /// hardgrad::kernels::softmax::log_softmax_row(&[0.0, 3.0_f64.ln()], 1.0, &mut y);
    /// for (got, want) in y.iter().zip([0.25_f64.ln(), 0.75_f64.ln()]) {
    ///     assert!((got - want).abs() < 1e-15_f64);
    /// }
    /// ```
    pub fn log_softmax_row<T: Scalar>(x: &[T], tau: T, y: &mut [T]) {
        let top = max(x);
        for (y, &x) in y.iter_mut().zip(x) {
            *y = (x - top) / tau;
        }
        let total = sum_of(y, y, exp_first).ln();
        y.iter_mut().for_each(|y| *y -= total);
    }
}

vectorized! {
    /// dx += weight · J(q) g = weight · q ⊙ (g − ⟨q, g⟩), of one group, for q on the simplex. With q = softmax(x / tau) and weight
    /// 1/tau this is the softmax's vjp.
    ///
    /// As Σ q = 1, a number may be taken off every g. Taking off the g of the largest q removes the largest term of the mean: near a
    /// corner of the simplex, where g − ⟨q, g⟩ would be the difference of two nearly equal numbers, no digits are lost.
    ///
    /// ```
    /// let mut dx = [1.0, 1.0];
    /// hardgrad::kernels::softmax::vjp_row(2.0, &[0.25, 0.75], &[0.0, 4.0], &mut dx); // ⟨q, g⟩ = 3
    /// for (got, want) in dx.iter().zip([-0.5_f64, 2.5]) {
    ///     assert!((got - want).abs() < 1e-15_f64);
    /// }
    /// ```
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
}

vectorized! {
    /// y = softmax(x) by groups of `group` numbers.
    ///
    /// ```
    /// let mut y = [0.0; 4];
    /// hardgrad::kernels::softmax::softmax(&[0.0, 3.0_f64.ln(), 7.0, 7.0], 2, &mut y);
    /// for (got, want) in y.iter().zip([0.25, 0.75, 0.5, 0.5]) {
    ///     assert!((got - want).abs() < 1e-15_f64);
    /// }
    /// ```
    pub fn softmax<T: Scalar>(x: &[T], group: usize, y: &mut [T]) {
        for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
            softmax_row(x, T::ONE, y);
        }
    }
}

vectorized! {
    /// dx += J(y) g by groups; y is the softmax.
    ///
    /// ```
    /// let mut dx = [0.0; 2];
    /// hardgrad::kernels::softmax::softmax_vjp(&[0.25, 0.75], 2, &[0.0, 4.0], &mut dx);
    /// for (got, want) in dx.iter().zip([-0.75_f64, 0.75]) {
    ///     assert!((got - want).abs() < 1e-15_f64);
    /// }
    /// ```
    pub fn softmax_vjp<T: Scalar>(y: &[T], group: usize, g: &[T], dx: &mut [T]) {
        for ((y, g), dx) in y.chunks(group).zip(g.chunks(group)).zip(dx.chunks_mut(group)) {
            vjp_row(T::ONE, y, g, dx);
        }
    }
}

vectorized! {
    /// y = log softmax(x) by groups of `group` numbers.
    ///
    /// ```
    /// let mut y = [0.0; 2];
    /// hardgrad::kernels::softmax::log_softmax(&[0.0, 3.0_f64.ln()], 2, &mut y);
    /// for (got, want) in y.iter().zip([0.25_f64.ln(), 0.75_f64.ln()]) {
    ///     assert!((got - want).abs() < 1e-15_f64);
    /// }
    /// ```
    pub fn log_softmax<T: Scalar>(x: &[T], group: usize, y: &mut [T]) {
        for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
            log_softmax_row(x, T::ONE, y);
        }
    }
}

vectorized! {
    /// dx += g − eʸ Σ g by groups; y is the log-softmax.
    ///
    /// ```
    /// let mut dx = [0.0; 2];
    /// hardgrad::kernels::softmax::log_softmax_vjp(&[0.25_f64.ln(), 0.75_f64.ln()], 2, &[0.0, 4.0], &mut dx);
    /// for (got, want) in dx.iter().zip([-1.0, 1.0]) {
    ///     assert!((got - want).abs() < 1e-15_f64);
    /// }
    /// ```
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

/// Rows to a block of the divergence's parallel work.
const ROWS: usize = 25;

/// Length of the divergence's `scratch`: two rows for each block.
pub fn categorical_kl_scratch(rows: usize, cols: usize) -> usize {
    rows.div_ceil(ROWS) * 2 * cols
}

/// KL divergence from softmax(x) to the uniform distribution, summed over the row's groups, in nats: x `[N, L·C]`, one
/// result a row: Σ_l Σ_c π ln π + L ln C.
///
/// With s and Z as in `for_each_group`, ln π = s − ln Z, so π ln π needs no epsilon: where π underflows to 0, s is finite and the
/// product is 0.
///
/// ```
/// use hardgrad::kernels::softmax::{categorical_kl, categorical_kl_scratch};
/// let (mut kl, mut scratch) = ([0.0], vec![0.0; categorical_kl_scratch(1, 2)]);
/// categorical_kl(&[0.0, 3.0_f64.ln()], 2, 2, &mut kl, &mut scratch); // π = (¼, ¾)
/// let expected = 0.25 * 0.25_f64.ln() + 0.75 * 0.75_f64.ln() + 2.0_f64.ln();
/// assert!((kl[0] - expected).abs() < 1e-15);
/// ```
pub fn categorical_kl<T: Scalar>(x: &[T], cols: usize, group: usize, kl: &mut [T], scratch: &mut [T]) {
    if cols == 0 {
        return kl.fill(T::ZERO);
    }
    let slice = &mut scratch[..categorical_kl_scratch(kl.len(), cols)];
    let work = (Blocks { slice: kl, size: ROWS }, Wide { slice, times: 2 * cols });
    par::for_each_block(work, 1, |block, (kl, scratch): (Blocks<'_, T>, Wide<'_, T>)| {
        categorical_kl_block(&x[block * ROWS * cols..], cols, group, kl.slice, scratch.slice);
    });
}

vectorized! {
    fn categorical_kl_block<T: Scalar>(x: &[T], cols: usize, group: usize, kl: &mut [T], scratch: &mut [T]) {
        let uniform = T::of((group as f64).ln());
        let (s, e) = scratch.split_at_mut(cols);
        for (x, kl) in x.chunks_exact(cols).zip(kl) {
            *kl = T::ZERO;
            for_each_group(x, group, s, e, |_, _, _, total, mean| {
                *kl += uniform + (mean - total.ln());
            });
        }
    }
}

/// dx += g · π ⊙ (ln π − ⟨π, ln π⟩) = g · π ⊙ (s − ⟨π, s⟩), with one g a row.
pub fn categorical_kl_vjp<T: Scalar>(
    x: &[T],
    cols: usize,
    group: usize,
    g: &[T],
    dx: &mut [T],
    scratch: &mut [T],
) {
    let slice = &mut scratch[..categorical_kl_scratch(g.len(), cols)];
    let work = (Blocks { slice: dx, size: (ROWS * cols).max(1) }, Wide { slice, times: (2 * cols).max(1) });
    par::for_each_block(work, 1, |block, (dx, scratch): (Blocks<'_, T>, Wide<'_, T>)| {
        let x = &x[block * ROWS * cols..];
        categorical_kl_vjp_block(x, cols, group, &g[block * ROWS..], dx.slice, scratch.slice);
    });
}

vectorized! {
    fn categorical_kl_vjp_block<T: Scalar>(
        x: &[T],
        cols: usize,
        group: usize,
        g: &[T],
        dx: &mut [T],
        scratch: &mut [T],
    ) {
        let (s, e) = scratch.split_at_mut(cols);
        for ((x, dx), &g) in x.chunks_exact(cols).zip(dx.chunks_exact_mut(cols)).zip(g) {
            for_each_group(x, group, s, e, |at, s, e, total, mean| {
                let weight = g / total;
                for ((dx, &s), &e) in dx[at..].iter_mut().zip(s).zip(e) {
                    *dx += weight * e * (s - mean);
                }
            });
        }
    }
}
