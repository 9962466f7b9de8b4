//! Estimators on whole batches. This module is the only one that evaluates a formula for sixteen
//! variables at once and on several threads.

use super::latent::Conditional;
use super::{Formula, Latent, Noise, Work};
use crate::par::{self, Blocks, Wide};
use crate::scalar::{Real, Scalar};
use crate::simd::lanes::{self, LANES, Lanes};
use crate::simd::{self, aligned::Aligned};
use std::fmt::Debug;

/// Variables per block of parallel work. A block takes about ten microseconds for Gumbel-Rao with a
/// hundred draws, and less than one for the other estimators.
const BLOCK: usize = 4 * LANES;

/// Rows of memory per variable in addition to those of the formula: θ, D, G, g, and the gradient of
/// θ.
const ROWS: usize = 5;

/// The point at which an estimator is evaluated, for a batch of N rows of L variables with C
/// categories each.
///
/// All estimators can be evaluated at the same point, with the same noise and sample.
#[derive(Clone, Copy, Debug)]
pub struct At<'a, T> {
    /// The logits θ, `[N, L·C]`, row-major.
    pub logits: &'a [T],
    /// The sample D, `[N, L·C]`.
    pub one_hot: &'a [T],
    /// The noise from which the sample was drawn.
    pub noise: &'a Noise<T>,
    /// The number of categories C.
    pub categories: usize,
}

/// A gradient estimator for batches in slices. All estimators of this module implement it, and so
/// does every user-defined [`Formula`].
///
/// The estimate is linear in the cotangent g = ∂f/∂D, and needs one evaluation of f. Threads (of
/// the current rayon pool) and SIMD vectors are used internally; the numbers do not depend on their
/// number or width. For a model on the tape, use a [`Choice`](super::Choice).
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Noise, ReinMax, Scratch};
/// let logits = [0.0, 3.0_f64.ln()]; // one variable of two categories: π = (¼, ¾)
/// let (reinmax, noise) = (ReinMax::new(1.0)?, Noise::from_gumbel(vec![0.0; 2]));
/// let mut one_hot = [0.0; 2];
/// reinmax.sample(&logits, &noise, 2, &mut one_hot);
/// assert_eq!(one_hot, [0.0, 1.0]);
///
/// let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: 2 };
/// let (g, mut dlogits) = ([0.0, 4.0], [0.0; 2]); // g = ∂f/∂D at the sample
/// reinmax.add_vjp(at, &g, &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 0.5).abs() < 1e-15); // 2 · ⅛ · ⅞ · 4 − ½ · ¼ · ¾ · 4
/// # Ok::<(), hardgrad::Error>(())
/// ```
///
/// # Masks and NaN
/// A logit of −∞ masks its category: the category is never drawn, and its gradient is exactly 0. If
/// a logit of a variable is NaN or +∞, or all are −∞, the sample and the gradient of this variable
/// are NaN; other variables are not affected.
pub trait Estimator<T: Scalar>: Debug + Send + Sync + sealed::Sealed {
    /// Draws the sample: `one_hot` ← D. For all estimators except the plain relaxation, D =
    /// onehot(argmax(θ + G)), so that all of them draw the same sample from the same noise. Shapes:
    /// logits, noise and one_hot `[N, L·C]`.
    ///
    /// # Panics
    /// If a length does not fit, naming the argument and both lengths.
    #[track_caller]
    fn sample(&self, logits: &[T], noise: &Noise<T>, categories: usize, one_hot: &mut [T]);

    /// Adds the estimate of ∂f/∂θ to `dlogits`, computed from g = ∂f/∂D at the sample. Shapes: g
    /// and dlogits `[N, L·C]`.
    ///
    /// # Panics
    /// If a length does not fit, naming the argument and both lengths.
    #[track_caller]
    fn add_vjp(&self, at: At<'_, T>, g: &[T], dlogits: &mut [T], scratch: &mut Scratch<T>) {
        let numbers = scratch.reserve(self.scratch_len(at.logits.len(), at.categories));
        self.add_vjp_with(at, g, dlogits, numbers);
    }

