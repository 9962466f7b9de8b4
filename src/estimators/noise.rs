//! Random numbers of one step.

use crate::categorical;
use crate::rng::{LaneRng, Pcg64};
use crate::scalar::Scalar;

/// The noise of one step, drawn before the step: a standard Gumbel number for each logit, and a key
/// from which the draws conditional on the sample (eq. 7) are generated.
///
/// The sample is a function of logits and noise, and the gradient is a function of logits, sample,
/// noise and cotangent. With one seed all estimators therefore have the same sample, and all random
/// numbers can be supplied by the caller instead. The memory is reused, so drawing in later steps
/// does not allocate.
///
/// ```
/// use hardgrad::{estimators::Noise, rng};
/// let (mut a, mut b) = (Noise::<f32>::new(), Noise::new());
/// a.draw(&mut rng::from_key(7), 4);
/// b.draw(&mut rng::from_key(7), 4);
/// assert_eq!((a.gumbel().len(), &a), (4, &b)); // a function of the generator's state
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noise<T> {
    gumbel: Vec<T>,
    /// Key of the draws conditional on the sample. The generator of each variable is derived from
    /// it.
    key: u64,
    pub(super) sample: Option<Vec<T>>,
    exponential: Option<Vec<T>>,
}

impl<T: Scalar> Noise<T> {
    /// Creates empty noise.
    pub fn new() -> Self {
        Self::from_gumbel(Vec::new())
    }

    /// Creates noise from Gumbel numbers, `[N, L·C]`, row-major, in the layout of the logits.
    pub fn from_gumbel(gumbel: Vec<T>) -> Self {
        Self { gumbel, key: 0, sample: None, exponential: None }
    }

    /// Sets the sample, one-hot rows in the layout of the logits. Quantities that the sample does
    /// not determine, such as an estimator's relaxed sample, are still computed from the Gumbel
    /// noise, which should then be conditional on this sample.
    #[must_use]
    pub fn with_sample(mut self, one_hot: Vec<T>) -> Self {
        self.sample = Some(one_hot);
        self
    }

    /// Sets the exponential numbers E of eq. 7: `[K, N, L·C]`, one `[N, L·C]` for each conditional
    /// draw, all > 0.
    ///
    /// # Panics
    /// If their number is not a multiple of the number of Gumbel numbers, or one of them is
    /// not > 0.
    #[must_use]
    #[track_caller]
    pub fn with_exponentials(mut self, exponential: Vec<T>) -> Self {
        let (got, expected) = (exponential.len(), self.gumbel.len());
        let whole = got.checked_rem(expected.max(1)) == Some(0);
        assert!(
            whole,
            "exponentials: {got} numbers, expected a multiple of {expected}, the number of Gumbel numbers"
        );
        assert!(exponential.iter().all(|&e| e > T::ZERO), "exponentials: expected numbers > 0");
        self.exponential = Some(exponential);
        self
    }

    /// Sets the key of the draws conditional on the sample.
    #[must_use]
    pub fn with_key(mut self, key: u64) -> Self {
        self.key = key;
        self
    }

    /// Draws new noise for `count` logits, the number of variables times the number of categories.
    pub fn draw(&mut self, rng: &mut Pcg64, count: usize) {
        self.sample = None;
        self.exponential = None;
        self.gumbel.resize(count, T::ZERO);
        categorical::gumbel(rng, &mut self.gumbel);
        self.key = rand::Rng::next_u64(rng);
    }

    /// The Gumbel numbers, in the layout of the logits.
    pub fn gumbel(&self) -> &[T] {
        &self.gumbel
    }

    /// The key of the conditional draws of a group of variables that starts with number `i`.
    pub(super) fn key_of(&self, i: usize) -> u64 {
        self.key.wrapping_add(i as u64)
    }

    /// The supplied exponential numbers, one slice per draw, if there are any.
    pub(super) fn stored(&self) -> Option<std::slice::ChunksExact<'_, T>> {
        self.exponential.as_ref().map(|values| values.chunks_exact(self.gumbel.len().max(1)))
    }

    /// Writes the exponential numbers of the first conditional draw of variable `i`, `[C]`.
    pub(super) fn first_exponentials(&self, i: usize, e: &mut [T]) {
        match self.stored().and_then(|mut draws| draws.next()) {
            Some(draw) => e.copy_from_slice(&draw[i * e.len()..(i + 1) * e.len()]),
            None => LaneRng::from_key(self.key_of(i)).fill_exponential(e),
        }
    }
}
