//! What an estimator's vjp is given.

use crate::rng::{Pcg64, from_key, uniform};
use crate::scalar::Scalar;

/// One latent variable, as an estimator's vjp sees it. All slices have C numbers.
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
    /// Noise for draws given D.
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
            Conditional::Key(key) => Exponentials::Rng(from_key(key)),
            Conditional::Given { values, first, stride } => Exponentials::Given { values, at: first, stride },
        }
    }
}

/// Rows of standard exponential numbers, one row a draw.
#[derive(Debug)]
pub enum Exponentials<'a, T> {
    /// Drawn on demand.
    Rng(Pcg64),
    /// Read from the caller's.
    Given {
        /// All of them.
        values: &'a [T],
        /// Where the next row begins.
        at: usize,
        /// From one row to the next.
        stride: usize,
    },
}

impl<T: Scalar> Exponentials<'_, T> {
    /// Writes the next row, −ln u with u uniform in (0, 1): always finite and > 0.
    ///
    /// # Panics
    /// If the caller gave fewer rows than the estimator wants.
    pub fn next(&mut self, row: &mut [T]) {
        match self {
            Self::Rng(rng) => {
                for e in row {
                    *e = -uniform::<T>(rng).ln();
                }
            }
            Self::Given { values, at, stride } => {
                let given = values.get(*at..*at + row.len());
                row.copy_from_slice(
                    given.expect("the estimator wants more conditional draws than were given"),
                );
                *at += *stride;
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

impl<'a, T: Scalar> Work<'a, T> {
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

    /// The same rows for a part of the work that ends before the next begins.
    pub fn reborrow(&mut self) -> Work<'_, T> {
        Work { memory: &mut *self.memory, categories: self.categories }
    }
}
