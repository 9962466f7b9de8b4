//! The node that a sample-side estimator lives in.

use super::{Conditional, Latent, SampleEstimator, Work};
use crate::categorical;
use crate::mat::MatMut;
use crate::par::{self, Blocks, Wide};
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded};

/// Variables to a block of parallel work: for Gumbel-Rao's hundred draws some hundred microseconds, for the others a few.
const BLOCK: usize = 32;

/// The noise of one step, drawn before it: standard Gumbel numbers, one a logit, and, if the caller supplies it, the
/// sample itself.
///
/// Kept by the caller from step to step, so that drawing allocates nothing.
///
/// ```
/// use hardgrad::{estimators::Noise, rng};
/// let (mut a, mut b) = (Noise::<f32>::new(), Noise::new());
/// a.draw(&mut rng::from_key(7), 4);
/// b.draw(&mut rng::from_key(7), 4);
/// assert_eq!((a.gumbel().len(), &a), (4, &b)); // a function of the generator
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noise<T> {
    gumbel: Vec<T>,
    /// For draws given the sample; each variable's generator is derived from it.
    key: u64,
    sample: Option<Vec<T>>,
    exponential: Option<Vec<T>>,
}

impl<T: Scalar> Noise<T> {
    /// No noise yet.
    pub fn new() -> Self {
        Self::given(Vec::new())
    }

    /// Noise from outside: row-major `[N, L·C]`, like the logits.
    pub fn given(gumbel: Vec<T>) -> Self {
        Self { gumbel, key: 0, sample: None, exponential: None }
    }

    /// With the sample given too, one-hot rows in the layout of the logits. What is not determined by it (an estimator's
    /// relaxed sample) still comes from the Gumbel noise, which should then be a draw *given* this sample.
    #[must_use]
    pub fn with_sample(mut self, one_hot: Vec<T>) -> Self {
        self.sample = Some(one_hot);
        self
    }

    /// With the exponential numbers E of eq. 7 given too: `[K, N, L·C]`, one `[N, L·C]` for each conditional draw, all > 0.
    ///
    /// # Panics
    /// If their number is not a multiple of that of the Gumbel numbers, or one is not > 0.
    #[must_use]
    #[track_caller]
    pub fn with_exponentials(mut self, exponential: Vec<T>) -> Self {
        let whole = exponential.len().checked_rem(self.gumbel.len().max(1)) == Some(0);
        assert!(whole, "{} exponential numbers are no multiple of {}", exponential.len(), self.gumbel.len());
        assert!(exponential.iter().all(|&e| e > T::ZERO), "exponential numbers must be > 0");
        self.exponential = Some(exponential);
        self
    }

    /// With this key for draws given the sample.
    #[must_use]
    pub fn with_key(mut self, key: u64) -> Self {
        self.key = key;
        self
    }

    /// Draws new noise for `count` logits.
    pub fn draw(&mut self, rng: &mut impl rand::Rng, count: usize) {
        self.sample = None;
        self.exponential = None;
        self.gumbel.resize(count, T::ZERO);
        categorical::gumbel(rng, &mut self.gumbel);
        self.key = rng.next_u64();
    }

    /// The noise for draws given the sample of variable `i`, of `c` categories.
    pub(super) fn conditional(&self, i: usize, c: usize) -> Conditional<'_, T> {
        match &self.exponential {
            Some(values) => Conditional::Given { values, first: i * c, stride: self.gumbel.len() },
            None => Conditional::Key(self.key.wrapping_add(i as u64)),
        }
    }

    /// The Gumbel numbers.
    pub fn gumbel(&self) -> &[T] {
        &self.gumbel
    }
}

