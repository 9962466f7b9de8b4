//! What an estimator's vjp is given.

use crate::rng::{LaneRng, Pcg64, from_key, uniform};
use crate::scalar::{Real, Scalar};
use crate::simd::LANES;

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
pub struct Latent<'a, T> {
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
pub enum Conditional<'a, T> {
    /// A generator with this key, so that draws are streamed and never stored.
    Key(u64),
    /// The caller's numbers, `[K, …, C]`: draw k of this variable begins at `first + k · stride`.
    Given {
        /// All of them.
        values: &'a [T],
        /// Where this variable's first draw begins.
        first: usize,
        /// From one draw to the next.
        stride: usize,
    },
}

impl<'a, T: Scalar> Latent<'a, T> {
    /// Index of the category drawn.
    pub fn hot(&self) -> usize {
        crate::categorical::argmax(self.one_hot.iter().copied())
    }

    /// The stream of exponential numbers, at its start.
    pub fn exponentials(&self) -> Exponentials<'a, T> {
        match self.conditional {
            Conditional::Key(key) => Exponentials::Rng { rows: from_key(key), lanes: LaneRng::from_key(key) },
            Conditional::Given { values, first, stride } => Exponentials::Given { values, at: first, stride },
        }
    }
}

/// The one of `values` at the category drawn, chosen and not multiplied: an infinity elsewhere does no harm.
pub(super) fn at_hot<T: Real>(one_hot: &[T], values: &[T]) -> T {
    one_hot.iter().zip(values).fold(T::ZERO, |at, (d, &value)| d.if_above(T::ZERO, value, at))
}

/// Standard exponential numbers, −ln u with u uniform in (0, 1): always finite and > 0.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one at a time, on the stack: a box would allocate for every variable
pub enum Exponentials<'a, T> {
    /// Drawn on demand.
    Rng {
        /// For single draws.
        rows: Pcg64,
        /// For sixteen draws at once.
        lanes: LaneRng,
    },
    /// Read from the caller's.
    Given {
        /// All of them.
        values: &'a [T],
        /// Where the next draw begins.
        at: usize,
        /// From one draw to the next.
        stride: usize,
    },
}

impl<T: Scalar> Exponentials<'_, T> {
    /// Writes the next draw, `[C]`.
    ///
    /// # Panics
    /// If the caller gave fewer draws than the estimator wants.
    pub fn next(&mut self, row: &mut [T]) {
        match self {
            Self::Rng { rows, .. } => {
                for e in row {
                    *e = -uniform::<T>(rows).ln();
                }
            }
            Self::Given { values, at, stride } => {
                row.copy_from_slice(given(values, *at, row.len()));
                *at += *stride;
            }
        }
    }

    /// Writes the next `draws ≤ 16` draws side by side, `[C, 16]`; what stands beyond them is finite and > 0 too.
    ///
    /// # Panics
    /// If the caller gave fewer draws than the estimator wants.
    pub fn next_lanes(&mut self, draws: usize, lanes_of_each: &mut [T]) {
        match self {
            Self::Rng { lanes, .. } => lanes.fill_exponential(lanes_of_each),
            Self::Given { values, at, stride } => {
                let rows = lanes_of_each.as_chunks_mut::<LANES>().0;
                rows.as_flattened_mut().fill(T::ONE);
                for k in 0..draws {
                    let draw = given(values, *at, rows.len());
                    rows.iter_mut().zip(draw).for_each(|(row, &e)| row[k] = e);
                    *at += *stride;
                }
            }
        }
    }
}

/// `len` of the caller's numbers.
fn given<T>(values: &[T], at: usize, len: usize) -> &[T] {
    values.get(at..at + len).expect("the estimator wants more conditional draws than were given")
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
