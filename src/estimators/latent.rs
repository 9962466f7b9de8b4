//! What a formula is given: one latent variable, its noise, and temporary memory.

use crate::rng::LaneRng;
use crate::scalar::Real;

/// One latent variable as a [`Formula`](super::Formula) sees it. All slices have C numbers.
#[derive(Clone, Copy, Debug)]
pub struct Latent<'a, T: Real> {
    /// The logits θ. A logit of −∞ is a category that cannot be drawn.
    pub logits: &'a [T],
    /// The sample D.
    pub one_hot: &'a [T],
    /// The Gumbel noise G that drew D.
    pub gumbel: &'a [T],
    pub(super) conditional: Conditional<'a, T>,
}

/// Where the exponential numbers E of eq. 7 come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Conditional<'a, T> {
    /// A generator with this key, so that draws are streamed and never stored.
    Key(u64),
    /// The caller's numbers, `[K, C]`.
    Stored(&'a [T]),
}

impl<'a, T: Real> Latent<'a, T> {
    /// The entry of `values` at the category drawn. It is selected, not multiplied by D: an infinity elsewhere does no harm.
    #[inline(always)]
    pub fn at_sample(&self, values: &[T]) -> T {
        at_sample(self.one_hot, values)
    }

    /// The stream of standard exponential numbers for draws conditional on D, eq. 7, at its start.
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

/// Standard exponential numbers, −ln u with u uniform in (0, 1): finite and > 0. From [`Latent::exponentials`].
#[derive(Debug)]
pub struct Exponentials<'a, T: Real>(Source<'a, T>);

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one at a time, on the stack: a box would allocate for every variable
enum Source<'a, T> {
    /// Drawn on demand.
    Generator(LaneRng),
    /// What is left of the caller's numbers.
    Stored(&'a [T]),
}

impl<T: Real> Exponentials<'_, T> {
    /// Writes the next numbers: those of one draw, `[C]`, or of several, `[draws, C]`.
    ///
    /// # Panics
    /// If the noise holds numbers of the caller's (see [`Noise::with_exponentials`](super::Noise::with_exponentials)), and they are fewer
    /// than the formula takes.
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

/// Temporary memory: rows of C numbers, of unspecified value, taken from the front.
#[derive(Debug)]
pub struct Work<'a, T> {
    memory: &'a mut [T],
    categories: usize,
}

impl<'a, T: Real> Work<'a, T> {
    pub(super) fn new(memory: &'a mut [T], categories: usize) -> Self {
        Self { memory, categories }
    }

    /// Takes N rows; the rest is for a formula inside this one.
    ///
    /// # Panics
    /// If fewer are left: [`work_rows`](super::Formula::work_rows) returns too small a number.
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

    /// Takes `rows` rows as one slice; the rest as above.
    ///
    /// # Panics
    /// As [`take`](Self::take).
    pub fn take_together(self, rows: usize) -> (&'a mut [T], Self) {
        let Some((taken, memory)) = self.memory.split_at_mut_checked(rows * self.categories) else {
            panic!("work: the formula takes more rows than its work_rows() returns");
        };
        (taken, Self { memory, ..self })
    }

    /// The same rows, for a part of the computation that ends before the next part begins.
    pub fn reborrow(&mut self) -> Work<'_, T> {
        Work { memory: &mut *self.memory, categories: self.categories }
    }
}
