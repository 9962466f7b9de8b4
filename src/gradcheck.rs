//! Comparison of a vjp with central differences, in `f64`. The module is public because users write
//! [`CustomOp`](crate::CustomOp)s too.

use crate::mat::Mat;
use crate::params::{ParamGrads, ParamStore};
use crate::rng::uniform;
use crate::tape::{Tape, Var, Workspace};

/// The largest deviation that [`gradcheck`] found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disagreement {
    /// |vjp − difference quotient|, divided by the larger of 1 and the largest gradient entry of
    /// that input.
    pub error: f64,
    /// Index of the input.
    pub input: usize,
    /// Row-major index of the element in that input.
    pub element: usize,
    /// Value of the vjp at that element.
    pub vjp: f64,
    /// Value of the difference quotient at that element.
    pub difference: f64,
}

/// Compares the gradients of ⟨g, f(inputs)⟩, for a random cotangent g in (½, 1½), with central
/// differences at every element of every input. Returns the largest deviation.
///
/// The difference quotient is the fourth-order one, (8 (f₊₁ − f₋₁) − (f₊₂ − f₋₂)) / 12h with h =
/// 10⁻³. For functions of moderate size its truncation error is about h⁴/30 ≈ 3·10⁻¹⁴ times the
/// fifth derivative, and its rounding error is about 10⁻¹⁶/h = 10⁻¹³. The deviation of a correct
/// vjp is far below 10⁻⁹; that of a wrong vjp is not.
///
/// ```
/// use hardgrad::{Mat, gradcheck::gradcheck, rng};
/// let x = Mat::from_rows(&[[0.3, -0.7]]);
/// let worst = gradcheck(&mut rng::from_key(1), &[x], |tape, v| tape.sigmoid(v[0]));
/// assert!(worst.error < 1e-9);
/// ```
///
/// # Panics
/// If `f` returns values of different shapes, or a value that does not depend on its inputs.
#[track_caller]
pub fn gradcheck(
    rng: &mut impl rand::Rng,
    inputs: &[Mat<f64>],
    f: impl for<'t> Fn(&mut Tape<'t, f64>, &[Var]) -> Var,
) -> Disagreement {
    gradcheck_with(rng, &(), inputs, |tape, (), leaves| f(tape, leaves))
}

/// [`gradcheck`] of a function that records [`CustomOp`](crate::CustomOp)s. A tape borrows these
/// operations, so they are passed as `ops` (one operation, a tuple, or any type that contains
/// them), and `f` receives them with the tape's lifetime.
///
/// ```
/// use hardgrad::tape::{CustomOp, InputGrads, Inputs, Recorded};
/// use hardgrad::{Mat, MatMut, gradcheck::gradcheck_with, rng};
///
/// /// y = scale · x, with a scale that the operation borrows.
/// struct Scaled<'a>(&'a f64);
/// impl CustomOp<f64> for Scaled<'_> {
///     fn name(&self) -> &str { "scaled" }
///     fn shape(&self, inputs: &Inputs<'_, f64>) -> (usize, usize) {
///         (inputs.get(0).rows, inputs.get(0).cols)
///     }
///     fn forward(&self, inputs: &Inputs<'_, f64>, out: MatMut<'_, f64>) {
///         for (out, x) in out.data.iter_mut().zip(inputs.get(0).data) { *out = self.0 * x; }
///     }
///     fn vjp(
///         &self,
///         node: &Recorded<'_, f64>,
///         grads: &mut InputGrads<'_, '_, f64>,
///         _: &mut [f64],
///     ) {
///         let Some(dx) = grads.get(0) else { return };
///         for (dx, g) in dx.data.iter_mut().zip(node.g.data) { *dx += self.0 * g; }
///     }
/// }
/// let scale = 3.0;
/// let x = Mat::from_rows(&[[-1.0, -0.7, -1.9]]);
/// let worst = gradcheck_with(&mut rng::from_key(1), &Scaled(&scale), &[x], |tape, op, v| {
///     tape.custom(op, &[v[0]])
/// });
/// assert!(worst.error < 1e-9);
/// ```
///
/// # Panics
/// See [`gradcheck`].
#[track_caller]
pub fn gradcheck_with<O>(
    rng: &mut impl rand::Rng,
    ops: &O,
    inputs: &[Mat<f64>],
    f: impl for<'t> Fn(&mut Tape<'t, f64>, &'t O, &[Var]) -> Var,
) -> Disagreement {
    const H: f64 = 1e-3;
    let params = ParamStore::new();
    let mut workspace = Workspace::new();
    let mut inputs = inputs.to_vec();
    let mut g: Vec<f64> = Vec::new();

    let mut tape = workspace.tape(&params);
    let leaves: Vec<Var> = inputs.iter().map(|m| tape.leaf(m.view())).collect();
    let y = f(&mut tape, ops, &leaves);
    g.extend(tape.value(y).data.iter().map(|_| 0.5 + uniform::<f64>(rng)));
    tape.backward_from(y, &g, &mut ParamGrads::zeros(&params));
    let grads: Vec<Mat<f64>> = leaves.iter().map(|&v| tape.grad_or_zeros(v)).collect();

    let mut worst = Disagreement { error: 0.0, input: 0, element: 0, vjp: 0.0, difference: 0.0 };
    for input in 0..inputs.len() {
        let scale = grads[input].as_slice().iter().fold(1.0_f64, |m, g| m.max(g.abs()));
        for element in 0..inputs[input].as_slice().len() {
            let x = inputs[input].as_slice()[element];
            let mut at = |steps: f64| {
                inputs[input].as_mut_slice()[element] = x + steps * H;
                let mut tape = workspace.tape(&params);
                let leaves: Vec<Var> = inputs.iter().map(|m| tape.leaf(m.view())).collect();
                let y = f(&mut tape, ops, &leaves);
                let y = tape.value(y).data;
                assert!(y.len() == g.len(), "gradcheck: f gave {} numbers, then {}", g.len(), y.len());
                y.iter().zip(&g).map(|(y, g)| y * g).sum::<f64>()
            };
            let difference = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * H);
            inputs[input].as_mut_slice()[element] = x;
            let vjp = grads[input].as_slice()[element];
            let error = (vjp - difference).abs() / scale;
            // A NaN must not count as agreement.
            if error > worst.error || error.is_nan() {
                worst = Disagreement { error, input, element, vjp, difference };
            }
        }
    }
    worst
}
