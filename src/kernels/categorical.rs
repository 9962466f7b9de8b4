//! Categorical distributions that are specified by logits: entropy, divergence between two of them,
//! and log-probability of a sample.
//!
//! Matrices are row-major `[N, L·C]`: L variables of C = `group` categories in each of N rows of
//! `cols` = L·C numbers. A result is one number per row, in nats, summed over the row's variables;
//! a vjp takes one cotangent per row.
//!
//! Masks, infinite values and NaN: see [`crate::categorical`].

use super::softmax::{self, max, raised};
use crate::par::{self, Blocks, Wide};
use crate::scalar::{Real, Scalar};
use crate::simd::lanes::{self, LANES, Lanes};
use crate::simd::vectorized;

/// Rows per block of parallel work.
pub(super) const ROWS: usize = 25;

/// Length of the `scratch` that each function of this module needs, for N = `rows`.
///
/// ```
/// use hardgrad::categorical::scratch_len;
/// assert_eq!(scratch_len(0, 4, 2), 0);
/// assert!(scratch_len(1, 4, 2) >= 3 * 16 * 2 + 2); // three buffers for sixteen variables
/// ```
///
/// # Panics
/// If `cols` is not a multiple of `group`, or `group` is 0.
#[track_caller]
pub fn scratch_len(rows: usize, cols: usize, group: usize) -> usize {
    check_group(cols, group);
    rows.div_ceil(ROWS) * block_scratch(cols, group)
}

/// Per block: three buffers for sixteen interleaved variables, and one number per variable.
pub(super) fn block_scratch(cols: usize, group: usize) -> usize {
    lanes::memory(3 * group) + ROWS * (cols / group)
}

#[track_caller]
pub(super) fn check_group(cols: usize, group: usize) {
    assert!(
        group > 0 && cols.is_multiple_of(group),
        "got {cols} columns, expected a multiple of the group size {group}"
    );
}

#[track_caller]
pub(super) fn check_len(name: &str, len: usize, expected: usize) {
    assert!(len == expected, "{name}: {len} numbers, expected {expected}");
}

/// Entropy of softmax(x), −Σ_l Σ_c π ln π. Shapes: x `[N, L·C]` → out `[N]`.
///
/// ```
/// use hardgrad::categorical::{entropy, scratch_len};
/// let (mut out, mut scratch) = ([0.0], vec![0.0; scratch_len(1, 6, 3)]);
/// // (¼, 0, ¾) and three equal probabilities
/// let x = [0.0, f64::NEG_INFINITY, 3.0_f64.ln(), 5.0, 5.0, 5.0];
/// entropy(&x, 6, 3, &mut out, &mut scratch);
/// let expected = -0.25 * 0.25_f64.ln() - 0.75 * 0.75_f64.ln() + 3.0_f64.ln();
/// assert!((out[0] - expected).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than [`scratch_len`].
#[track_caller]
pub fn entropy<T: Scalar>(x: &[T], cols: usize, group: usize, out: &mut [T], scratch: &mut [T]) {
    check_group(cols, group);
    check_len("x", x.len(), out.len() * cols);
    softmax::negative_entropy_plus(0.0, x, cols, group, out, scratch);
    out.iter_mut().for_each(|out| *out = T::ZERO - *out);
}

/// dx −= g · π ⊙ (ln π − ⟨π, ln π⟩). Shapes: x and dx `[N, L·C]`, g `[N]`.
///
/// ```
/// use hardgrad::categorical::{entropy_vjp, scratch_len};
/// let (mut dx, mut scratch) = ([0.0; 2], vec![0.0; scratch_len(1, 2, 2)]);
/// entropy_vjp(&[0.0, 3.0_f64.ln()], 2, 2, &[2.0], &mut dx, &mut scratch); // π = (¼, ¾)
/// assert!((dx[0] - 2.0 * 0.25 * 0.75 * 3.0_f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than [`scratch_len`].
#[track_caller]
pub fn entropy_vjp<T: Scalar>(x: &[T], cols: usize, group: usize, g: &[T], dx: &mut [T], scratch: &mut [T]) {
    check_group(cols, group);
    check_len("x", x.len(), g.len() * cols);
    check_len("dx", dx.len(), x.len());
    softmax::negative_entropy_vjp(-T::ONE, x, cols, group, g, dx, scratch);
}

