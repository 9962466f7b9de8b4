//! The node that a loss-side estimator lives in.

use super::LossEstimator;
use crate::kernels::softmax::softmax_row;
use crate::mat::MatMut;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded};

/// A node at the loss. Inputs: logits `[N, L·C]`, the sample D of the same shape (no gradient reaches it), the losses f(D)
/// `[N, 1]`, and the further losses that the estimator asks for, `[N, 1]` each; value: f(D); backward: the estimator's score
/// times D − π for the logits, its weights for the losses.
///
/// ```
/// use hardgrad::estimators::{Baseline, LossNode, Reinforce};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let reinforce = Reinforce::new(Baseline::Constant(1.0));
/// let node = LossNode::new(&reinforce, 2);
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(Mat::zeros(1, 2).view()); // π = (½, ½)
/// let d = tape.constant(Mat::from_rows(&[[0.0, 1.0]]).view());
/// let f = tape.constant(Mat::from_rows(&[[5.0]]).view());
/// let loss = tape.custom(&node, &[logits, d, f]);
/// tape.backward(loss, &mut ParamGrads::zeros(&params));
/// assert_eq!(tape.grad(logits).unwrap().data, [-2.0, 2.0]); // (5 − 1) (D − π)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LossNode<'a, T> {
    estimator: &'a dyn LossEstimator<T>,
    categories: usize,
}

impl<'a, T: Scalar> LossNode<'a, T> {
    /// A node for variables of `categories` categories.
    pub fn new(estimator: &'a dyn LossEstimator<T>, categories: usize) -> Self {
        Self { estimator, categories }
    }
}

impl<T: Scalar> CustomOp<T> for LossNode<'_, T> {
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
