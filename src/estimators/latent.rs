//! Arguments of a formula: one latent variable with its noise, and temporary memory.

use crate::rng::LaneRng;
use crate::scalar::Real;

/// One latent variable, as passed to a [`Formula`](super::Formula). All slices have C numbers.
#[derive(Clone, Copy, Debug)]
pub struct Latent<'a, T: Real> {
    /// The logits θ. A logit of −∞ masks a category, which is then never drawn.
    pub logits: &'a [T],
    /// The sample D.
    pub one_hot: &'a [T],
    /// The Gumbel noise G from which D was drawn.
    pub gumbel: &'a [T],
    pub(super) conditional: Conditional<'a, T>,
}

/// Source of the exponential numbers E of eq. 7.
#[derive(Clone, Copy, Debug)]
pub(super) enum Conditional<'a, T> {
    /// A generator with this key. The draws are streamed and never stored.
    Key(u64),
    /// Numbers supplied by the caller, `[K, C]`.
    Stored(&'a [T]),
}

impl<'a, T: Real> Latent<'a, T> {
    /// The entry of `values` at the category drawn. It is selected, not computed as a product with
    /// D, so infinities in other entries have no effect.
    #[inline(always)]
    pub fn at_sample(&self, values: &[T]) -> T {
        at_sample(self.one_hot, values)
    }

    /// A new stream of standard exponential numbers for draws conditional on D, eq. 7. Every call
    /// returns the same stream.
    pub fn exponentials(&self) -> Exponentials<'a, T> {
        Exponentials(match self.conditional {
            Conditional::Key(key) => Source::Generator(LaneRng::from_key(key)),
            Conditional::Stored(values) => Source::Stored(values),
        })
    }
}

/// See [`Latent::at_sample`].
#[inline(always)]
pub(super) fn at_sample<T: Real>(one_hot: &[T], values: &[T]) -> T {
    one_hot.iter().zip(values).fold(T::ZERO, |at, (d, &value)| d.select(value, at))
}

/// A stream of standard exponential numbers, −ln u with u uniform in (0, 1), all finite and > 0.
/// Created by [`Latent::exponentials`].
#[derive(Debug)]
pub struct Exponentials<'a, T: Real>(Source<'a, T>);

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // lives briefly on the stack; a box would allocate for every variable
enum Source<'a, T> {
    /// Numbers are drawn on demand.
    Generator(LaneRng),
    /// The remaining numbers supplied by the caller.
    Stored(&'a [T]),
}

impl<T: Real> Exponentials<'_, T> {
    /// Writes the next numbers: those of one draw, `[C]`, or of several draws, `[draws, C]`.
    ///
    /// # Panics
    /// If numbers were supplied (see [`Noise::with_exponentials`](super::Noise::with_exponentials))
    /// and there are fewer than the formula takes.
    pub fn next(&mut self, rows: &mut [T]) {
        match &mut self.0 {
            Source::Generator(rng) => rng.fill_exponential(T::numbers(rows)),
            Source::Stored(left) => {
                let Some((next, rest)) = left.split_at_checked(rows.len()) else {
                    panic!("exponentials: the noise holds too few conditional draws for this estimator");
                };
                rows.copy_from_slice(next);
                *left = rest;
            }
        }
    }
}

/// Temporary memory: rows of C numbers with unspecified contents.
#[derive(Debug)]
pub struct Work<'a, T> {
    memory: &'a mut [T],
    categories: usize,
}

impl<'a, T: Real> Work<'a, T> {
    pub(super) fn new(memory: &'a mut [T], categories: usize) -> Self {
        Self { memory, categories }
    }

    /// Takes N rows. The remaining rows are returned and can be passed to a nested formula.
    ///
    /// # Panics
    /// If fewer rows remain, because [`work_rows`](super::Formula::work_rows) returns too small a
    /// number.
    pub fn take<const N: usize>(self) -> ([&'a mut [T]; N], Self) {
        let (taken, rest) = self.take_together(N);
        let c = rest.categories;
        let mut taken = taken;
        let rows = std::array::from_fn(|_| {
            let (row, later) = std::mem::take(&mut taken).split_at_mut(c);
            taken = later;
            row
        });
        (rows, rest)
    }

    /// Takes `rows` rows as one slice, and returns the remaining rows.
    ///
    /// # Panics
    /// As for [`take`](Self::take).
    pub fn take_together(self, rows: usize) -> (&'a mut [T], Self) {
        let Some((taken, memory)) = self.memory.split_at_mut_checked(rows * self.categories) else {
            panic!("work: the formula takes more rows than its work_rows() returns");
        };
        (taken, Self { memory, ..self })
    }

    /// Borrows all rows for a part of the computation that ends before the next part begins.
    pub fn reborrow(&mut self) -> Work<'_, T> {
        Work { memory: &mut *self.memory, categories: self.categories }
    }
}
