//! Categorical variables by the Gumbel-max trick: noise first, then the sample is a function of it.

use crate::par;
use crate::rng::uniform;
use crate::scalar::{Real, Scalar};
use crate::simd::vectorized;

/// Fills `out` with standard Gumbel noise, −ln(−ln u) with u from [`uniform`]: always finite, as u lies strictly between
/// 0 and 1.
///
/// ```
/// use hardgrad::{categorical::gumbel, rng};
/// let mut g = [0.0_f64; 4000];
/// gumbel(&mut rng::from_key(1), &mut g);
/// let mean = g.iter().sum::<f64>() / 4000.0;
/// assert!((mean - 0.5772).abs() < 5.0 * 1.2825 / 4000.0_f64.sqrt()); // Euler's constant, five standard errors
/// ```
pub fn gumbel<T: Scalar>(rng: &mut impl rand::Rng, out: &mut [T]) {
    out.fill_with(|| uniform(rng));
    par::for_each_block(out, BLOCK, |_, block| gumbel_of_uniform(block));
}

/// Numbers to a block of parallel work: some microseconds.
const BLOCK: usize = 1 << 12;

vectorized! {
    /// x ← −ln(−ln x)
    fn gumbel_of_uniform<T: Scalar>(x: &mut [T]) {
        for x in x {
            *x = -(-x.ln()).ln();
        }
    }
}

/// Index of the largest of `scores`, the first one where several are equal.
///
/// ```
/// use hardgrad::categorical::argmax;
/// assert_eq!(argmax([1.0, 3.0, 3.0]), 1);
/// ```
///
/// # Panics
/// If there are none.
pub fn argmax<T: Scalar>(scores: impl IntoIterator<Item = T>) -> usize {
    let mut scores = scores.into_iter().enumerate();
    let first = scores.next().expect("argmax of nothing");
    scores.fold(first, |best, next| if next.1 > best.1 { next } else { best }).0
}

/// The sample D = onehot(argmax(θ + G)) of each group of `categories` logits, eq. 4: D ~ softmax(θ).
/// Shapes: logits, gumbel and one_hot alike, any number of groups.
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

/// [`sample`] of one variable, or of sixteen side by side.
pub(crate) fn sample_row<T: Real>(logits: &[T], gumbel: &[T], one_hot: &mut [T]) {
    one_hot_of_largest(logits.iter().zip(gumbel).map(|(&theta, &g)| theta + g), one_hot);
}

/// one_hot ← onehot(argmax(scores)): [`argmax`], but of numbers that may stand side by side.
pub(crate) fn one_hot_of_largest<T: Real>(scores: impl Iterator<Item = T>, one_hot: &mut [T]) {
    let (mut largest, mut hot) = (T::NEG_INFINITY, T::ZERO);
    for (j, score) in scores.enumerate() {
        hot = score.if_above(largest, T::of(j as f64), hot);
        largest = score.if_above(largest, score, largest);
    }
    for (j, d) in one_hot.iter_mut().enumerate() {
        let at_least = hot.if_above(T::of(j as f64 - 0.5), T::ONE, T::ZERO);
        *d = hot.if_above(T::of(j as f64 + 0.5), T::ZERO, at_least);
    }
}