    /// Computes the matrix M of each variable for which `dlogits = M g`: `jacobian` ←
    /// `[N·L, C, C]`, row-major, with a row for each logit and a column for each entry of the
    /// sample. This is useful in frameworks without custom backward passes: the value D + M (θ −
    /// detach θ) has this gradient. The cost is C times that of [`add_vjp`](Self::add_vjp).
    ///
    /// ```
    /// use hardgrad::estimators::{At, Estimator, Noise, Scratch, StraightThrough};
    /// let logits = [0.0, 3.0_f64.ln()]; // π = (¼, ¾)
    /// let noise = Noise::from_gumbel(vec![0.0; 2]);
    /// let at = At { logits: &logits, one_hot: &[0.0, 1.0], noise: &noise, categories: 2 };
    /// let mut jacobian = [0.0; 4];
    /// StraightThrough::new(1.0)?.jacobian(at, &mut jacobian, &mut Scratch::new());
    /// assert!((jacobian[1] + 0.1875).abs() < 1e-15); // diag(π) − π πᵀ
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// If a length does not fit, naming the argument and both lengths.
    #[track_caller]
    fn jacobian(&self, at: At<'_, T>, jacobian: &mut [T], scratch: &mut Scratch<T>) {
        let (len, c) = (at.logits.len(), at.categories);
        check("jacobian", jacobian.len(), len * c, "C for each logit");
        let numbers = scratch.reserve(2 * len + self.scratch_len(len, c));
        let (g, numbers) = numbers.split_at_mut(len);
        let (column, numbers) = numbers.split_at_mut(len);
        for j in 0..c {
            g.iter_mut().enumerate().for_each(|(i, g)| *g = if i % c == j { T::ONE } else { T::ZERO });
            column.fill(T::ZERO);
            self.add_vjp_with(at, g, column, numbers);
            jacobian.iter_mut().skip(j).step_by(c).zip(&*column).for_each(|(to, &x)| *to = x);
        }
    }

    /// Number of elements of memory that [`add_vjp_with`](Self::add_vjp_with) needs.
    #[doc(hidden)]
    fn scratch_len(&self, logits: usize, categories: usize) -> usize;

    /// [`add_vjp`](Self::add_vjp) with memory supplied by the caller. Its contents are unspecified.
    #[doc(hidden)]
    #[track_caller]
    fn add_vjp_with(&self, at: At<'_, T>, g: &[T], dlogits: &mut [T], numbers: &mut [T]);
}

mod sealed {
    pub trait Sealed {}
    impl<F: super::Formula> Sealed for F {}
}

/// Memory for the methods of [`Estimator`]. It is reused between calls, which then allocate
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct Scratch<T> {
    numbers: Aligned<T>,
}

impl<T: Scalar> Scratch<T> {
    /// Creates scratch memory without an allocation.
    pub fn new() -> Self {
        Self { numbers: Aligned::new() }
    }

    fn reserve(&mut self, len: usize) -> &mut [T] {
        if self.numbers.len() < len {
            self.numbers.resize(len, T::ZERO);
        }
        &mut self.numbers[..len]
    }
}

#[track_caller]
fn check(argument: &str, got: usize, expected: usize, why: &str) {
    assert!(got == expected, "{argument}: {got} numbers, expected {expected}, {why}");
}

/// Panics if the number of logits is not a multiple of the number of categories, or another length
/// differs from it.
#[track_caller]
fn check_all(logits: usize, categories: usize, others: &[(&str, usize)]) {
    let whole = categories > 0 && logits.is_multiple_of(categories);
    assert!(whole, "logits: {logits} numbers, expected a multiple of {categories} categories");
    others.iter().for_each(|&(argument, len)| check(argument, len, logits, "as many as logits"));
}

/// Returns 0, or NaN for a variable without a distribution: a logit is NaN or +∞, or all logits are
/// −∞.
#[inline(always)]
fn undefined<T: Real>(logits: &[T]) -> T {
    let nan = T::of(f64::NAN);
    let (mut wrong, mut possible) = (T::ZERO, T::ZERO);
    for &theta in logits {
        wrong = T::of(f64::INFINITY).if_above(theta, wrong, nan); // comparisons with NaN are false
        possible = theta.if_above(T::NEG_INFINITY, T::ONE, possible);
    }
    possible.select(wrong, nan)
}

/// Draws the sample of each variable with `draw(logits, gumbel, sample)`, or copies the sample
/// stored in the noise.
#[track_caller]
pub(super) fn sample_batch<T: Scalar>(
    logits: &[T],
    noise: &Noise<T>,
    categories: usize,
    one_hot: &mut [T],
    draw: &(impl Fn(&[T], &[T], &mut [T]) + Sync),
) {
    let stored = noise.sample.as_ref().map_or(logits.len(), Vec::len);
    let lengths =
        [("noise", noise.gumbel().len()), ("the noise's sample", stored), ("one_hot", one_hot.len())];
    check_all(logits.len(), categories, &lengths);
    if let Some(sample) = &noise.sample {
        return one_hot.copy_from_slice(sample);
    }
    let (c, gumbel) = (categories, noise.gumbel());
    par::for_each_block(one_hot, BLOCK * c, |from, sample: &mut [T]| {
        let finite = simd::all_finite(&logits[from..from + sample.len()]);
        let rows = logits[from..].chunks(c).zip(gumbel[from..].chunks(c));
        for ((logits, gumbel), sample) in rows.zip(sample.chunks_mut(c)) {
            draw(logits, gumbel, sample);
            if !finite {
                let undefined = undefined(logits);
                sample.iter_mut().for_each(|d| *d += undefined);
            }
        }
    });
}

/// Number of elements of memory per variable: the common rows and those of the formula.
fn numbers_per_variable(formula: &impl Formula, categories: usize) -> usize {
    (ROWS + formula.work_rows() + formula.work_matrices() * categories) * categories
}

impl<F: Formula, T: Scalar> Estimator<T> for F {
    fn sample(&self, logits: &[T], noise: &Noise<T>, categories: usize, one_hot: &mut [T]) {
        sample_batch(logits, noise, categories, one_hot, &|logits: &[T], gumbel: &[T], sample: &mut [T]| {
            self.draw(logits, gumbel, sample);
        });
    }

