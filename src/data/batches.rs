//! The order of the examples in an epoch, cut into mini-batches.

use crate::rng::shuffle;
use crate::{Error, Result};

/// Mini-batches of example indices: every index of `0..count` once, in slices of `batch_size`.
///
/// The last batch is smaller if `batch_size` does not divide `count`; it is kept, so no example is left out of an
/// epoch. (MNIST in batches of 100: 600 equal ones.)
///
/// ```
/// use hardgrad::data::Batches;
/// let batches = Batches::in_order(7, 3)?;
/// let sizes: Vec<usize> = batches.iter().map(<[u32]>::len).collect();
/// assert_eq!(sizes, [3, 3, 1]);
/// assert_eq!(batches.get(1), Some(&[3, 4, 5][..]));
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batches {
    order: Vec<u32>,
    batch_size: usize,
}

impl Batches {
    /// The indices in ascending order, for evaluation.
    ///
    /// # Errors
    /// If `batch_size` is 0 or `count` exceeds `u32::MAX`.
    pub fn in_order(count: usize, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::argument("batch_size", batch_size, "at least 1"));
        }
        let Ok(count) = u32::try_from(count) else {
            return Err(Error::argument("count", count, "at most 4294967295 examples"));
        };
        Ok(Self { order: (0..count).collect(), batch_size })
    }

    /// The indices in random order, each order equally likely.
    ///
    /// # Errors
    /// As [`Batches::in_order`].
    pub fn shuffled(count: usize, batch_size: usize, rng: &mut impl rand::Rng) -> Result<Self> {
        let mut batches = Self::in_order(count, batch_size)?;
        shuffle(rng, &mut batches.order);
        Ok(batches)
    }

    /// A new random order in the same memory. It depends on `rng` only, not on the order before: it is the one
    /// [`Batches::shuffled`] would give.
    pub fn reshuffle(&mut self, rng: &mut impl rand::Rng) {
        for (i, index) in (0..).zip(&mut self.order) {
            *index = i;
        }
        shuffle(rng, &mut self.order);
    }

    /// The batches of one pass, first to last.
    pub fn iter(&self) -> std::slice::Chunks<'_, u32> {
        self.order.chunks(self.batch_size)
    }

    /// Batch number `step`, from 0, or `None` after the last: where a resumed run goes on.
    pub fn get(&self, step: usize) -> Option<&[u32]> {
        let start = step.checked_mul(self.batch_size).filter(|&start| start < self.order.len())?;
        let end = self.order.len().min(start.saturating_add(self.batch_size));
        self.order.get(start..end)
    }

    /// Number of batches in a pass.
    pub fn len(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// Whether there is no batch, because there are no examples.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Number of examples in a pass.
    pub fn examples(&self) -> usize {
        self.order.len()
    }
}

impl<'a> IntoIterator for &'a Batches {
    type Item = &'a [u32];
    type IntoIter = std::slice::Chunks<'a, u32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Streams};

    #[test]
    fn every_index_comes_once_and_mnist_is_600_by_100() {
        let batches =
            Batches::shuffled(60_000, 100, &mut Streams::new(0).rng(Purpose::Shuffle, 1, 0)).unwrap();
        assert_eq!((batches.len(), batches.examples()), (600, 60_000));
        assert!(batches.iter().all(|b| b.len() == 100));
        let mut seen: Vec<u32> = batches.iter().flatten().copied().collect();
        assert!(!seen.is_sorted());
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..60_000));
    }

    #[test]
    fn reshuffling_forgets_the_order_before() {
        let rng = |epoch| Streams::new(3).rng(Purpose::Shuffle, epoch, 0);
        let fresh = Batches::shuffled(101, 10, &mut rng(2)).unwrap();
        let mut used = Batches::shuffled(101, 10, &mut rng(1)).unwrap();
        assert_ne!(used, fresh);
        let buffer = used.order.as_ptr();
        used.reshuffle(&mut rng(2));
        assert_eq!(used, fresh);
        assert_eq!(used.order.as_ptr(), buffer, "no new memory");
    }

    #[test]
    fn get_agrees_with_iter() {
        for (count, size) in [(0, 3), (1, 3), (3, 3), (7, 3), (7, usize::MAX)] {
            let batches = Batches::in_order(count, size).unwrap();
            let got: Vec<&[u32]> = (0..).map_while(|step| batches.get(step)).collect();
            assert_eq!(got, batches.iter().collect::<Vec<_>>(), "{count} by {size}");
            assert_eq!(got.len(), batches.len());
            assert_eq!(batches.get(usize::MAX), None);
        }
    }

    #[test]
    fn a_batch_of_nothing_is_refused() {
        let e = Batches::in_order(5, 0).unwrap_err().to_string();
        assert_eq!(e, "batch_size: got 0, expected at least 1");
    }
}
