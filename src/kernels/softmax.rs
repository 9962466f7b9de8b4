//! Softmax, log-softmax and the KL divergence to the uniform prior, for groups of C numbers.
//!
//! A logit of −∞ masks a category. Its probability and its gradient are exactly 0, and the other
//! categories have the values and gradients that they would have without it (with 0 · ln 0 = 0). A
//! group that consists only of −∞, or contains a NaN or +∞, gives NaN; other groups are not
//! affected.
//!
//! ST, STGS, Gumbel-Rao, GST and ReinMax are all built from [`vjp_row`]: `J(q) g = q ⊙ (g − ⟨q,
//! g⟩)`, the softmax's vector-Jacobian product at a point `q` of the simplex.

use super::categorical::{check_group, check_len};
use crate::par::{self, Blocks, Wide};
use crate::scalar::{Real, Scalar};
use crate::simd::lanes::{self, LANES, Lanes};
use crate::simd::{sum, vectorized};

/// The largest number of `x`; −∞ if there is none. NaNs are skipped. This is harmless where the
/// maximum is subtracted before an exponential, because NaN minus any number is NaN.
///
/// ```
/// assert_eq!(hardgrad::softmax::max(&[1.0, 3.0, 2.0]), 3.0);
/// ```
#[inline(always)]
pub fn max<T: Real>(x: &[T]) -> T {
    x.iter().fold(T::NEG_INFINITY, |m, &x| x.if_above(m, x, m))
}

/// y = softmax(x / tau) of one group. The largest x is subtracted first, so the largest exponential
/// is 1: nothing overflows, and the sum is at least 1.
///
/// ```
/// let mut y = [0.0; 2];
/// hardgrad::softmax::softmax_row(&[1000.0, 1000.0 + 2.0 * 3.0_f64.ln()], 2.0, &mut y);
/// for (got, want) in y.iter().zip([0.25, 0.75]) {
///     assert!((got - want).abs() < 1e-13_f64);
/// }
/// ```
pub fn softmax_row<T: Real>(x: &[T], tau: T, y: &mut [T]) {
    y.copy_from_slice(x);
    softmax_in_place(y, tau);
}

vectorized! {
    /// x ← softmax(x / tau) of one group.
    pub fn softmax_in_place<T: Real>(x: &mut [T], tau: T) {
        let (top, inv_tau) = (max(x), T::ONE / tau);
        for x in x.iter_mut() {
            *x = (*x - top) * inv_tau;
        }
        T::exp_all(x);
        let inv_total = T::ONE / T::total(x); // a vector division takes as long as thirty multiplications
        for x in x {
            *x *= inv_total;
        }
    }
}

vectorized! {
    /// y = log softmax(x / tau) of one group.
    ///
    /// ```
    /// let mut y = [0.0; 2];
    /// hardgrad::softmax::log_softmax_row(&[0.0, 3.0_f64.ln()], 1.0, &mut y);
    /// for (got, want) in y.iter().zip([0.25_f64.ln(), 0.75_f64.ln()]) {
    ///     assert!((got - want).abs() < 1e-15_f64);
    /// }
    /// ```
    pub fn log_softmax_row<T: Real>(x: &[T], tau: T, y: &mut [T]) {
        let top = max(x);
        for (y, &x) in y.iter_mut().zip(x) {
            *y = (x - top) / tau;
        }
        let total = T::total_exp(y).ln();
        y.iter_mut().for_each(|y| *y -= total);
    }
}

