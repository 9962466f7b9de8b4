//! A categorical distribution mixed with the uniform one.

use super::categorical::{ROWS, block_scratch, check_group, check_len, scratch_len};
use super::softmax::{max, raised};
use crate::par::{self, Blocks, Wide};
use crate::scalar::{Real, Scalar};
use crate::simd::lanes::{self, LANES, Lanes};
use crate::simd::vectorized;

/// Log-probabilities of softmax(x) mixed with the uniform distribution, for each variable:
///
/// ```text
/// y = ln( (1 − ε) softmax(x) + ε/C )
/// ```
///
/// The result can serve as logits, because softmax(y) is the mixture, so y can be the input of a
/// sample. Shapes: x and y `[N, L·C]`.
///
/// No category's probability is below ε/C, so that no category dies out and no log-probability is
/// far below ln(ε/C). All computation is in logarithms, so ε may be arbitrarily small; ε = 0 gives
/// the log-softmax.
///
/// A masked category, with a logit of −∞, stays masked. C is the number of unmasked categories.
///
/// Source: "unimix categoricals" of Hafner et al. 2023, "Mastering diverse domains through world
/// models" (DreamerV3), with ε = 0.01.
///
/// ```
/// use hardgrad::categorical::{scratch_len, unimix};
/// let (mut y, mut scratch) = ([0.0; 3], vec![0.0; scratch_len(1, 3, 3)]);
/// let x = [0.0, 3.0_f64.ln(), f64::NEG_INFINITY]; // (¼, ¾, 0)
/// unimix(0.5, &x, 3, 3, &mut y, &mut scratch); // ½ π, plus ¼ for each of the two
/// assert!((y[0] - 0.375_f64.ln()).abs() < 1e-15 && (y[1] - 0.625_f64.ln()).abs() < 1e-15);
/// assert_eq!(y[2], f64::NEG_INFINITY);
/// ```
///
/// # Panics
/// If ε is not in [0, 1], the length of a slice does not match its shape, or `scratch` is shorter
/// than [`scratch_len`].
#[track_caller]
pub fn unimix<T: Scalar>(epsilon: f64, x: &[T], cols: usize, group: usize, y: &mut [T], scratch: &mut [T]) {
    check_epsilon(epsilon);
    check_len("y", y.len(), x.len());
    let Some(work) = blocks(x.len(), cols, group, y, scratch) else { return };
    par::for_each_block(work, 1, |block, (y, scratch): (Blocks<'_, T>, Wide<'_, T>)| {
        let x = &x[block * ROWS * cols..][..y.slice.len()];
        unimix_block(epsilon, x, group, y.slice, scratch.slice);
    });
}

vectorized! {
    fn unimix_block<T: Scalar>(epsilon: f64, x: &[T], group: usize, y: &mut [T], scratch: &mut [T]) {
        let (s, e) = Lanes::slice_of(scratch).split_at_mut(group);
        y.fill(T::ZERO);
        for (x, y) in x.chunks(LANES * group).zip(y.chunks_mut(LANES * group)) {
            lanes::from_rows(x, s, e);
            unimix_row(epsilon, s, e);
            lanes::add_to_rows(s, y, e);
        }
    }
}

/// dx += f ⊙ g − π Σ f ⊙ g, for each variable, with f = (1 − ε) π / ((1 − ε) π + ε/C). Shapes: x, g
/// and dx `[N, L·C]`.
///
/// ```
/// use hardgrad::categorical::{scratch_len, unimix_vjp};
/// let (mut dx, mut scratch) = ([0.0; 2], vec![0.0; scratch_len(1, 2, 2)]);
/// unimix_vjp(0.5, &[0.0, 3.0_f64.ln()], 2, 2, &[3.0, 0.0], &mut dx, &mut scratch);
/// // π = (¼, ¾), f₀ = 0.125 / 0.375
/// assert!((dx[0] - 0.75).abs() < 1e-15 && (dx[1] + 0.75).abs() < 1e-15);
/// ```
///
/// # Panics
/// If ε is not in [0, 1], the length of a slice does not match its shape, or `scratch` is shorter
/// than [`scratch_len`].
#[track_caller]
pub fn unimix_vjp<T: Scalar>(
    epsilon: f64,
    x: &[T],
    cols: usize,
    group: usize,
    g: &[T],
    dx: &mut [T],
    scratch: &mut [T],
) {
    check_epsilon(epsilon);
    check_len("g", g.len(), x.len());
    check_len("dx", dx.len(), x.len());
    let Some(work) = blocks(x.len(), cols, group, dx, scratch) else { return };
    par::for_each_block(work, 1, |block, (dx, scratch): (Blocks<'_, T>, Wide<'_, T>)| {
        let range = block * ROWS * cols..block * ROWS * cols + dx.slice.len();
        unimix_vjp_block(epsilon, &x[range.clone()], group, &g[range], dx.slice, scratch.slice);
    });
}

