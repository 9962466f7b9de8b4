//! Interface of estimators that use the losses and gradients of several samples of each input.
//!
//! The losses are known when f has been recorded, but their gradients at the samples only in the
//! reverse sweep. Therefore there are two nodes: one at the samples, whose vjp calls the estimator,
//! and one at the loss. The sweep reaches the node at the loss first, which stores the weighted
//! losses for the node at the samples.

use crate::estimators::Choice;
use crate::kernels::softmax::softmax_row;
use crate::mat::MatMut;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

/// The n samples of one input, as passed to a [`SamplesEstimator`]. ω is the cotangent of the
/// losses, 1/(n N) for their mean over N inputs. An estimator that is linear in losses and
/// gradients can ignore it.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a, T> {
    /// The probabilities π = softmax(θ), `[L·C]`.
    pub pi: &'a [T],
    /// The samples D_k, `[n, L·C]`.
    pub one_hot: &'a [T],
    /// The losses multiplied by their cotangent, ω f_k, `[n]`.
    pub losses: &'a [T],
    /// The gradients of the losses at the samples, ω ∂f_k/∂D_k, `[n, L·C]`.
    pub gradients: &'a [T],
    /// The number of categories C.
    pub categories: usize,
}

/// An estimator that uses the losses of n samples of each input and their gradients at the samples.
///
/// [`DoubleControlVariate`](super::DoubleControlVariate) implements this trait; [`samples_loss`]
/// records any implementation.
pub trait SamplesEstimator<T: Scalar>: Debug + Send + Sync {
    /// Number of samples per input, n.
    fn samples(&self) -> usize;

    /// Number of elements of temporary memory that [`add`](Self::add) needs, where a code has
    /// `width` = L·C numbers.
    fn work_len(&self, _width: usize) -> usize {
        0
    }