vectorized! {
    /// dx += weight · J(q) g = weight · q ⊙ (g − ⟨q, g⟩), of one group, for q on the simplex. With
    /// q = softmax(x / tau) and weight 1/tau this is the vjp of the softmax.
    ///
    /// Because Σ q = 1, a constant may be subtracted from every g. Subtracting the g of the largest
    /// q removes the largest term of the mean ⟨q, g⟩. Near a corner of the simplex g − ⟨q, g⟩ would
    /// otherwise be a difference of two nearly equal numbers; this prevents the cancellation.
    ///
    /// ```
    /// let mut dx = [1.0, 1.0];
    /// hardgrad::softmax::vjp_row(2.0, &[0.25, 0.75], &[0.0, 4.0], &mut dx); // ⟨q, g⟩ = 3
    /// for (got, want) in dx.iter().zip([-0.5_f64, 2.5]) {
    ///     assert!((got - want).abs() < 1e-15_f64);
    /// }
    /// ```
    pub fn vjp_row<T: Real>(weight: T, q: &[T], g: &[T], dx: &mut [T]) {
        let (mut largest, mut reference) = (T::NEG_INFINITY, T::ZERO);
        for (&q, &g) in q.iter().zip(g) {
            reference = q.if_above(largest, g, reference);
            largest = q.max(largest);
        }
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
    /// y = softmax(x) of each group of `group` numbers.
    pub fn softmax<T: Scalar>(x: &[T], group: usize, y: &mut [T]) {
        for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
            softmax_row(x, T::ONE, y);
        }
    }
}

vectorized! {
    /// dx += J(y) g of each group, where y is the softmax.
    pub fn softmax_vjp<T: Scalar>(y: &[T], group: usize, g: &[T], dx: &mut [T]) {
        for ((y, g), dx) in y.chunks(group).zip(g.chunks(group)).zip(dx.chunks_mut(group)) {
            vjp_row(T::ONE, y, g, dx);
        }
    }
}

vectorized! {
    /// y = log softmax(x) of each group of `group` numbers.
    pub fn log_softmax<T: Scalar>(x: &[T], group: usize, y: &mut [T]) {
        for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
            log_softmax_row(x, T::ONE, y);
        }
    }
}

vectorized! {
    /// dx += g − eʸ Σ g of each group, where y is the log-softmax.
    pub fn log_softmax_vjp<T: Scalar>(y: &[T], group: usize, g: &[T], dx: &mut [T]) {
        for ((y, g), dx) in y.chunks(group).zip(g.chunks(group)).zip(dx.chunks_mut(group)) {
            let total = sum(g);
            for ((dx, &y), &g) in dx.iter_mut().zip(y).zip(g) {
                *dx += g - y.exp() * total;
            }
        }
    }
}

/// Rows per block of the divergence's parallel work.
const ROWS: usize = 25;

/// Length of the divergence's `scratch`. Per block: two buffers for sixteen interleaved groups, and
/// one number per group.
pub fn categorical_kl_scratch(rows: usize, cols: usize, group: usize) -> usize {
    rows.div_ceil(ROWS) * kl_block_scratch(cols, group)
}

fn kl_block_scratch(cols: usize, group: usize) -> usize {
    lanes::memory(2 * group) + ROWS * (cols / group)
}

/// KL divergence from softmax(x) to the uniform distribution over C categories, summed over the
/// row's groups, in nats: Σ_l Σ_c π ln π + L ln C. Shapes: x `[N, L·C]`, one result per row. The
/// prior is uniform over all C categories, including masked ones (x = −∞, π = 0): if all but one
/// are masked, the divergence is ln C.
///
/// ```
/// use hardgrad::categorical::{kl_to_uniform, scratch_len};
/// let (mut kl, mut scratch) = ([0.0], vec![0.0; scratch_len(1, 2, 2)]);
/// kl_to_uniform(&[0.0, 3.0_f64.ln()], 2, 2, &mut kl, &mut scratch); // π = (¼, ¾)
/// let expected = 0.25 * 0.25_f64.ln() + 0.75 * 0.75_f64.ln() + 2.0_f64.ln();
/// assert!((kl[0] - expected).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than
/// [`scratch_len`](crate::categorical::scratch_len).
#[track_caller]
pub fn categorical_kl<T: Scalar>(x: &[T], cols: usize, group: usize, kl: &mut [T], scratch: &mut [T]) {
    check_group(cols, group);
    check_len("x", x.len(), kl.len() * cols);
    negative_entropy_plus((group as f64).ln(), x, cols, group, kl, scratch);
}