/// KL(softmax(q) ‖ softmax(p)), Σ_l Σ_c π_q (ln π_q − ln π_p). Shapes: q and p
/// `[N, L·C]` → out `[N]`.
///
/// A category masked in q contributes 0, whatever its probability in p. If p masks a category that
/// q does not, the divergence is +∞.
///
/// ```
/// use hardgrad::categorical::{kl, scratch_len};
/// let (mut out, mut scratch) = ([0.0], vec![0.0; scratch_len(1, 3, 3)]);
/// let q = [0.0, 3.0_f64.ln(), f64::NEG_INFINITY]; // (¼, ¾, 0)
/// kl(&q, &[7.0, 7.0, 7.0 + 2.0_f64.ln()], 3, 3, &mut out, &mut scratch); // from (¼, ¼, ½)
/// assert!((out[0] - 0.75 * 3.0_f64.ln()).abs() < 1e-15);
/// kl(&[0.0, 3.0_f64.ln(), 0.0], &q, 3, 3, &mut out, &mut scratch);
/// assert_eq!(out[0], f64::INFINITY);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than [`scratch_len`].
#[track_caller]
pub fn kl<T: Scalar>(q: &[T], p: &[T], cols: usize, group: usize, out: &mut [T], scratch: &mut [T]) {
    check_len("q", q.len(), out.len() * cols);
    check_len("p", p.len(), q.len());
    reduce(Value::Kl, Pair::new(q, p, cols, group), out, scratch);
}

/// dq += g · π_q ⊙ (r − ⟨π_q, r⟩) with r = ln π_q − ln π_p. Shapes: q, p and dq
/// `[N, L·C]`, g `[N]`.
///
/// ```
/// use hardgrad::categorical::{kl_vjp_q, scratch_len};
/// let (mut dq, mut scratch) = ([0.0; 2], vec![0.0; scratch_len(1, 2, 2)]);
/// let (q, p) = ([0.0, 3.0_f64.ln()], [0.0, 0.0]); // (¼, ¾) and (½, ½)
/// kl_vjp_q(&q, &p, 2, 2, &[2.0], &mut dq, &mut scratch);
/// assert!((dq[1] - 2.0 * 0.25 * 0.75 * 3.0_f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than [`scratch_len`].
#[track_caller]
pub fn kl_vjp_q<T: Scalar>(
    q: &[T],
    p: &[T],
    cols: usize,
    group: usize,
    g: &[T],
    dq: &mut [T],
    scratch: &mut [T],
) {
    reduce_vjp(Vjp::KlQ, Pair::new(q, p, cols, group), g, dq, scratch);
}

/// dp += g (π_p − π_q). Shapes: q, p and dp `[N, L·C]`, g `[N]`.
///
/// ```
/// use hardgrad::categorical::{kl_vjp_p, scratch_len};
/// let (mut dp, mut scratch) = ([0.0; 2], vec![0.0; scratch_len(1, 2, 2)]);
/// let (q, p) = ([0.0, 3.0_f64.ln()], [0.0, 0.0]); // (¼, ¾) and (½, ½)
/// kl_vjp_p(&q, &p, 2, 2, &[2.0], &mut dp, &mut scratch);
/// assert!((dp[0] - 0.5).abs() < 1e-15 && (dp[1] + 0.5).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than [`scratch_len`].
#[track_caller]
pub fn kl_vjp_p<T: Scalar>(
    q: &[T],
    p: &[T],
    cols: usize,
    group: usize,
    g: &[T],
    dp: &mut [T],
    scratch: &mut [T],
) {
    reduce_vjp(Vjp::KlP, Pair::new(q, p, cols, group), g, dp, scratch);
}

/// Log-probability of the one-hot sample d under softmax(x), Σ_l Σ_c d ln π. Shapes: x and d
/// `[N, L·C]` → out `[N]`.
///
/// d may also contain weights ≥ 0, for example a relaxed sample. A masked category with weight 0
/// contributes 0; with a weight > 0 it makes the result −∞.
///
/// ```
/// use hardgrad::categorical::{log_prob, scratch_len};
/// let (mut out, mut scratch) = ([0.0], vec![0.0; scratch_len(1, 4, 2)]);
/// let x = [0.0, 3.0_f64.ln(), f64::NEG_INFINITY, 1.0]; // (¼, ¾) and (0, 1)
/// log_prob(&x, &[1.0, 0.0, 0.0, 1.0], 4, 2, &mut out, &mut scratch);
/// assert!((out[0] - 0.25_f64.ln()).abs() < 1e-15);
/// log_prob(&x, &[1.0, 0.0, 1.0, 0.0], 4, 2, &mut out, &mut scratch);
/// assert_eq!(out[0], f64::NEG_INFINITY);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than [`scratch_len`].
#[track_caller]
pub fn log_prob<T: Scalar>(x: &[T], d: &[T], cols: usize, group: usize, out: &mut [T], scratch: &mut [T]) {
    check_len("x", x.len(), out.len() * cols);
    check_len("d", d.len(), x.len());
    reduce(Value::LogProb, Pair::new(x, d, cols, group), out, scratch);
}