    fn scratch_len(&self, logits: usize, categories: usize) -> usize {
        logits.div_ceil(BLOCK * categories.max(1)) * lanes::memory(numbers_per_variable(self, categories))
    }

    fn add_vjp_with(&self, at: At<'_, T>, g: &[T], dlogits: &mut [T], numbers: &mut [T]) {
        let lengths = [
            ("one_hot", at.one_hot.len()),
            ("noise", at.noise.gumbel().len()),
            ("g", g.len()),
            ("dlogits", dlogits.len()),
        ];
        check_all(at.logits.len(), at.categories, &lengths);
        let times = lanes::memory(numbers_per_variable(self, at.categories));
        let slice = &mut numbers[..Estimator::<T>::scratch_len(self, at.logits.len(), at.categories)];
        let work = (Blocks { slice: dlogits, size: BLOCK * at.categories }, Wide { slice, times });
        par::for_each_block(work, 1, |block, (dlogits, work): (Blocks<'_, T>, Wide<'_, T>)| {
            add_vjp_of_block(self, block * BLOCK, at, g, dlogits.slice, work.slice);
        });
    }
}

/// Adds the gradient of consecutive variables, sixteen at once. The first is variable number
/// `first`.
fn add_vjp_of_block<F: Formula, T: Scalar>(
    formula: &F,
    first: usize,
    at: At<'_, T>,
    g: &[T],
    dlogits: &mut [T],
    work: &mut [T],
) {
    let c = at.categories;
    let mut stored = Vec::new();
    for (i, dlogits) in (first..).step_by(LANES).zip(dlogits.chunks_mut(LANES * c)) {
        let rows = i * c..i * c + dlogits.len();
        let ([logits, one_hot, gumbel, cotangent, sum], rest) = Work::new(Lanes::slice_of(work), c).take();
        let from =
            [(at.logits, &mut *logits), (at.one_hot, one_hot), (at.noise.gumbel(), gumbel), (g, cotangent)];
        for (values, to) in from {
            lanes::from_rows(&values[rows.clone()], to, sum);
        }
        sum.fill(Lanes::ZERO);
        let conditional = match at.noise.stored() {
            None => Conditional::Key(at.noise.key_of(i)),
            Some(draws) => {
                stored.resize(draws.len() * c, Lanes::ZERO);
                for (draw, to) in draws.zip(stored.chunks_mut(c)) {
                    lanes::from_rows_one_by_one(&draw[rows.clone()], to);
                }
                Conditional::Stored(&stored)
            }
        };
        let latent = Latent { logits, one_hot, gumbel, conditional };
        formula.vjp(&latent, cotangent, sum, rest);
        if !simd::all_finite(&at.logits[rows]) {
            let undefined = undefined(latent.logits);
            sum.iter_mut().for_each(|sum| *sum += undefined);
        }
        lanes::add_to_rows(sum, dlogits, cotangent);
    }
}

#[cfg(test)]
mod tests;
