//! REBAR.

use super::{LossEstimator, score_loss};
use crate::categorical::argmax;
use crate::error::Result;
use crate::estimators::choice::SampleNode;
use crate::estimators::{Choice, finite, temperature};
use crate::kernels::elementwise::{sigmoid_of, softplus_of};
use crate::mat::MatMut;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::sync::Arc;

/// REBAR(τ, η): REINFORCE with a control variate from a relaxed sample.
///
/// Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein (2017); Wang and Bui (2026), eq. 15.
///
/// ```text
/// ∂ E f/∂θ ≈ [f(D) − η f(s(Y))] (D − π) + η ∇_θ f(s(θ+G)) − η ∇_θ f(s(Y))
///     s(·) = softmax(·/τ)
///     Y ~ θ + G given D, eq. 7, differentiated with its noise held fixed
/// ```
///
/// τ temperature; η weight of the control variate; π = softmax(θ); D = onehot(argmax(θ+G)); f(D)
/// the loss.
///
/// The estimator is unbiased for every τ and η. It needs f and its gradient at two relaxed samples
/// in addition to D: three decoder passes. In contrast to Gumbel-Rao, the gradient flows through
/// the conditional draw; otherwise the mean of the control variate would not be 0. The decoder's
/// parameters get the gradient of f(D), plus η times that of the difference between the relaxed
/// passes. The mean of this difference is 0, because both relaxed samples have the same
/// distribution.
///
/// ```
/// use hardgrad::estimators::{LossEstimator, Rebar};
/// let rebar = Rebar::new(0.5, 0.25)?;
/// let losses = [[5.0], [4.0], [2.0]]; // f(D), f(s(θ+G)), f(s(Y))
/// let score: f64 = rebar.score(&|k| &losses[k], 0);
/// assert_eq!(score, 5.0 - 0.25 * 2.0);
/// assert_eq!(LossEstimator::<f64>::weights(&rebar), [1.0, 0.25, -0.25]);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rebar {
    tau: f64,
    weights: [f64; 3],
}

impl Rebar {
    /// Creates the estimator with temperature `tau` of the relaxation and weight `eta` of the
    /// control variate (1 is a common initial value).
    ///
    /// # Errors
    /// If `tau` is not a finite number ≥ 1e-30, or `eta` is not a number from −1e30 to 1e30.
    pub fn new(tau: f64, eta: f64) -> Result<Self> {
        let eta = finite("eta", eta)?;
        Ok(Self { tau: temperature(tau)?, weights: [1.0, eta, -eta] })
    }

    /// Records a sample D of `choice`, the loss f(D), and f at the two relaxed samples, with this
    /// estimator's gradient for the logits. f is called three times. Shapes: logits `[N, L·C]`; f:
    /// sample `[N, L·C]` → `[N, 1]`; result `[N, 1]`, with the value f(D).
    ///
    /// ```
    /// use hardgrad::estimators::{Choice, Noise, Rebar};
    /// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
    /// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// let choice = Choice::without_gradient(2).with_noise(Noise::from_gumbel(vec![0.0, 1.0]));
    /// let mut tape = workspace.tape(&params);
    /// let logits = tape.leaf(&Mat::zeros(1, 2)); // π = (½, ½)
    /// // With η = 0 this is REINFORCE without a baseline.
    /// let loss = Rebar::new(1.0, 0.0)?.loss(&mut tape, logits, &choice, |tape, d| {
    ///     let prices = tape.constant(&Mat::from_rows(&[[2.0], [5.0]]));
    ///     tape.matmul(d, prices)
    /// });
    /// tape.backward(loss, &mut ParamGrads::zeros(&params));
    /// assert_eq!(tape.grad(logits).unwrap().data, [-2.5, 2.5]); // 5 (D − π)
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn loss<'t, T: Scalar>(
        &self,
        tape: &mut Tape<'t, T>,
        logits: Var,
        choice: &Choice<T>,
        mut f: impl FnMut(&mut Tape<'t, T>, Var) -> Var,
    ) -> Var {
        choice.assert_draws_at_logits();
        let held = tape.detach(logits);
        let d = tape.sample(choice, held);
        let samples = self.relaxed(tape, logits, d, choice.node());
        let hard = f(tape, d);
        let [relaxed, conditional] = samples.map(|z| f(tape, z));
        score_loss(tape, *self, logits, d, &[hard, relaxed, conditional], choice.categories())
    }

    /// Records both relaxed samples, softmax((θ+G)/τ) and softmax(Y/τ), `[N, L·C]`.
    fn relaxed<T: Scalar>(
        &self,
        tape: &mut Tape<'_, T>,
        logits: Var,
        sample: Var,
        drawn: &Arc<SampleNode<T>>,
    ) -> [Var; 2] {
        let (rows, cols) = tape.shape(logits);
        let (c, inv_tau) = (drawn.categories, T::of(1.0 / self.tau));
        let log_pi = tape.log_softmax(logits, c);
        let gumbel = tape.constant_with(rows, cols, |g| g.copy_from_slice(drawn.noise.gumbel()));
        let z = tape.add(log_pi, gumbel);
        let y = tape.custom_shared(Arc::new(ConditionalGumbel { drawn: drawn.clone() }), &[log_pi, sample]);
        [z, y].map(|scores| {
            let scaled = tape.affine(scores, inv_tau, T::ZERO);
            tape.softmax(scaled, c)
        })
    }
}