vectorized! {
    fn unimix_vjp_block<T: Scalar>(
        epsilon: f64,
        x: &[T],
        group: usize,
        g: &[T],
        dx: &mut [T],
        scratch: &mut [T],
    ) {
        let (s, rest) = Lanes::slice_of(scratch).split_at_mut(group);
        let (t, e) = rest.split_at_mut(group);
        let variables = x.chunks(LANES * group).zip(g.chunks(LANES * group));
        for ((x, g), dx) in variables.zip(dx.chunks_mut(LANES * group)) {
            lanes::from_rows(x, s, e);
            lanes::from_rows(g, t, e);
            unimix_vjp_row(epsilon, s, t, e);
            lanes::add_to_rows(s, dx, e);
        }
    }
}

/// Panics if ε is not in [0, 1].
#[track_caller]
pub(crate) fn check_epsilon(epsilon: f64) {
    assert!((0.0..=1.0).contains(&epsilon), "unimix: epsilon is {epsilon}, expected a number in [0, 1]");
}

/// The output and the scratch memory in blocks of rows; `None` if there is nothing to compute.
#[track_caller]
fn blocks<'a, T>(
    len: usize,
    cols: usize,
    group: usize,
    out: &'a mut [T],
    scratch: &'a mut [T],
) -> Option<(Blocks<'a, T>, Wide<'a, T>)> {
    check_group(cols, group);
    if cols == 0 {
        return None;
    }
    check_len("x", len, len / cols * cols);
    let slice = &mut scratch[..scratch_len(len / cols, cols, group)];
    Some((Blocks { slice: out, size: ROWS * cols }, Wide { slice, times: block_scratch(cols, group) }))
}

/// With s = x − max x: x ← s, e ← eˢ. Returns Σ eˢ and the summands of the mixture: ln((1 − ε) π) −
/// s, and ln(ε/C) with C the number of unmasked categories.
#[inline(always)]
fn parts_row<T: Real>(epsilon: f64, x: &mut [T], e: &mut [T]) -> (T, T, T) {
    let top = max(x);
    let (mut total, mut count) = (T::ZERO, T::ZERO);
    for (x, e) in x.iter_mut().zip(e) {
        *x -= top;
        *e = x.exp();
        total += *e;
        count += x.if_above(T::NEG_INFINITY, T::ONE, T::ZERO);
    }
    (total, T::of((-epsilon).ln_1p()) - total.ln(), T::of(epsilon.ln()) - count.ln())
}

/// x ← ln( (1 − ε) π + ε/C ), of one variable. Overwrites e.
#[inline(always)]
fn unimix_row<T: Real>(epsilon: f64, x: &mut [T], e: &mut [T]) {
    let (_, shift, uniform) = parts_row(epsilon, x, e);
    for x in x {
        let own = raised(*x) + shift;
        let (larger, smaller) = (own.if_above(uniform, own, uniform), own.if_above(uniform, uniform, own));
        let sum = larger + (smaller - larger).exp().ln_1p();
        *x = x.if_above(T::NEG_INFINITY, sum, *x);
    }
}

/// x ← f ⊙ g − π Σ f ⊙ g, of one variable. Overwrites g and e.
#[inline(always)]
fn unimix_vjp_row<T: Real>(epsilon: f64, x: &mut [T], g: &mut [T], e: &mut [T]) {
    let (total, shift, uniform) = parts_row(epsilon, x, e);
    let mut sum = T::ZERO;
    for (x, g) in x.iter_mut().zip(&mut *g) {
        let f = T::ONE / (T::ONE + (uniform - (raised(*x) + shift)).exp());
        *g = x.if_above(T::NEG_INFINITY, *g * f, T::ZERO);
        sum += *g;
    }
    let mean = sum / total;
    for ((x, &mut g), &e) in x.iter_mut().zip(g).zip(&*e) {
        *x = g - e * mean;
    }
}
