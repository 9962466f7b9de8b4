//! Categorical variables with the Gumbel-max trick: noise is drawn first, and the sample is a
//! function of it. The module also contains functions of categorical distributions on slices:
//! entropy, divergence, log-probability of a sample, and the mixture with the uniform distribution.
//!
//! Matrices are row-major `[N, L·C]`: L variables of C = `group` categories in each of N rows of
//! `cols` = L·C numbers. Entropy, divergence and log-probability are one number per row, in nats,
//! summed over the row's variables. Their vjps take one cotangent per row and add to the gradient.
//! [`Tape`](crate::Tape) has these functions as operations.
//!
//! # Masks
//!
//! A logit of −∞ masks a category. Its probability is 0 and its gradient exactly 0, and the other
//! categories have the values and gradients that they would have without it (0 · ln 0 = 0). Where a
//! value is infinite (see [`kl`] and [`log_prob`]) its gradient does not exist and is NaN.
//!
//! A variable whose logits are all −∞, or one of whose logits is NaN or +∞, gives NaN, and so do
//! all entries of its gradient. The gradients of other variables are not affected.

pub use crate::kernels::categorical::{
    entropy, entropy_vjp, kl, kl_vjp_p, kl_vjp_q, log_prob, log_prob_vjp_logits, log_prob_vjp_sample,
    scratch_len,
};
pub use crate::kernels::softmax::{categorical_kl as kl_to_uniform, categorical_kl_vjp as kl_to_uniform_vjp};
pub use crate::kernels::unimix::{unimix, unimix_vjp};

use crate::mat::Mat;
use crate::par;
use crate::rng::{self, Pcg64};
use crate::scalar::{Real, Scalar};
use crate::simd::vectorized;

/// Fills `out` with standard Gumbel noise, −ln(−ln u) with u from [`uniform`](rng::uniform). It is
/// always finite, because u lies strictly between 0 and 1.
///
/// The resolution of u limits the range. In `f32`, with 2²³ cells, the noise lies between −2.81 and
/// 16.64; in `f64`, with 2⁵² cells, between −3.60 and 36.74. In `f32` a category whose logit is
/// more than 19.45 below another's is therefore never drawn (its probability is below 4e-9), and a
/// category with a probability below 1e-6 is drawn only approximately as often as it should be. If
/// rarer categories matter, use `f64`, whose limit is 40.3, a probability of 3e-18.
///
/// ```
/// use hardgrad::{categorical::gumbel, rng};
/// let mut g = [0.0_f64; 4000];
/// gumbel(&mut rng::from_key(1), &mut g);
/// let mean = g.iter().sum::<f64>() / 4000.0;
/// // Euler's constant, within five standard errors
/// assert!((mean - 0.5772).abs() < 5.0 * 1.2825 / 4000.0_f64.sqrt());
/// ```
pub fn gumbel<T: Scalar>(rng: &mut Pcg64, out: &mut [T]) {
    let end = rng::after(rng, out.len());
    par::for_each_block(out, BLOCK, |from, block: &mut [T]| {
        let mut rng = rng::after(rng, from);
        block.fill_with(|| rng::uniform(&mut rng));
        gumbel_of_uniform(block);
    });
    *rng = end;
}

/// Elements per block of parallel work: a few microseconds.
const BLOCK: usize = 1 << 12;

vectorized! {
    fused
    /// x ← −ln(−ln x). Between the first and the last cell midpoint of [`uniform`](rng::uniform),
    /// −ln x is a normal number.
    fn gumbel_of_uniform<T: Real>(x: &mut [T]) {
        let minus_ln_2 = T::of(-std::f64::consts::LN_2);
        for x in x {
            let exponential = minus_ln_2 * x.log2_normal();
            *x = minus_ln_2 * exponential.log2_normal();
        }
    }
}

/// Index of the largest of `scores`; the first one if several are equal.
///
/// ```
/// use hardgrad::categorical::argmax;
/// assert_eq!(argmax([1.0, 3.0, 3.0]), 1);
/// ```
///
/// # Panics
/// If `scores` is empty.
pub fn argmax<T: Scalar>(scores: impl IntoIterator<Item = T>) -> usize {
    let mut scores = scores.into_iter().enumerate();
    let first = scores.next().expect("argmax: there are no scores");
    scores.fold(first, |best, next| if next.1 > best.1 { next } else { best }).0
}

/// Draws the sample D = onehot(argmax(θ + G)) of each group of `categories` logits, eq. 4: D ~
/// softmax(θ). The slices logits, gumbel and one_hot have equal lengths; the number of groups is
/// arbitrary.
///
/// ```
/// use hardgrad::categorical::sample;
/// let mut d = [0.0; 4];
/// sample(&[0.0, 1.0, 2.0, 0.0], &[0.0, 0.5, -1.0, 0.0], 2, &mut d);
/// assert_eq!(d, [0.0, 1.0, 1.0, 0.0]);
/// ```
pub fn sample<T: Scalar>(logits: &[T], gumbel: &[T], categories: usize, one_hot: &mut [T]) {
    let groups = logits.chunks(categories).zip(gumbel.chunks(categories));
    for ((logits, gumbel), d) in groups.zip(one_hot.chunks_mut(categories)) {
        sample_row(logits, gumbel, d);
    }
}

vectorized! {
    /// [`sample`] of one variable.
    pub(crate) fn sample_row<T: Real>(logits: &[T], gumbel: &[T], one_hot: &mut [T]) {
        for ((score, &theta), &g) in one_hot.iter_mut().zip(logits).zip(gumbel) {
            *score = theta + g;
        }
        T::one_hot_of_largest(one_hot);
    }
}