/// dx += g (d − π Σ d), for each variable. Shapes: x, d and dx `[N, L·C]`, g `[N]`.
///
/// ```
/// use hardgrad::categorical::{log_prob_vjp_logits, scratch_len};
/// let (mut dx, mut scratch) = ([0.0; 2], vec![0.0; scratch_len(1, 2, 2)]);
/// let (x, d) = ([0.0, 3.0_f64.ln()], [1.0, 0.0]); // π = (¼, ¾)
/// log_prob_vjp_logits(&x, &d, 2, 2, &[2.0], &mut dx, &mut scratch);
/// assert!((dx[0] - 2.0 * 0.75).abs() < 1e-15 && (dx[1] + 2.0 * 0.75).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than [`scratch_len`].
#[track_caller]
pub fn log_prob_vjp_logits<T: Scalar>(
    x: &[T],
    d: &[T],
    cols: usize,
    group: usize,
    g: &[T],
    dx: &mut [T],
    scratch: &mut [T],
) {
    reduce_vjp(Vjp::LogProbLogits, Pair::new(x, d, cols, group), g, dx, scratch);
}

/// dd += g ln π, and 0 for a masked category, which no sample can select. Shapes: x, d and dd `[N,
/// L·C]`, g `[N]`.
///
/// ```
/// use hardgrad::categorical::{log_prob_vjp_sample, scratch_len};
/// let (mut dd, mut scratch) = ([0.0; 3], vec![0.0; scratch_len(1, 3, 3)]);
/// let x = [0.0, 3.0_f64.ln(), f64::NEG_INFINITY]; // (¼, ¾, 0)
/// log_prob_vjp_sample(&x, &[1.0, 0.0, 0.0], 3, 3, &[2.0], &mut dd, &mut scratch);
/// assert!((dd[1] - 2.0 * 0.75_f64.ln()).abs() < 1e-15);
/// assert_eq!(dd[2], 0.0);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than [`scratch_len`].
#[track_caller]
pub fn log_prob_vjp_sample<T: Scalar>(
    x: &[T],
    d: &[T],
    cols: usize,
    group: usize,
    g: &[T],
    dd: &mut [T],
    scratch: &mut [T],
) {
    reduce_vjp(Vjp::LogProbSample, Pair::new(x, d, cols, group), g, dd, scratch);
}

/// Two matrices of equal shape, `[N, L·C]`.
#[derive(Clone, Copy)]
struct Pair<'a, T> {
    a: &'a [T],
    b: &'a [T],
    cols: usize,
    group: usize,
}

impl<'a, T> Pair<'a, T> {
    #[track_caller]
    fn new(a: &'a [T], b: &'a [T], cols: usize, group: usize) -> Self {
        check_group(cols, group);
        check_len("the second matrix", b.len(), a.len());
        Self { a, b, cols, group }
    }

    /// `count` rows of both matrices, starting at row `first`.
    fn rows(self, first: usize, count: usize) -> Self {
        let range = first * self.cols..(first + count) * self.cols;
        Self { a: &self.a[range.clone()], b: &self.b[range], ..self }
    }
}

/// out = the value of each row, summed over its variables.
fn reduce<T: Scalar>(value: Value, pair: Pair<'_, T>, out: &mut [T], scratch: &mut [T]) {
    if pair.cols == 0 {
        return out.fill(T::ZERO);
    }
    let slice = &mut scratch[..scratch_len(out.len(), pair.cols, pair.group)];
    let work =
        (Blocks { slice: out, size: ROWS }, Wide { slice, times: block_scratch(pair.cols, pair.group) });
    par::for_each_block(work, 1, |block, (out, scratch): (Blocks<'_, T>, Wide<'_, T>)| {
        let pair = pair.rows(block * ROWS, out.slice.len());
        reduce_block(value, pair, out.slice, scratch.slice);
    });
}

