//! The tape's node of an estimator at the loss.

use crate::kernels::softmax::softmax_row;
use crate::mat::MatMut;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::sync::Arc;

/// An estimator that uses the loss itself: its gradient for the logits is a score times D − π, and
/// the losses have pathwise gradients.
///
/// [`Reinforce`](super::Reinforce) and [`Rebar`](super::Rebar) implement this trait; [`score_loss`]
/// records any implementation.
pub trait LossEstimator<T: Scalar>: std::fmt::Debug + Send + Sync {
    /// Weights of the pathwise gradients of the losses: first the weight of f(D), then those of the
    /// further losses that the estimator uses.
    fn weights(&self) -> &[f64];

    /// The factor of D − π in row `row`. `losses(k)` returns all rows of loss k, in the order of
    /// the weights.
    fn score<'f>(&self, losses: &dyn Fn(usize) -> &'f [T], row: usize) -> T;
}

/// Records the loss f(D) with the gradient of `estimator`: its score times D − π for the logits,
/// and its weights for the losses. Shapes: logits and sample `[N, L·C]`, where no gradient flows to
/// the sample; each loss `[N, 1]`, f(D) first; result `[N, 1]`, with the value f(D).
///
/// ```
/// use hardgrad::estimators::{Baseline, Reinforce, score_loss};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(&Mat::zeros(1, 2)); // π = (½, ½)
/// let d = tape.constant(&Mat::from_rows(&[[0.0, 1.0]]));
/// let f = tape.constant(&Mat::from_rows(&[[5.0]]));
/// let reinforce = Reinforce::new(Baseline::Constant(1.0));
/// let loss = score_loss(&mut tape, reinforce, logits, d, &[f], 2);
/// tape.backward(loss, &mut ParamGrads::zeros(&params));
/// assert_eq!(tape.grad(logits).unwrap().data, [-2.0, 2.0]); // (5 − 1) (D − π)
/// ```
///
/// # Panics
/// If a shape does not fit, or the number of losses differs from the number of weights.
#[track_caller]
pub fn score_loss<T: Scalar>(
    tape: &mut Tape<'_, T>,
    estimator: impl LossEstimator<T> + 'static,
    logits: Var,
    sample: Var,
    losses: &[Var],
    categories: usize,
) -> Var {
    let mut inputs = vec![logits, sample];
    inputs.extend(losses);
    tape.custom_shared(Arc::new(LossNode { estimator, categories }), &inputs)
}

/// Inputs: logits, sample, losses. Value: f(D).
#[derive(Debug)]
struct LossNode<E> {
    estimator: E,
    categories: usize,
}

impl<T: Scalar, E: LossEstimator<T>> CustomOp<T> for LossNode<E> {
    fn name(&self) -> &str {
        "loss"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (logits, sample, rows) = (inputs.get(0), inputs.get(1), inputs.get(0).rows);
        let losses = self.estimator.weights().len();
        assert!(
            inputs.len() == 2 + losses,
            "loss: {} inputs, expected logits, sample and {losses} losses",
            inputs.len()
        );
        assert!(
            (sample.rows, sample.cols) == (rows, logits.cols) && logits.cols.is_multiple_of(self.categories),
            "loss: logits [{rows}, {}], sample [{}, {}], categories {}",
            logits.cols,
            sample.rows,
            sample.cols,
            self.categories
        );
        for k in 2..inputs.len() {
            let f = inputs.get(k);
            assert!(
                (f.rows, f.cols) == (rows, 1),
                "loss: losses [{}, {}], expected [{rows}, 1]",
                f.rows,
                f.cols
            );
        }
        (rows, 1)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        out.data.copy_from_slice(inputs.get(2).data);
    }

    fn scratch_len(&self, _: &Inputs<'_, T>) -> usize {
        self.categories
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]) {
        for (k, &weight) in self.estimator.weights().iter().enumerate() {
            let Some(df) = grads.get(2 + k) else { continue };
            df.data.iter_mut().zip(node.g.data).for_each(|(df, &g)| *df += T::of(weight) * g);
        }
        let Some(dlogits) = grads.get(0) else { return };
        let (logits, sample, c) = (node.inputs.get(0), node.inputs.get(1), self.categories);
        let pi = &mut scratch[..c];
        for i in 0..logits.rows {
            let score = self.estimator.score(&|k| node.inputs.get(2 + k).data, i) * node.g.data[i];
            let row = i * logits.cols..(i + 1) * logits.cols;
            let variables = logits.row(i).chunks(c).zip(sample.row(i).chunks(c));
            for ((logits, sample), dlogits) in variables.zip(dlogits.data[row].chunks_mut(c)) {
                softmax_row(logits, T::ONE, pi);
                for ((to, &d), &pi) in dlogits.iter_mut().zip(sample).zip(&*pi) {
                    *to += score * (d - pi); // ∇ log p(D) = D − π
                }
            }
        }
    }
}