/// Mask for variables of different sizes in one row, `[1, L·C]` with C the largest size: of the C
/// numbers of variable l the first `sizes[l]` are 0 and the others −∞. Adding it to logits `[N,
/// L·C]` with [`Tape::add_bias`](crate::Tape::add_bias) removes the categories that a variable does
/// not have from every sample, divergence and gradient, exactly. On slices, add its row to each row
/// of the logits.
///
/// The library uses masks instead of offsets because all functions and estimators process sixteen
/// variables at once, which requires a common length. A masked category costs time but changes no
/// result. The network outputs L·C logits; the masked ones get no gradient.
///
/// ```
/// use hardgrad::{Mat, ParamStore, Workspace, categorical::ragged_mask};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let mut tape = workspace.tape(&params);
/// let mask = tape.constant(ragged_mask(&[3, 2]).view());
/// let logits = tape.constant(Mat::from_rows(&[[5.0, 5.0, 5.0, 1.0, 1.0, 7.0]]).view());
/// let logits = tape.add_bias(logits, mask);
/// assert_eq!(tape.value(logits).data, [5.0, 5.0, 5.0, 1.0, 1.0, f64::NEG_INFINITY]);
/// let entropy = tape.categorical_entropy(logits, 3);
/// assert!((tape.scalar(entropy) - (3.0_f64.ln() + 2.0_f64.ln())).abs() < 1e-15);
/// ```
///
/// # Panics
/// If `sizes` is empty or contains 0.
#[track_caller]
pub fn ragged_mask<T: Scalar>(sizes: &[usize]) -> Mat<T> {
    assert!(!sizes.is_empty() && !sizes.contains(&0), "ragged_mask: sizes {sizes:?}, expected numbers >= 1");
    let largest = sizes.iter().copied().fold(0, usize::max);
    let inside = |at: usize| at % largest < sizes[at / largest];
    Mat::from_fn(1, sizes.len() * largest, |_, at| if inside(at) { T::ZERO } else { T::NEG_INFINITY })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::lanes::Lanes;

    /// Compares a row of one variable, and of sixteen, with [`argmax`]: for numbers that are equal,
    /// infinite or NaN.
    #[test]
    fn the_sample_is_the_first_of_the_largest() {
        let mut rng = rng::from_key(8);
        for c in 1..70 {
            for case in 0..20 {
                let mut x: Vec<f32> = (0..c).map(|_| rng::below(&mut rng, 5) as f32 - 9.0).collect();
                match case {
                    0 => x.fill(f32::NEG_INFINITY),
                    1 => x.fill(-0.0),
                    2 => x[c - 1] = f32::INFINITY,
                    3 => x[c / 2] = f32::NAN,
                    4 => x.fill(f32::NAN),
                    _ => {}
                }
                // Comparisons with NaN are false, so NaN is the largest only if there is nothing
                // else.
                let numbers = x.iter().map(|&x| if x.is_nan() { f32::NEG_INFINITY } else { x });
                let hot = argmax(numbers);
                let mut lanes: Vec<Lanes<f32>> = x.iter().map(|&x| Lanes::of(f64::from(x))).collect();
                Real::one_hot_of_largest(&mut x);
                Real::one_hot_of_largest(&mut lanes);
                for (j, (x, lanes)) in x.iter().zip(&lanes).enumerate() {
                    let want = f32::from(u8::from(j == hot));
                    assert_eq!((*x, lanes), (want, &Lanes::of(f64::from(want))), "C = {c}, case {case}, {j}");
                }
            }
        }
    }

    /// The documented limits: those of the first and the last cell, and their effect on a sample.
    #[test]
    fn gumbel_noise_has_the_documented_range() {
        fn ends<T: Scalar>(cells_log2: i32) -> [f64; 2] {
            let mut ends = [T::open_unit(0), T::open_unit(u64::MAX)];
            assert_eq!(ends[0].to_f64(), 0.5 * 2f64.powi(-cells_log2));
            gumbel_of_uniform(&mut ends);
            ends.map(Scalar::to_f64)
        }
        let (f32_ends, f64_ends) = (ends::<f32>(23), ends::<f64>(52));
        for (got, want) in f32_ends.into_iter().chain(f64_ends).zip([-2.81, 16.64, -3.60, 36.74]) {
            assert!((got - want).abs() < 0.006, "{got} for {want}");
        }
        let range = |[low, high]: [f64; 2]| high - low;
        assert!((range(f32_ends) - 19.45).abs() < 0.006 && (range(f64_ends) - 40.3).abs() < 0.06);
        // The smallest noise of the most probable category is compared with the largest noise of
        // another.
        for (below, drawn) in [(19.44, 1.0), (19.46, 0.0)] {
            let mut d = [9.0_f32; 2];
            sample(&[0.0, -below], &f32_ends.map(|g| g as f32), 2, &mut d);
            assert_eq!(d[1], drawn, "{below} below");
        }
    }

    /// Compares noise drawn in blocks with numbers drawn one after the other. The error is that of
    /// two logarithms: −ln u has relative error 3 ε, which becomes an absolute error of that size
    /// in the outer logarithm.
    #[test]
    fn noise_is_a_function_of_the_generator_alone() {
        let (mut rng, mut one_by_one) = (rng::from_key(4), rng::from_key(4));
        let mut noise = vec![0.0_f32; 2 * BLOCK + 100];
        gumbel(&mut rng, &mut noise);
        for got in noise {
            let want = -(-f64::from(rng::uniform::<f32>(&mut one_by_one)).ln()).ln();
            let tolerance = (3.0 + 3.0 * want.abs()) * f64::from(f32::EPSILON);
            assert!((f64::from(got) - want).abs() < tolerance, "{got} for {want}");
        }
        assert_eq!(rng, one_by_one);
    }
}