vectorized! {
    fn reduce_block<T: Scalar>(value: Value, pair: Pair<'_, T>, out: &mut [T], scratch: &mut [T]) {
        let Pair { a, b, cols, group } = pair;
        let (of_variables, scratch) = scratch.split_at_mut(a.len() / group);
        let (s, rest) = Lanes::slice_of(scratch).split_at_mut(group);
        let (t, e) = rest.split_at_mut(group);
        let variables = a.chunks(LANES * group).zip(b.chunks(LANES * group));
        for ((a, b), of_variables) in variables.zip(of_variables.chunks_mut(LANES)) {
            lanes::from_rows(a, s, e);
            lanes::from_rows(b, t, e);
            let values = value.of_row(s, t, e);
            of_variables.copy_from_slice(&values.as_ref()[..of_variables.len()]);
        }
        for (out, of_variables) in out.iter_mut().zip(of_variables.chunks_exact(cols / group)) {
            *out = of_variables.iter().copied().sum();
        }
    }
}

/// The vjp of [`reduce`] into the gradient `d` of one of the two matrices, with one g per row.
#[track_caller]
fn reduce_vjp<T: Scalar>(vjp: Vjp, pair: Pair<'_, T>, g: &[T], d: &mut [T], scratch: &mut [T]) {
    check_len("the gradient", d.len(), pair.a.len());
    check_len("the matrix", pair.a.len(), g.len() * pair.cols);
    if pair.cols == 0 {
        return;
    }
    let slice = &mut scratch[..scratch_len(g.len(), pair.cols, pair.group)];
    let times = block_scratch(pair.cols, pair.group);
    let work = (Blocks { slice: d, size: ROWS * pair.cols }, Wide { slice, times });
    par::for_each_block(work, 1, |block, (d, scratch): (Blocks<'_, T>, Wide<'_, T>)| {
        let count = d.slice.len() / pair.cols;
        let g = &g[block * ROWS..][..count];
        reduce_vjp_block(vjp, pair.rows(block * ROWS, count), g, d.slice, scratch.slice);
    });
}

vectorized! {
    fn reduce_vjp_block<T: Scalar>(vjp: Vjp, pair: Pair<'_, T>, g: &[T], d: &mut [T], scratch: &mut [T]) {
        let Pair { a, b, cols, group } = pair;
        let (s, rest) = Lanes::slice_of(scratch).split_at_mut(group);
        let (t, e) = rest.split_at_mut(group);
        let variables = a.chunks(LANES * group).zip(b.chunks(LANES * group));
        for (k, ((a, b), d)) in variables.zip(d.chunks_mut(LANES * group)).enumerate() {
            lanes::from_rows(a, s, e);
            lanes::from_rows(b, t, e);
            let row = |l: usize| ((k * LANES + l) * group / cols).min(g.len() - 1);
            vjp.of_row(Lanes::from_fn(|l| g[row(l)]), s, t, e);
            lanes::add_to_rows(s, d, e);
        }
    }
}

/// The function that [`reduce`] computes for each variable.
#[derive(Clone, Copy)]
enum Value {
    Kl,
    LogProb,
}

impl Value {
    /// The value of one variable, or of sixteen interleaved variables. Overwrites all three rows.
    #[inline(always)]
    fn of_row<T: Real>(self, a: &mut [T], b: &mut [T], e: &mut [T]) -> T {
        match self {
            Self::Kl => divergence_row(a, b, e).value,
            Self::LogProb => log_prob_row(a, b, e).value,
        }
    }
}

/// The function that [`reduce_vjp`] computes for each variable.
#[derive(Clone, Copy)]
enum Vjp {
    KlQ,
    KlP,
    LogProbLogits,
    LogProbSample,
}

impl Vjp {
    /// a ← the contribution of one variable, or of sixteen interleaved variables, to the gradient.
    /// Overwrites all three rows.
    #[inline(always)]
    fn of_row<T: Real>(self, g: T, a: &mut [T], b: &mut [T], e: &mut [T]) {
        match self {
            Self::KlQ => kl_vjp_q_row(g, a, b, e),
            Self::KlP => kl_vjp_p_row(g, a, b, e),
            Self::LogProbLogits => log_prob_vjp_logits_row(g, a, b, e),
            Self::LogProbSample => log_prob_vjp_sample_row(g, a, b, e),
        }
    }
}

/// g, or NaN if the value is not finite.
#[inline(always)]
fn if_finite<T: Real>(g: T, value: T) -> T {
    g + value * T::ZERO
}