/// A straight-through node at the sample. Input: logits `[N, L·C]`; value: the one-hot sample D, of the same shape;
/// backward: the estimator's vjp for each latent variable.
///
/// ```
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// use hardgrad::estimators::{Noise, ReinMax, SampleNode};
///
/// let reinmax = ReinMax::new(1.0).unwrap();
/// let noise = Noise::given(vec![0.0, 0.0]);
/// let node = SampleNode::new(&reinmax, &noise, 2);
///
/// let (params, mut workspace) = (ParamStore::new(), Workspace::new());
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(Mat::from_rows(&[[0.0, 3.0_f64.ln()]]).view()); // π = (¼, ¾)
/// let d = tape.custom(&node, &[logits]);
/// assert_eq!(tape.value(d).data, [0.0, 1.0]);
/// tape.backward_from(d, &[0.0, 1.0], &mut ParamGrads::zeros(&params)); // g = (0, 1)
/// // 2 · ⅛ · ⅞ − ½ · ¼ · ¾, and the opposite
/// let expected = 2.0 * 7.0 / 64.0 - 0.5 * 3.0 / 16.0;
/// let grad = tape.grad(logits).unwrap().data;
/// assert!((grad[1] - expected).abs() < 1e-15 && (grad[0] + expected).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SampleNode<'a, T> {
    estimator: &'a dyn SampleEstimator<T>,
    noise: &'a Noise<T>,
    categories: usize,
}

impl<'a, T: Scalar> SampleNode<'a, T> {
    /// A node that draws with `noise`, in groups of `categories` logits.
    pub fn new(estimator: &'a dyn SampleEstimator<T>, noise: &'a Noise<T>, categories: usize) -> Self {
        Self { estimator, noise, categories }
    }

    fn blocks(&self) -> usize {
        self.noise.gumbel.len().div_ceil(BLOCK * self.categories)
    }
}

impl<T: Scalar> CustomOp<T> for SampleNode<'_, T> {
    fn name(&self) -> &str {
        "sample"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (logits, c) = (inputs.get(0), self.categories);
        let noise = self.noise.gumbel.len();
        assert!(
            c > 0 && logits.cols % c == 0,
            "sample: logits [{}, {}] do not divide into variables of {c} categories",
            logits.rows,
            logits.cols
        );
        assert!(
            noise == logits.data.len(),
            "sample: logits [{}, {}] need as many noise numbers, got {noise}",
            logits.rows,
            logits.cols
        );
        (logits.rows, logits.cols)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        if let Some(sample) = &self.noise.sample {
            return out.data.copy_from_slice(sample);
        }
        let c = self.categories;
        let (logits, gumbel) = (inputs.get(0).data, &self.noise.gumbel);
        par::for_each_block(out.data, BLOCK * c, |from, sample: &mut [T]| {
            let rows = logits[from..].chunks(c).zip(gumbel[from..].chunks(c));
            for ((logits, gumbel), sample) in rows.zip(sample.chunks_mut(c)) {
                self.estimator.draw(logits, gumbel, sample);
            }
        });
    }

    fn scratch_len(&self, _: &Inputs<'_, T>) -> usize {
        // Rows for one variable at a time in each block.
        self.blocks() * self.estimator.work_rows() * self.categories
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]) {
        let Some(dlogits) = grads.get(0) else { return };
        let c = self.categories;
        let (logits, one_hot, g) = (node.inputs.get(0).data, node.output.data, node.g.data);
        let times = (self.estimator.work_rows() * c).max(1);
        let slice = &mut scratch[..times * self.blocks()];
        par::for_each_block(
            (Blocks { slice: dlogits.data, size: BLOCK * c }, Wide { slice, times }),
            1,
            |block, (dlogits, work): (Blocks<'_, T>, Wide<'_, T>)| {
                for (k, dlogits) in dlogits.slice.chunks_mut(c).enumerate() {
                    let first = (block * BLOCK + k) * c;
                    let row = first..first + c;
                    let latent = Latent {
                        logits: &logits[row.clone()],
                        one_hot: &one_hot[row.clone()],
                        gumbel: &self.noise.gumbel[row.clone()],
                        conditional: self.noise.conditional(row.start / c, c),
                    };
                    self.estimator.vjp(&latent, &g[row], dlogits, Work::new(&mut *work.slice, c));
                }
            },
        );
    }
}