    /// Adds the estimate of ∂/∂θ Σ_k ω E f to `dlogits`, `[L·C]`. With ω = 1/n this is the gradient
    /// of E f. The contents of `work` are unspecified.
    fn add(&self, at: &Samples<'_, T>, dlogits: &mut [T], work: &mut [T]);
}

/// Records n samples D_k of `choice` for each row of logits and the losses f(D_k), with the
/// gradient of `estimator` for the logits. The gradient of the losses themselves flows into all
/// other inputs of f. Shapes: logits `[N, L·C]`; f: samples `[N·n, L·C]`, those of one input in
/// consecutive rows → `[N·n, 1]`; result `[N·n, 1]`. The choice must have the noise of N·n·L
/// variables.
///
/// ```
/// use hardgrad::estimators::{Choice, Noise, Samples, SamplesEstimator, samples_loss};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// /// REINFORCE without a baseline.
/// #[derive(Debug)]
/// struct Plain;
/// impl SamplesEstimator<f64> for Plain {
///     fn samples(&self) -> usize { 2 }
///     fn add(&self, at: &Samples<'_, f64>, dlogits: &mut [f64], _: &mut [f64]) {
///         for (d, f) in at.one_hot.chunks(at.pi.len()).zip(at.losses) {
///             for ((to, d), pi) in dlogits.iter_mut().zip(d).zip(at.pi) { *to += f * (d - pi); }
///         }
///     }
/// }
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let noise = Noise::from_gumbel(vec![0.0, 1.0, 1.0, 0.0]);
/// let choice = Choice::without_gradient(2).with_noise(noise);
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(&Mat::zeros(1, 2)); // π = (½, ½)
/// let loss = samples_loss(&mut tape, Plain, logits, &choice, |tape, d| {
///     let prices = tape.constant(&Mat::from_rows(&[[2.0], [5.0]]));
///     tape.matmul(d, prices)
/// });
/// let mean = tape.mean(loss);
/// tape.backward(mean, &mut ParamGrads::zeros(&params));
/// assert_eq!(tape.grad(logits).unwrap().data, [-0.75, 0.75]); // ½ (5 (−½, ½) + 2 (½, −½))
/// ```
///
/// # Panics
/// If a shape does not fit.
#[track_caller]
pub fn samples_loss<'t, T: Scalar>(
    tape: &mut Tape<'t, T>,
    estimator: impl SamplesEstimator<T> + 'static,
    logits: Var,
    choice: &Choice<T>,
    f: impl FnOnce(&mut Tape<'t, T>, Var) -> Var,
) -> Var {
    let d = several_samples(tape, logits, choice, estimator.samples());
    let passed = Arc::new(Passed(Mutex::new(Vec::new())));
    let node = SamplesNode { estimator, categories: choice.categories(), passed: passed.clone() };
    let d = tape.custom_shared(Arc::new(node), &[logits, d]);
    let loss = f(tape, d);
    tape.custom_shared(Arc::new(WeighedNode { passed }), &[loss, d])
}

/// Records n samples for each row of logits, without a gradient: `[N, L·C]` → `[N·n, L·C]`.
#[track_caller]
pub(super) fn several_samples<T: Scalar>(
    tape: &mut Tape<'_, T>,
    logits: Var,
    choice: &Choice<T>,
    n: usize,
) -> Var {
    choice.assert_draws_at_logits();
    let held = tape.detach(logits);
    let repeated = if n == 1 { held } else { tape.repeat_rows(held, n) };
    let d = tape.sample(choice, repeated);
    tape.detach(d)
}

/// Returns `samples` if it is a valid number of samples.
pub(super) fn sample_count(samples: usize, least: usize) -> crate::Result<usize> {
    if (least..=10_000).contains(&samples) {
        return Ok(samples);
    }
    Err(crate::Error::argument("samples", samples, format!("a number from {least} to 10000")))
}

/// Passes ω f of every sample from the node at the loss to the node at the samples.
#[derive(Debug)]
struct Passed<T>(Mutex<Vec<T>>);

impl<T> Passed<T> {
    fn with<R>(&self, f: impl FnOnce(&mut Vec<T>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Inputs: logits `[N, L·C]` and samples `[N·n, L·C]`. Value: the samples. Backward: the estimator.
#[derive(Debug)]
struct SamplesNode<T, E> {
    estimator: E,
    categories: usize,
    passed: Arc<Passed<T>>,
}

impl<T: Scalar, E: SamplesEstimator<T>> CustomOp<T> for SamplesNode<T, E> {
    fn name(&self) -> &str {
        "samples"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        (inputs.get(1).rows, inputs.get(1).cols)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        out.data.copy_from_slice(inputs.get(1).data);
    }

    fn scratch_len(&self, inputs: &Inputs<'_, T>) -> usize {
        let width = inputs.get(0).cols;
        width + self.estimator.work_len(width)
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]) {
        let Some(dlogits) = grads.get(0) else { return };
        let (logits, width) = (node.inputs.get(0), node.inputs.get(0).cols);
        let (n, c) = (self.estimator.samples(), self.categories);
        let (pi, work) = scratch.split_at_mut(width);
        let work = &mut work[..self.estimator.work_len(width)];
        // The losses are removed, so that a later sweep that does not pass through the losses finds
        // none.
        let losses = self.passed.with(std::mem::take);
        if losses.len() != node.output.rows {
            return;
        }
        for (i, dlogits) in dlogits.data.chunks_mut(width).enumerate() {
            for (logits, pi) in logits.row(i).chunks(c).zip(pi.chunks_mut(c)) {
                softmax_row(logits, T::ONE, pi);
            }
            let rows = i * n * width..(i + 1) * n * width;
            let at = Samples {
                pi,
                one_hot: &node.output.data[rows.clone()],
                losses: &losses[i * n..(i + 1) * n],
                gradients: &node.g.data[rows],
                categories: c,
            };
            self.estimator.add(&at, dlogits, work);
        }
    }
}

/// Inputs: losses and samples. Value: the losses. The vjp stores ω f for the node at the samples,
/// and marks that node as reached even if f has no gradient.
#[derive(Debug)]
struct WeighedNode<T> {
    passed: Arc<Passed<T>>,
}

impl<T: Scalar> CustomOp<T> for WeighedNode<T> {
    fn name(&self) -> &str {
        "losses of the samples"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        check_losses(inputs.get(0), inputs.get(1).rows)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        out.data.copy_from_slice(inputs.get(0).data);
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, _: &mut [T]) {
        let losses = node.inputs.get(0).data.iter().zip(node.g.data);
        self.passed.with(|passed| {
            passed.clear();
            passed.extend(losses.map(|(&f, &omega)| omega * f));
        });
        let _ = grads.get(1);
        if let Some(df) = grads.get(0) {
            df.data.iter_mut().zip(node.g.data).for_each(|(df, &omega)| *df += omega);
        }
    }
}

/// Checks the shape of losses, and returns it: `[rows, 1]`.
#[track_caller]
pub(super) fn check_losses<T: Scalar>(losses: crate::MatRef<'_, T>, rows: usize) -> (usize, usize) {
    assert!(
        (losses.rows, losses.cols) == (rows, 1),
        "losses [{}, {}], expected [{rows}, 1], one loss per sample",
        losses.rows,
        losses.cols
    );
    (rows, 1)
}
