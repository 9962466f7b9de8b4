//! What an estimator's vjp is given.

use crate::rng::LaneRng;
use crate::scalar::{Real, Scalar};

/// One latent variable, or sixteen [side by side](crate::Lanes), as an estimator's vjp sees it. All slices have C numbers.
///
/// ```
/// use hardgrad::estimators::{Conditional, Latent};
/// let conditional = Conditional::Given { values: &[0.5, 0.25, 2.0, 1.0], first: 0, stride: 2 };
/// let latent = Latent { logits: &[0.0, 1.0], one_hot: &[0.0, 1.0], gumbel: &[0.0, 0.0], conditional };
/// assert_eq!(latent.hot(), 1);
/// let (mut exponentials, mut row) = (latent.exponentials(), [0.0; 2]);
/// exponentials.next(&mut row);
/// exponentials.next(&mut row); // the second of two draws given D
/// assert_eq!(row, [2.0, 1.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Latent<'a, T: Real> {
    /// θ
    pub logits: &'a [T],
    /// D
    pub one_hot: &'a [T],
    /// G, the noise that drew D
    pub gumbel: &'a [T],
    /// Noise for draws given D; the first one's, if there are sixteen.
    pub conditional: Conditional<'a, T>,
}

/// Where the exponential numbers E of eq. 7 come from.
#[derive(Clone, Copy, Debug)]
pub enum Conditional<'a, T: Real> {
    /// A generator with this key, so that draws are streamed and never stored.
    Key(u64),
    /// The caller's numbers, `[K, …, C]`: draw k of this variable begins at `first + k · stride`.
    Given {
        /// All of them.
        values: &'a [T::Scalar],
        /// Where this variable's first draw begins.
        first: usize,
        /// From one draw to the next.
        stride: usize,
    },
}

impl<T: Scalar> Latent<'_, T> {
    /// Index of the category drawn.
    pub fn hot(&self) -> usize {
        crate::categorical::argmax(self.one_hot.iter().copied())
    }
}

impl<'a, T: Real> Latent<'a, T> {
    /// That of `values` at the category drawn, Σ_j D_j v_j.
    #[inline(always)]
    pub fn at_hot(&self, values: &[T]) -> T {
        at_hot(self.one_hot, values)
    }

    /// The stream of exponential numbers, at its start.
    pub fn exponentials(&self) -> Exponentials<'a, T> {
        match self.conditional {
            Conditional::Key(key) => Exponentials::Rng(LaneRng::from_key(key)),
            Conditional::Given { values, first, stride } => {
                Exponentials::Given { values, at: first, end: first.max(stride), stride }
            }
        }
    }
}

/// The one of `values` at the category drawn, chosen and not multiplied: an infinity elsewhere does no harm.
#[inline(always)]
pub(super) fn at_hot<T: Real>(one_hot: &[T], values: &[T]) -> T {
    one_hot.iter().zip(values).fold(T::ZERO, |at, (d, &value)| d.if_above(T::ZERO, value, at))
}

/// Standard exponential numbers, −ln u with u uniform in (0, 1): always finite and > 0.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one at a time, on the stack: a box would allocate for every variable
pub enum Exponentials<'a, T: Real> {
    /// Drawn on demand.
    Rng(LaneRng),
    /// Read from the caller's.
    Given {
        /// All of them.
        values: &'a [T::Scalar],
        /// Where the next draw begins.
        at: usize,
        /// Where that of the last variable ends.
        end: usize,
        /// From one draw to the next.
        stride: usize,
    },
}

impl<T: Real> Exponentials<'_, T> {
    /// Writes the next draw, `[C]`.
    ///
    /// # Panics
    /// If the caller gave fewer draws than the estimator wants.
    pub fn next(&mut self, row: &mut [T]) {
        self.next_draws(1, row);
    }

    /// Writes the next `draws` draws, `[draws, C]`.
    ///
    /// # Panics
    /// If `draws` is 0, or the caller gave fewer draws than the estimator wants.
    pub fn next_draws(&mut self, draws: usize, rows: &mut [T]) {
        match self {
            Self::Rng(rng) => T::fill_exponential(rng, rows),
            Self::Given { values, at, end, stride } => {
                for row in rows.chunks_exact_mut((rows.len() / draws).max(1)) {
                    let draw = values.get(*at..(*at + T::WIDTH * row.len()).min(*end));
                    T::load(draw.expect("the estimator wants more conditional draws than were given"), row);
                    (*at, *end) = (*at + *stride, *end + *stride);
                }
            }
        }
    }
}

/// Temporary memory: rows of C numbers, of unspecified value, taken from the front.
///
/// ```
/// use hardgrad::estimators::Work;
/// let mut memory = [0.0; 6];
/// let ([a, b], _) = Work::new(&mut memory, 3).take(); // two rows of three
/// assert_eq!((a.len(), b.len()), (3, 3));
/// ```
#[derive(Debug)]
pub struct Work<'a, T> {
    memory: &'a mut [T],
    categories: usize,
}

impl<'a, T: Real> Work<'a, T> {
    /// Rows of `categories` numbers from `memory`.
    pub fn new(memory: &'a mut [T], categories: usize) -> Self {
        Self { memory, categories }
    }

    /// Takes N rows; the rest is for an estimator inside this one.
    ///
    /// # Panics
    /// If fewer are left: [`work_rows`](super::SampleEstimator::work_rows) asked for too few.
    pub fn take<const N: usize>(self) -> ([&'a mut [T]; N], Self) {
        let c = self.categories;
        let mut memory = self.memory;
        let rows = std::array::from_fn(|_| {
            let (row, rest) = std::mem::take(&mut memory).split_at_mut(c);
            memory = rest;
            row
        });
        (rows, Self { memory, categories: c })
    }

    /// Takes `rows` rows as one slice; the rest as above.
    ///
    /// # Panics
    /// If fewer are left.
    pub fn take_together(self, rows: usize) -> (&'a mut [T], Self) {
        let (taken, memory) = self.memory.split_at_mut(rows * self.categories);
        (taken, Self { memory, ..self })
    }

    /// The same rows for a part of the work that ends before the next begins.
    pub fn reborrow(&mut self) -> Work<'_, T> {
        Work { memory: &mut *self.memory, categories: self.categories }
    }
}