/// The divergence of one variable.
struct Divergence<T> {
    value: T,
    /// Σ eˢ
    q_total: T,
    /// Σ eᵗ
    p_total: T,
    /// ⟨π_q, r⟩
    mean: T,
}

/// With s = q − max q and t = p − max p: q ← r = s − t, p ← eᵗ, e ← eˢ. As ln π_q − ln π_p is
/// r − ln Σ eˢ + ln Σ eᵗ, the divergence is ⟨π_q, r⟩ − ln Σ eˢ + ln Σ eᵗ.
#[inline(always)]
fn divergence_row<T: Real>(q: &mut [T], p: &mut [T], e: &mut [T]) -> Divergence<T> {
    let (q_top, p_top, lowest) = (max(q), max(p), raised(T::NEG_INFINITY));
    let (mut q_total, mut p_total, mut mean) = (T::ZERO, T::ZERO, T::ZERO);
    for ((q, p), e) in q.iter_mut().zip(p).zip(e) {
        let (s, t) = (raised(*q - q_top), *p - p_top);
        *e = s.exp();
        *p = t.exp();
        q_total += *e;
        p_total += *p;
        // Where p masks the category: +∞ if q does not, else 0.
        let alone = s.if_above(lowest, -T::NEG_INFINITY, T::ZERO);
        *q = t.if_above(T::NEG_INFINITY, s - t, alone);
        mean += t.if_above(T::NEG_INFINITY, *e * *q, alone);
    }
    let mean = mean / q_total;
    Divergence { value: mean - q_total.ln() + p_total.ln(), q_total, p_total, mean }
}

/// q ← g · π_q ⊙ (r − ⟨π_q, r⟩), of one variable.
#[inline(always)]
fn kl_vjp_q_row<T: Real>(g: T, q: &mut [T], p: &mut [T], e: &mut [T]) {
    let Divergence { value, q_total, mean, .. } = divergence_row(q, p, e);
    let weight = if_finite(g, value) / q_total;
    for (q, &e) in q.iter_mut().zip(&*e) {
        *q = weight * e * (*q - mean);
    }
}

/// q ← g (π_p − π_q), of one variable.
#[inline(always)]
fn kl_vjp_p_row<T: Real>(g: T, q: &mut [T], p: &mut [T], e: &mut [T]) {
    let Divergence { value, q_total, p_total, .. } = divergence_row(q, p, e);
    let weight = if_finite(g, value);
    for ((q, &p), &e) in q.iter_mut().zip(&*p).zip(&*e) {
        *q = weight * (p / p_total - e / q_total);
    }
}

/// The log-probability of one variable's sample.
struct LogProb<T> {
    value: T,
    /// Σ eˢ
    total: T,
    /// Σ d
    weights: T,
}

/// With s = x − max x: x ← s and e ← eˢ. The log-probability is Σ d s − (Σ d) ln Σ eˢ.
#[inline(always)]
fn log_prob_row<T: Real>(x: &mut [T], d: &[T], e: &mut [T]) -> LogProb<T> {
    let top = max(x);
    let (mut total, mut weights, mut dot) = (T::ZERO, T::ZERO, T::ZERO);
    for ((x, &d), e) in x.iter_mut().zip(d).zip(e) {
        *x -= top;
        *e = x.exp();
        total += *e;
        weights += d;
        // Where x masks the category: −∞ if the sample selects it, else 0.
        dot += x.if_above(T::NEG_INFINITY, d * *x, d.if_above(T::ZERO, T::NEG_INFINITY, d * T::ZERO));
    }
    LogProb { value: dot - weights * total.ln(), total, weights }
}

/// x ← g (d − π Σ d), of one variable.
#[inline(always)]
fn log_prob_vjp_logits_row<T: Real>(g: T, x: &mut [T], d: &[T], e: &mut [T]) {
    let LogProb { value, total, weights } = log_prob_row(x, d, e);
    let (weight, share) = (if_finite(g, value), weights / total);
    for ((x, &d), &e) in x.iter_mut().zip(d).zip(&*e) {
        *x = weight * (d - e * share);
    }
}

/// x ← g ln π, or 0 where x is −∞, of one variable.
#[inline(always)]
fn log_prob_vjp_sample_row<T: Real>(g: T, x: &mut [T], d: &[T], e: &mut [T]) {
    let LogProb { value, total, .. } = log_prob_row(x, d, e);
    let (weight, log_total) = (if_finite(g, value), total.ln());
    for x in x {
        *x = x.if_above(T::NEG_INFINITY, weight * (*x - log_total), weight * T::ZERO);
    }
}