impl<T: Scalar> LossEstimator<T> for Rebar {
    /// The weights of f(D), f(s(θ+G)) and f(s(Y)).
    fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn score<'f>(&self, losses: &dyn Fn(usize) -> &'f [T], row: usize) -> T {
        losses(0)[row] - T::of(self.weights[1]) * losses(2)[row]
    }
}

/// Node for θ + G conditional on D, eq. 7, which is differentiated with its exponential noise held
/// fixed. Inputs: log π `[N, L·C]` and the sample D `[N, L·C]`. Value: Y with Z = 1, Y_j = −log(E_j
/// e^{−log π_j} + E_D), Y_D = −log E_D.
#[derive(Debug)]
struct ConditionalGumbel<T> {
    drawn: Arc<SampleNode<T>>,
}

impl<T: Scalar> ConditionalGumbel<T> {
    /// Writes E of variable `i` to `e`, and returns the index of the category of its sample.
    fn draw(&self, sample: &[T], i: usize, e: &mut [T]) -> usize {
        let c = self.drawn.categories;
        self.drawn.noise.first_exponentials(i, e);
        argmax(sample[i * c..(i + 1) * c].iter().copied())
    }
}

impl<T: Scalar> CustomOp<T> for ConditionalGumbel<T> {
    fn name(&self) -> &str {
        "conditional gumbel"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        (inputs.get(0).rows, inputs.get(0).cols)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let (log_pi, c) = (inputs.get(0).data, self.drawn.categories);
        for (i, y) in out.data.chunks_mut(c).enumerate() {
            let hot = self.draw(inputs.get(1).data, i, y); // y contains E until it is overwritten with Y
            let log_hot = y[hot].ln();
            for (y, &log_pi) in y.iter_mut().zip(&log_pi[i * c..]) {
                let t = y.ln() - log_pi - log_hot;
                *y = -log_hot - softplus_of(t); // −log(E_j/π_j + E_D)
            }
            y[hot] = -log_hot;
        }
    }

    fn scratch_len(&self, _: &Inputs<'_, T>) -> usize {
        self.drawn.categories
    }

    /// ∂Y_j/∂log π_j = σ(log E_j − log π_j − log E_D) for j ≠ D; Y_D is constant.
    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, scratch: &mut [T]) {
        let Some(dlog_pi) = grads.get(0) else { return };
        let (log_pi, c) = (node.inputs.get(0).data, self.drawn.categories);
        let e = &mut scratch[..c];
        for i in 0..log_pi.len() / c {
            let hot = self.draw(node.inputs.get(1).data, i, e);
            let log_hot = e[hot].ln();
            for j in (0..c).filter(|&j| j != hot) {
                let at = i * c + j;
                let slope = sigmoid_of(e[j].ln() - log_pi[at] - log_hot);
                dlog_pi.data[at] += slope * node.g.data[at];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::Noise;
    use crate::gradcheck::gradcheck_with;
    use crate::rng::{self, uniform};
    use crate::{Mat, ParamStore, Workspace};

    fn conditional(noise: Noise<f64>, categories: usize) -> ConditionalGumbel<f64> {
        let choice = Choice::without_gradient(categories).with_noise(noise);
        ConditionalGumbel { drawn: choice.node().clone() }
    }

    #[test]
    fn the_conditional_draw_satisfies_equation_7() {
        let op = conditional(Noise::from_gumbel(vec![0.0; 2]).with_exponentials(vec![1.0, 1.0]), 2);
        let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
        let mut tape = workspace.tape(&params);
        let log_pi = tape.constant(&Mat::from_rows(&[[0.25_f64.ln(), 0.75_f64.ln()]]));
        let d = tape.constant(&Mat::from_rows(&[[0.0, 1.0]]));
        let y = tape.custom(&op, &[log_pi, d]);
        assert_eq!(tape.value(y).data[1], 0.0); // −ln E_D
        assert!((tape.value(y).data[0] + 5.0_f64.ln()).abs() < 1e-15); // −ln(E_0/π_0 + E_D)
    }

    /// The vjp of the conditional draw is its derivative.
    #[test]
    fn the_conditional_draw_matches_central_differences() {
        let mut noise = Noise::new();
        noise.draw(&mut rng::from_key(31), 24);
        let (op, mut rng) = (conditional(noise, 4), rng::from_key(3));
        let mut log_pi = Mat::zeros(2, 12);
        log_pi.as_mut_slice().iter_mut().for_each(|x| *x = 4.0 * uniform::<f64>(&mut rng) - 2.0);
        let sample = Mat::from_fn(2, 12, |i, j| f64::from((3 * i + j / 4) % 4 == j % 4));
        let worst = gradcheck_with(&mut rng::from_key(1), &op, &[log_pi], |tape, op, v| {
            let d = tape.constant(&sample);
            tape.custom(op, &[v[0], d])
        });
        assert!(worst.error < 1e-9, "{worst:?}");
    }
}