/// Σ_l (Σ_c π ln π + constant) of each row.
pub(super) fn negative_entropy_plus<T: Scalar>(
    constant: f64,
    x: &[T],
    cols: usize,
    group: usize,
    out: &mut [T],
    scratch: &mut [T],
) {
    if cols == 0 {
        return out.fill(T::ZERO);
    }
    let slice = &mut scratch[..categorical_kl_scratch(out.len(), cols, group)];
    let work = (Blocks { slice: out, size: ROWS }, Wide { slice, times: kl_block_scratch(cols, group) });
    par::for_each_block(work, 1, |block, (out, scratch): (Blocks<'_, T>, Wide<'_, T>)| {
        let x = &x[block * ROWS * cols..][..out.slice.len() * cols];
        negative_entropy_block(T::of(constant), x, cols, group, out.slice, scratch.slice);
    });
}

vectorized! {
    fn negative_entropy_block<T: Scalar>(
        constant: T,
        x: &[T],
        cols: usize,
        group: usize,
        out: &mut [T],
        scratch: &mut [T],
    ) {
        let (of_groups, scratch) = scratch.split_at_mut(x.len() / group);
        let (s, e) = Lanes::slice_of(scratch).split_at_mut(group);
        for (x, of_groups) in x.chunks(LANES * group).zip(of_groups.chunks_mut(LANES)) {
            lanes::from_rows(x, s, e);
            let sums = Lanes::from_fn(|_| constant) + negative_entropy_row(s, e);
            of_groups.copy_from_slice(&sums.as_ref()[..of_groups.len()]);
        }
        for (out, of_groups) in out.iter_mut().zip(of_groups.chunks_exact(cols / group)) {
            *out = of_groups.iter().copied().sum();
        }
    }
}

/// dx += g · π ⊙ (ln π − ⟨π, ln π⟩), with one g per row. Shapes: x and dx `[N, L·C]`, g `[N]`.
///
/// ```
/// use hardgrad::categorical::{kl_to_uniform_vjp, scratch_len};
/// let (mut dx, mut scratch) = ([0.0; 3], vec![0.0; scratch_len(1, 3, 3)]);
/// let x = [0.0, f64::NEG_INFINITY, 3.0_f64.ln()]; // π = (¼, 0, ¾)
/// kl_to_uniform_vjp(&x, 3, 3, &[2.0], &mut dx, &mut scratch);
/// assert!((dx[2] - 2.0 * 0.25 * 0.75 * 3.0_f64.ln()).abs() < 1e-15);
/// assert_eq!(dx[1], 0.0);
/// ```
///
/// # Panics
/// If the length of a slice does not match its shape, or `scratch` is shorter than
/// [`scratch_len`](crate::categorical::scratch_len).
#[track_caller]
pub fn categorical_kl_vjp<T: Scalar>(
    x: &[T],
    cols: usize,
    group: usize,
    g: &[T],
    dx: &mut [T],
    scratch: &mut [T],
) {
    check_group(cols, group);
    check_len("x", x.len(), g.len() * cols);
    check_len("dx", dx.len(), x.len());
    negative_entropy_vjp(T::ONE, x, cols, group, g, dx, scratch);
}

/// dx += sign · g · π ⊙ (ln π − ⟨π, ln π⟩), with one g per row.
pub(super) fn negative_entropy_vjp<T: Scalar>(
    sign: T,
    x: &[T],
    cols: usize,
    group: usize,
    g: &[T],
    dx: &mut [T],
    scratch: &mut [T],
) {
    if cols == 0 {
        return;
    }
    let slice = &mut scratch[..categorical_kl_scratch(g.len(), cols, group)];
    let work =
        (Blocks { slice: dx, size: ROWS * cols }, Wide { slice, times: kl_block_scratch(cols, group) });
    par::for_each_block(work, 1, |block, (dx, scratch): (Blocks<'_, T>, Wide<'_, T>)| {
        let x = &x[block * ROWS * cols..];
        negative_entropy_vjp_block(sign, x, cols, group, &g[block * ROWS..], dx.slice, scratch.slice);
    });
}

