//! The order of the examples in an epoch, divided into mini-batches.

use crate::rng::shuffle;
use crate::{Error, Result};

/// Mini-batches of example indices: each index of `0..count` occurs once, in slices of
/// `batch_size`.
///
/// The last batch is smaller if `batch_size` does not divide `count`. It is kept, so that an epoch
/// contains every example. (MNIST in batches of 100 gives 600 equal batches.)
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
    /// Creates batches of the indices in ascending order, for evaluation.
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

    /// Creates batches of the indices in random order, where every order is equally likely.
    ///
    /// # Errors
    /// As for [`Batches::in_order`].
    pub fn shuffled(count: usize, batch_size: usize, rng: &mut impl rand::Rng) -> Result<Self> {
        let mut batches = Self::in_order(count, batch_size)?;
        shuffle(rng, &mut batches.order);
        Ok(batches)
    }

    /// Shuffles anew without allocating. The order depends only on `rng`, not on the previous
    /// order: it equals that of [`Batches::shuffled`].
    pub fn reshuffle(&mut self, rng: &mut impl rand::Rng) {
        for (i, index) in (0..).zip(&mut self.order) {
            *index = i;
        }
        shuffle(rng, &mut self.order);
    }

    /// Iterates over the batches of one epoch.
    pub fn iter(&self) -> std::slice::Chunks<'_, u32> {
        self.order.chunks(self.batch_size)
    }

    /// The batch of step `step`, counted from 0; `None` after the last. A resumed run continues at
    /// its stored step.
    pub fn get(&self, step: usize) -> Option<&[u32]> {
        let start = step.checked_mul(self.batch_size).filter(|&start| start < self.order.len())?;
        let end = self.order.len().min(start.saturating_add(self.batch_size));
        self.order.get(start..end)
    }

    /// Number of batches per epoch.
    pub fn len(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// Whether there are no batches, because there are no examples.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Number of examples per epoch.
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
    fn every_index_occurs_once_and_mnist_has_600_batches_of_100() {
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
    fn reshuffling_does_not_depend_on_the_previous_order() {
        let rng = |epoch| Streams::new(3).rng(Purpose::Shuffle, epoch, 0);
        let fresh = Batches::shuffled(101, 10, &mut rng(2)).unwrap();
        let mut used = Batches::shuffled(101, 10, &mut rng(1)).unwrap();
        assert_ne!(used, fresh);
        let buffer = used.order.as_ptr();
        used.reshuffle(&mut rng(2));
        assert_eq!(used, fresh);
        assert_eq!(used.order.as_ptr(), buffer, "the allocation is reused");
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
    fn a_batch_size_of_zero_is_an_error() {
        let e = Batches::in_order(5, 0).unwrap_err().to_string();
        assert_eq!(e, "batch_size: got 0, expected at least 1");
    }
}
