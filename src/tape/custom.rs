//! Nodes whose backward pass is not the derivative of their forward pass.

use super::backward::Grads;
use super::{Values, Var};
use crate::mat::{MatMut, MatRef};
use crate::scalar::Scalar;

/// A user-defined operation, recorded with [`Tape::custom`](super::Tape::custom).
///
/// `vjp` need not be the derivative of `forward`. A straight-through node at the *sample* takes the
/// logits and returns the sample, and its `vjp` is a gradient estimator. A node at the *loss* takes
/// the logits and the loss and returns the loss, and its `vjp` adds a score-function term to the
/// gradient of the logits.
///
/// `forward` must not draw random numbers. Noise is drawn beforehand and stored in the operation,
/// so that the node can be replayed, evaluated at a sample from elsewhere, or compared with another
/// node.
///
/// Example: a sign function whose backward pass is that of the identity on [−1, 1].
///
/// ```
/// use hardgrad::{Mat, MatMut, ParamGrads, ParamStore, Workspace};
/// use hardgrad::tape::{CustomOp, InputGrads, Inputs, Recorded};
///
/// struct StraightThroughSign;
///
/// impl CustomOp<f64> for StraightThroughSign {
///     fn name(&self) -> &str { "sign" }
///     fn shape(&self, inputs: &Inputs<'_, f64>) -> (usize, usize) {
///         (inputs.get(0).rows, inputs.get(0).cols)
///     }
///     fn forward(&self, inputs: &Inputs<'_, f64>, out: MatMut<'_, f64>) {
///         for (out, x) in out.data.iter_mut().zip(inputs.get(0).data) { *out = x.signum(); }
///     }
///     fn vjp(
///         &self,
///         node: &Recorded<'_, f64>,
///         grads: &mut InputGrads<'_, '_, f64>,
///         _: &mut [f64],
///     ) {
///         let x = node.inputs.get(0).data;
///         let Some(dx) = grads.get(0) else { return };
///         for ((dx, g), x) in dx.data.iter_mut().zip(node.g.data).zip(x) {
///             if x.abs() <= 1.0 { *dx += g; }
///         }
///     }
/// }
///
/// let (params, mut workspace) = (ParamStore::new(), Workspace::new());
/// let mut tape = workspace.tape(&params);
/// let x = tape.leaf(Mat::from_rows(&[[0.3, -2.0]]).view());
/// let y = tape.custom(&StraightThroughSign, &[x]);
/// let loss = tape.sum(y);
/// tape.backward(loss, &mut ParamGrads::zeros(&params));
/// assert_eq!(tape.value(y).data, [1.0, -1.0]);
/// assert_eq!(tape.grad(x).unwrap().data, [1.0, 0.0]);
/// ```
pub trait CustomOp<T: Scalar> {
    /// Name of the operation, used in messages.
    fn name(&self) -> &str;

    /// Shape of the output, `(rows, cols)`.
    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize);

    /// Writes every number of the output. The initial contents of `out` are unspecified.
    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>);

    /// Whether a gradient flows back through this operation. If it returns `false`, `vjp` is never
    /// called.
    fn has_gradient(&self) -> bool {
        true
    }

    /// Number of scratch elements that `vjp` needs.
    fn scratch_len(&self, _inputs: &Inputs<'_, T>) -> usize {
        0
    }

    /// Adds the vjp of the output's cotangent `node.g` to the gradients of the inputs. `scratch`
    /// has at least [`scratch_len`](Self::scratch_len) elements with unspecified contents.
    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]);
}

/// The values of a custom node's inputs.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, T> {
    pub(super) values: Values<'a, T>,
    pub(super) vars: &'a [Var],
}

impl<'a, T: Scalar> Inputs<'a, T> {
    /// Number of inputs.
    #[allow(clippy::len_without_is_empty)] // a list of operands, not a collection
    pub fn len(&self) -> usize {
        self.vars.len()
    }

    /// Input `k`, in the order passed to [`Tape::custom`](super::Tape::custom).
    ///
    /// # Panics
    /// If there is no input `k`.
    #[track_caller]
    pub fn get(&self, k: usize) -> MatRef<'a, T> {
        self.values.get(self.vars[k])
    }
}

/// A recorded custom node, as passed to its vjp.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a, T> {
    /// Values of the inputs.
    pub inputs: Inputs<'a, T>,
    /// Output value that `forward` wrote.
    pub output: MatRef<'a, T>,
    /// Cotangent of the output.
    pub g: MatRef<'a, T>,
}

/// Gradients of a custom node's inputs.
#[derive(Debug)]
pub struct InputGrads<'s, 'a, T> {
    pub(super) grads: &'s mut Grads<'a, T>,
    pub(super) vars: &'s [Var],
}

impl<T: Scalar> InputGrads<'_, '_, T> {
    /// The gradient of input `k`, which the vjp adds to; `None` if it is not needed.
    ///
    /// # Panics
    /// If there is no input `k`.
    #[track_caller]
    pub fn get(&mut self, k: usize) -> Option<MatMut<'_, T>> {
        self.grads.sum_into(self.vars[k])
    }
}