vectorized! {
    fn negative_entropy_vjp_block<T: Scalar>(
        sign: T,
        x: &[T],
        cols: usize,
        group: usize,
        g: &[T],
        dx: &mut [T],
        scratch: &mut [T],
    ) {
        let (s, e) = Lanes::slice_of(scratch).split_at_mut(group);
        for (k, (x, dx)) in x.chunks(LANES * group).zip(dx.chunks_mut(LANES * group)).enumerate() {
            lanes::from_rows(&x[..dx.len()], s, e);
            let row = |l: usize| ((k * LANES + l) * group / cols).min(g.len() - 1);
            negative_entropy_vjp_row(Lanes::from_fn(|l| sign * g[row(l)]), s, e);
            lanes::add_to_rows(s, dx, e);
        }
    }
}

/// The larger of `x` and −10³⁰; NaN for a NaN.
///
/// This bounds s = ln π + constant. Where π is 0, the product π · s is 0 if s is finite, and NaN if
/// it is −∞. e to the power −10³⁰ is 0 in either precision, and differences of such numbers and
/// logits stay finite.
#[inline(always)]
pub(super) fn raised<T: Real>(x: T) -> T {
    let lowest = T::of(-1e30);
    lowest.if_above(x, lowest, x)
}

/// x ← s = x − max x and e = eˢ, of one group. With Z = Σ e and π = e/Z, returns (Z, ⟨π, s⟩).
///
/// ln π = s − ln Z, so π ln π needs no epsilon: where π underflows to 0 or x is −∞, s is finite and
/// the product is 0.
#[inline(always)]
fn relative_row<T: Real>(x: &mut [T], e: &mut [T]) -> (T, T) {
    let top = max(x);
    let (mut total, mut mean) = (T::ZERO, T::ZERO);
    for (x, e) in x.iter_mut().zip(e) {
        *x = raised(*x - top);
        *e = x.exp();
        total += *e;
        mean += *e * *x;
    }
    (total, mean / total)
}

/// Σ π ln π of one group: ⟨π, s⟩ − ln Z. Overwrites x and e.
#[inline(always)]
fn negative_entropy_row<T: Real>(x: &mut [T], e: &mut [T]) -> T {
    let (total, mean) = relative_row(x, e);
    mean - total.ln()
}

/// x ← g · π ⊙ (ln π − ⟨π, ln π⟩) = g · π ⊙ (s − ⟨π, s⟩), of one group. Overwrites e.
#[inline(always)]
fn negative_entropy_vjp_row<T: Real>(g: T, x: &mut [T], e: &mut [T]) {
    let (total, mean) = relative_row(x, e);
    let weight = g / total;
    for (x, &e) in x.iter_mut().zip(&*e) {
        *x = weight * e * (*x - mean);
    }
}

#[cfg(test)]
mod examples {
    #[test]
    fn softmax_by_hand() {
        let mut y = [0.0; 4];
        super::softmax(&[0.0, 3.0_f64.ln(), 7.0, 7.0], 2, &mut y);
        for (got, want) in y.iter().zip([0.25, 0.75, 0.5, 0.5]) {
            assert!((got - want).abs() < 1e-15_f64);
        }
    }

    #[test]
    fn softmax_vjp_by_hand() {
        let mut dx = [0.0; 2];
        super::softmax_vjp(&[0.25, 0.75], 2, &[0.0, 4.0], &mut dx);
        for (got, want) in dx.iter().zip([-0.75_f64, 0.75]) {
            assert!((got - want).abs() < 1e-15_f64);
        }
    }

    #[test]
    fn log_softmax_by_hand() {
        let mut y = [0.0; 2];
        super::log_softmax(&[0.0, 3.0_f64.ln()], 2, &mut y);
        for (got, want) in y.iter().zip([0.25_f64.ln(), 0.75_f64.ln()]) {
            assert!((got - want).abs() < 1e-15_f64);
        }
    }

    #[test]
    fn log_softmax_vjp_by_hand() {
        let mut dx = [0.0; 2];
        super::log_softmax_vjp(&[0.25_f64.ln(), 0.75_f64.ln()], 2, &[0.0, 4.0], &mut dx);
        for (got, want) in dx.iter().zip([-1.0, 1.0]) {
            assert!((got - want).abs() < 1e-15_f64);
        }
    }

