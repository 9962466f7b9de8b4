//! Local expectation gradients: the exact expectation over one variable at a time, with the other
//! variables fixed at their sampled values.

use super::samples::{check_losses, several_samples};
use crate::categorical::argmax;
use crate::estimators::Choice;
use crate::kernels::softmax::{softmax_row, vjp_row};
use crate::mat::MatMut;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::sync::Arc;

/// Local expectation gradients: the exact expectation over each variable, with the others as drawn.
///
/// Titsias and Lázaro-Gredilla, "Local Expectation Gradients for Black Box Variational Inference"
/// (2015).
///
/// ```text
/// ∂ E f/∂θ^l ≈ J(π^l) F^l,   F^l_i = f(D with D^l = e_i)
/// ```
///
/// θ^l and π^l are the logits and probabilities of variable l of L; J(q) F = q ⊙ (F − ⟨q, F⟩). The
/// estimator is unbiased, takes L (C − 1) + 1 evaluations of f, and is exact for one variable. Its
/// variance is small: averaged over draws it is the reference where C^L codes cannot be enumerated.
/// For the VAE, [`Vae::local_expectation`](crate::vae::Vae::local_expectation) computes the first
/// layer of the decoder by differences, and bounds the memory.
///
/// ```
/// use hardgrad::estimators::{Choice, LocalExpectation, Noise};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let choice = Choice::without_gradient(2).with_noise(Noise::from_gumbel(vec![0.0; 2]));
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(&Mat::from_rows(&[[0.0, 3.0_f64.ln()]])); // π = (¼, ¾)
/// let loss = LocalExpectation.loss(&mut tape, logits, &choice, |tape, d| {
///     let prices = tape.constant(&Mat::from_rows(&[[0.0], [4.0]]));
///     tape.matmul(d, prices)
/// });
/// tape.backward(loss, &mut ParamGrads::zeros(&params));
/// // With one variable the gradient is exact: 4 · ¼ · ¾.
/// assert!((tape.grad(logits).unwrap().data[1] - 0.75).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalExpectation;

impl LocalExpectation {
    /// Records a sample D and its loss, and the losses of all codes that differ from D in one
    /// variable. f is called twice: with D `[N, L·C]`, and with the other codes `[N·L·(C−1), L·C]`,
    /// those of one input in consecutive rows. It returns one number for each row. The gradient of
    /// f(D) flows into whatever else f depends on; the other codes give no such gradient. Shapes:
    /// logits `[N, L·C]`; result `[N, 1]`, with the value f(D). With one category there are no
    /// other codes.
    ///
    /// # Panics
    /// If a shape does not fit.
    #[track_caller]
    pub fn loss<'t, T: Scalar>(
        &self,
        tape: &mut Tape<'t, T>,
        logits: Var,
        choice: &Choice<T>,
        mut f: impl FnMut(&mut Tape<'t, T>, Var) -> Var,
    ) -> Var {
        let d = several_samples(tape, logits, choice, 1);
        let loss = f(tape, d);
        if choice.categories() < 2 {
            return loss;
        }
        let others = tape.custom_shared(Arc::new(Others { categories: choice.categories() }), &[d]);
        let others = f(tape, others);
        local_expectation(tape, logits, d, loss, others, choice.categories())
    }
}

/// Records f(D) with the gradient of [`LocalExpectation`], where the caller has computed the losses
/// of the codes that differ from D in one variable. Shapes: logits and sample `[N, L·C]`; loss f(D)
/// `[N, 1]`; `others` `[N·L·(C−1), 1]`, row-major in `[N, L, C−1]`; result `[N, 1]`. Entry o − 1 of
/// a variable in `others` is the loss of the category o after the one drawn; category 0 follows the
/// last.
///
/// # Panics
/// If a shape does not fit.
#[track_caller]
pub fn local_expectation<T: Scalar>(
    tape: &mut Tape<'_, T>,
    logits: Var,
    sample: Var,
    loss: Var,
    others: Var,
    categories: usize,
) -> Var {
    tape.custom_shared(Arc::new(LocalNode { categories }), &[logits, sample, loss, others])
}

/// Input: one-hot codes `[N, L·C]`. Value: the codes that differ in one variable,
/// `[N·L·(C−1), L·C]`. No gradient.
#[derive(Debug)]
struct Others {
    categories: usize,
}

impl<T: Scalar> CustomOp<T> for Others {
    fn name(&self) -> &str {
        "neighbouring codes"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (d, c) = (inputs.get(0), self.categories);
        (d.rows * (d.cols / c) * (c - 1), d.cols)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let (d, c) = (inputs.get(0), self.categories);
        for (i, row) in out.data.chunks_mut(d.cols).enumerate() {
            let (variable, offset) = (i / (c - 1), i % (c - 1) + 1);
            let (n, l) = (variable / (d.cols / c), variable % (d.cols / c));
            row.copy_from_slice(d.row(n));
            let of_variable = &mut row[l * c..(l + 1) * c];
            of_variable.rotate_right(offset); // the one-hot row of the category `offset` later
        }
    }

    fn has_gradient(&self) -> bool {
        false
    }

    fn vjp(&self, _: &Recorded<'_, T>, _: &mut InputGrads<'_, '_, T>, _: &mut [T]) {}
}

/// Inputs: logits, sample, f(D), f of the other codes. Value: f(D).
#[derive(Debug)]
struct LocalNode {
    categories: usize,
}

impl<T: Scalar> CustomOp<T> for LocalNode {
    fn name(&self) -> &str {
        "local expectation"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (logits, d, c) = (inputs.get(0), inputs.get(1), self.categories);
        assert!(
            c > 0 && (logits.rows, logits.cols) == (d.rows, d.cols) && logits.cols.is_multiple_of(c),
            "local expectation: logits [{}, {}], sample [{}, {}], categories {c}",
            logits.rows,
            logits.cols,
            d.rows,
            d.cols
        );
        check_losses(inputs.get(3), logits.rows * (logits.cols / c) * (c - 1));
        check_losses(inputs.get(2), logits.rows)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        out.data.copy_from_slice(inputs.get(2).data);
    }

    fn scratch_len(&self, _: &Inputs<'_, T>) -> usize {
        2 * self.categories
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]) {
        if let Some(df) = grads.get(2) {
            df.data.iter_mut().zip(node.g.data).for_each(|(df, &omega)| *df += omega);
        }
        let Some(dlogits) = grads.get(0) else { return };
        let (c, variables) = (self.categories, node.inputs.get(0).cols / self.categories);
        let (pi, losses) = scratch[..2 * c].split_at_mut(c);
        let rows = node.inputs.get(0).data.chunks(c).zip(node.inputs.get(1).data.chunks(c));
        let others = node.inputs.get(3).data;
        for (v, ((logits, d), to)) in rows.zip(dlogits.data.chunks_mut(c)).enumerate() {
            let (omega, drawn) = (node.g.data[v / variables], node.inputs.get(2).data[v / variables]);
            let hot = argmax(d.iter().copied());
            softmax_row(logits, T::ONE, pi);
            losses.fill(drawn);
            for (offset, &f) in (1..c).zip(&others[v * (c - 1)..]) {
                let i = (hot + offset) % c;
                // The loss of a masked category has no weight, and may be NaN.
                if pi[i] != T::ZERO {
                    losses[i] = f;
                }
            }
            vjp_row(omega, pi, losses, to); // J(π^l) F^l
        }
    }
}