    #[test]
    fn categorical_kl_by_hand() {
        use super::{categorical_kl, categorical_kl_scratch};
        let (mut kl, mut scratch) = ([0.0], vec![0.0; categorical_kl_scratch(1, 2, 2)]);
        categorical_kl(&[0.0, 3.0_f64.ln()], 2, 2, &mut kl, &mut scratch); // π = (¼, ¾)
        let expected = 0.25 * 0.25_f64.ln() + 0.75 * 0.75_f64.ln() + 2.0_f64.ln();
        assert!((kl[0] - expected).abs() < 1e-15);
    }

    #[test]
    fn categorical_kl_vjp_by_hand() {
        use super::{categorical_kl_scratch, categorical_kl_vjp};
        let (mut dx, mut scratch) = ([0.0; 3], vec![0.0; categorical_kl_scratch(1, 3, 3)]);
        let x = [0.0, f64::NEG_INFINITY, 3.0_f64.ln()]; // π = (¼, 0, ¾)
        categorical_kl_vjp(&x, 3, 3, &[2.0], &mut dx, &mut scratch);
        let expected = 2.0 * 0.25 * 0.75 * 3.0_f64.ln(); // ln π of the two differs by ln 3
        assert!((dx[0] + expected).abs() < 1e-15 && (dx[2] - expected).abs() < 1e-15);
        assert_eq!(dx[1], 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{from_key, uniform};

    /// Compares the divergence and its vjp, which process sixteen groups at once and cut rows into
    /// blocks, with a computation of one group after the other. The tolerance covers sums of C
    /// numbers in two orders and about ten other roundings of numbers up to 8 + ln C.
    fn compare<T: Scalar>() {
        let mut rng = from_key(5);
        let mut random = |count: usize| -> Vec<T> {
            (0..count).map(|_| T::of(8.0 * (uniform::<f64>(&mut rng) - 0.5))).collect()
        };
        for (rows, groups, c) in [(1, 1, 3), (1, 16, 4), (30, 3, 10), (51, 16, 64), (7, 5, 33)] {
            let (cols, mut kl) = (groups * c, vec![T::ZERO; rows]);
            let (x, g) = (random(rows * cols), random(rows));
            let mut dx = random(rows * cols);
            let (mut want, mut scratch) =
                (dx.clone(), vec![T::of(f64::NAN); categorical_kl_scratch(rows, cols, c)]);
            categorical_kl(&x, cols, c, &mut kl, &mut scratch);
            categorical_kl_vjp(&x, cols, c, &g, &mut dx, &mut scratch);
            let tolerance = (8.0 + (c as f64).ln()) * (2.0 * c as f64 + 10.0) * T::EPSILON.to_f64();
            let mut e = vec![T::ZERO; c];
            for (row, (&kl, &g)) in kl.iter().zip(&g).enumerate() {
                let mut sum = 0.0;
                for at in (row * cols..(row + 1) * cols).step_by(c) {
                    let mut s = x[at..at + c].to_vec();
                    sum += (T::of((c as f64).ln()) + negative_entropy_row(&mut s, &mut e)).to_f64();
                    s.copy_from_slice(&x[at..at + c]);
                    negative_entropy_vjp_row(g, &mut s, &mut e);
                    want[at..at + c].iter_mut().zip(&s).for_each(|(want, &s)| *want += s);
                }
                assert!((kl.to_f64() - sum).abs() <= groups as f64 * tolerance, "row {row}: {kl} for {sum}");
            }
            for (i, (got, want)) in dx.iter().zip(&want).enumerate() {
                assert!(
                    (got.to_f64() - want.to_f64()).abs() <= 4.0 * tolerance,
                    "entry {i}: {got} for {want}"
                );
            }
        }
    }

    #[test]
    fn interleaved_divergences_match_single_ones() {
        compare::<f32>();
        compare::<f64>();
    }
}
