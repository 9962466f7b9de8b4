//! Estimators for a single choice among C categories whose loss can be evaluated for several
//! categories: an action, a route, a gate.

use super::samples::check_losses;
use crate::categorical::argmax;
use crate::error::{Error, Result};
use crate::estimators::Choice;
use crate::estimators::choice::SampleNode;
use crate::kernels::softmax::softmax_row;
use crate::mat::MatMut;
use crate::scalar::Scalar;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var};
use std::sync::Arc;

/// Estimator from two different categories per choice, drawn without replacement.
///
/// Kool, van Hoof and Welling, "Estimating Gradients for Discrete Random Variables by Sampling
/// without Replacement" (2020), with two samples, in closed form.
///
/// ```text
/// ∂ E f/∂θ ≈ (f_i − f_j)(e_i − e_j) / [1/(1 − π_i) + 1/(1 − π_j)]
///     {i, j}: the indices of the two largest θ + G
/// ```
///
/// π = softmax(θ); G Gumbel noise; f_i = f(e_i). The estimator is unbiased, with two evaluations of
/// f. The value of the node is the unbiased estimate w f_i + (1 − w) f_j of E f with w = (1 −
/// π_j)/(2 − π_i − π_j), and the gradients of the losses themselves get these weights.
///
/// ```
/// use hardgrad::estimators::{Choice, Noise, PairWithoutReplacement};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let choice = Choice::without_gradient(2).with_noise(Noise::from_gumbel(vec![0.0; 2]));
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(&Mat::from_rows(&[[0.0, 3.0_f64.ln()]])); // π = (¼, ¾)
/// let loss = PairWithoutReplacement.loss(&mut tape, logits, &choice, |tape, d| {
///     let prices = tape.constant(&Mat::from_rows(&[[0.0], [4.0]]));
///     tape.matmul(d, prices)
/// });
/// tape.backward(loss, &mut ParamGrads::zeros(&params));
/// // With two categories both are selected, and the gradient is exact: 4 / (4/3 + 4).
/// assert!((tape.grad(logits).unwrap().data[1] - 0.75).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairWithoutReplacement;

impl PairWithoutReplacement {
    /// Records both categories and their losses. Shapes: logits `[N, C]`; f: one-hot rows
    /// `[2N, C]`, the two of one choice in consecutive rows → `[2N, 1]`; result `[N, 1]`. The
    /// choice must have the noise of N variables.
    ///
    /// # Panics
    /// If a shape does not fit. Each row of logits is one variable.
    #[track_caller]
    pub fn loss<'t, T: Scalar>(
        &self,
        tape: &mut Tape<'t, T>,
        logits: Var,
        choice: &Choice<T>,
        f: impl FnOnce(&mut Tape<'t, T>, Var) -> Var,
    ) -> Var {
        record(Plan::Pair, tape, logits, choice, f)
    }
}

/// Estimator from the exact sum over the k most probable categories, and a sample of the other
/// categories.
///
/// Liu, Regier, Tripuraneni, Jordan and McAuliffe, "Rao-Blackwellized Stochastic Gradients for
/// Discrete Distributions" (2019).
///
/// ```text
/// ∂ E f/∂θ ≈ Σ_{i∈S} π_i f_i (e_i − π) + (1 − π_S) f_x (e_x − π),   x ~ π outside S
/// ```
///
/// S the k most probable categories (of equal ones, those with smaller indices); π_S their
/// probability; f_i = f(e_i). The estimator is unbiased, with k + 1 evaluations of f; for k ≥ C − 1
/// it is exact, with C evaluations. The value of the node is Σ_{i∈S} π_i f_i + (1 − π_S) f_x, and
/// the gradients of the losses themselves get these weights.
///
/// ```
/// use hardgrad::estimators::{Choice, Noise, SumAndSample};
/// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
/// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
/// let noise = Noise::from_gumbel(vec![0.0, 0.0, 1.0]); // draws the third category
/// let choice = Choice::without_gradient(3).with_noise(noise);
/// let mut tape = workspace.tape(&params);
/// let logits = tape.leaf(&Mat::from_rows(&[[2.0_f64.ln(), 0.0, 0.0]])); // π = (½, ¼, ¼)
/// let loss = SumAndSample::new(1)?.loss(&mut tape, logits, &choice, |tape, d| {
///     let prices = tape.constant(&Mat::from_rows(&[[2.0], [0.0], [4.0]]));
///     tape.matmul(d, prices)
/// });
/// assert!((tape.scalar(loss) - 3.0).abs() < 1e-15); // ½ · 2 + ½ · 4
/// tape.backward(loss, &mut ParamGrads::zeros(&params));
/// // ½ · 2 · (−¼) + ½ · 4 · ¾
/// assert!((tape.grad(logits).unwrap().data[2] - 1.25).abs() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumAndSample {
    k: usize,
}

impl SumAndSample {
    /// Creates the estimator with a sum over k categories; k = 0 is REINFORCE without a baseline.
    ///
    /// # Errors
    /// If `k` is above 1,000,000.
    pub fn new(k: usize) -> Result<Self> {
        if k > 1_000_000 {
            return Err(Error::argument("k", k, "at most 1000000"));
        }
        Ok(Self { k })
    }

    /// Records the categories and their losses. Shapes, with m = min(k + 1, C): logits `[N, C]`; f:
    /// one-hot rows `[m N, C]`, those of one choice in consecutive rows → `[m N, 1]`; result
    /// `[N, 1]`. The choice must have the noise of N variables.
    ///
    /// # Panics
    /// If a shape does not fit. Each row of logits is one variable.
    #[track_caller]
    pub fn loss<'t, T: Scalar>(
        &self,
        tape: &mut Tape<'t, T>,
        logits: Var,
        choice: &Choice<T>,
        f: impl FnOnce(&mut Tape<'t, T>, Var) -> Var,
    ) -> Var {
        record(Plan::SumAndSample(self.k), tape, logits, choice, f)
    }
}

#[track_caller]
fn record<'t, T: Scalar>(
    plan: Plan,
    tape: &mut Tape<'t, T>,
    logits: Var,
    choice: &Choice<T>,
    f: impl FnOnce(&mut Tape<'t, T>, Var) -> Var,
) -> Var {
    choice.assert_draws_at_logits();
    let drawn = choice.node().clone();
    let d = tape.custom_shared(Arc::new(TakenNode { plan, drawn }), &[logits]);
    let losses = f(tape, d);
    tape.custom_shared(Arc::new(WeightedNode { plan }), &[logits, d, losses])
}

/// Rule that selects the categories at which f is evaluated.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Pair,
    SumAndSample(usize),
}

impl Plan {
    /// Number of selected categories out of C.
    fn count(self, categories: usize) -> usize {
        match self {
            Self::Pair => 2,
            Self::SumAndSample(k) => (k + 1).min(categories),
        }
    }

    /// Selects the categories of one variable from its logits and noise. If fewer categories can be
    /// drawn, the first one is repeated.
    fn take<T: Scalar>(self, logits: &[T], gumbel: &[T], pi: &mut [T], taken: &mut Vec<usize>) {
        softmax_row(logits, T::ONE, pi);
        taken.clear();
        taken.extend(0..pi.len());
        let noisy = |i: usize| logits[i] + gumbel[i];
        let descending = |a: T, b: T| b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal);
        match self {
            // A stable sort keeps equal numbers in order.
            Self::Pair => taken.sort_by(|&i, &j| descending(noisy(i), noisy(j))),
            Self::SumAndSample(k) => {
                taken.sort_by(|&i, &j| descending(logits[i], logits[j]));
                let k = k.min(taken.len());
                taken[k..].sort_by(|&i, &j| descending(noisy(i), noisy(j)));
            }
        }
        let first = taken[0];
        taken.resize(self.count(pi.len()), first);
        taken.iter_mut().for_each(|i| *i = if pi[*i] > T::ZERO { *i } else { first });
    }

    /// Computes the weights of the losses in the value. Shapes: pi `[C]`; taken and weights `[m]`.
    fn weights<T: Scalar>(self, pi: &[T], taken: &[usize], weights: &mut [T]) {
        weights.fill(T::ZERO);
        if pi[0].to_f64().is_nan() {
            return weights.fill(pi[0]); // there is no distribution, so the weights are NaN
        }
        match (self, taken) {
            (Self::Pair, &[i, j]) => match without(pi, &[i]) + without(pi, &[j]) {
                _ if i == j => weights[0] = T::ONE,
                total => weights.copy_from_slice(&[without(pi, &[j]) / total, without(pi, &[i]) / total]),
            },
            _ => {
                let summed = match self {
                    Self::SumAndSample(k) => k.min(taken.len()),
                    Self::Pair => 0,
                };
                for (place, &i) in taken.iter().enumerate().filter(|&(place, i)| !taken[..place].contains(i))
                {
                    weights[place] = if place < summed { pi[i] } else { without(pi, &taken[..summed]) };
                }
            }
        }
    }

    /// dlogits += ω · estimate.
    fn add<T: Scalar>(
        self,
        pi: &[T],
        taken: &[usize],
        losses: &[T],
        weights: &[T],
        omega: T,
        dlogits: &mut [T],
    ) {
        if pi[0].to_f64().is_nan() {
            return dlogits.fill(pi[0]);
        }
        if let (Self::Pair, &[i, j]) = (self, taken) {
            if i != j {
                let (a, b) = (without(pi, &[i]), without(pi, &[j]));
                // a b / (a + b) = 1 / [1/(1 − π_i) + 1/(1 − π_j)]
                let slope = omega * (losses[0] - losses[1]) * (a * b / (a + b));
                dlogits[i] += slope;
                dlogits[j] -= slope;
            }
            return;
        }
        for ((&hot, &f), &weight) in
            taken.iter().zip(losses).zip(weights).filter(|(_, weight)| **weight != T::ZERO)
        {
            let score = omega * weight * f;
            dlogits.iter_mut().zip(pi).for_each(|(to, &pi)| *to -= score * pi);
            dlogits[hot] += score; // weight · f (e_hot − π)
        }
    }
}

/// Computes 1 − Σ_{i∈left} π_i as the sum of the other probabilities, which avoids cancellation.
fn without<T: Scalar>(pi: &[T], left: &[usize]) -> T {
    pi.iter().enumerate().filter(|(i, _)| !left.contains(i)).map(|(_, &pi)| pi).sum()
}

/// Input: logits `[N, C]`. Value: the selected categories as one-hot rows, `[m N, C]`. There is no
/// gradient.
#[derive(Debug)]
struct TakenNode<T> {
    plan: Plan,
    drawn: Arc<SampleNode<T>>,
}

impl<T: Scalar> CustomOp<T> for TakenNode<T> {
    fn name(&self) -> &str {
        "categories taken"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        let (logits, c, noise) = (inputs.get(0), self.drawn.categories, self.drawn.noise.gumbel().len());
        assert!(
            c > 0 && logits.cols == c,
            "one choice: logits [{}, {}], expected [N, {c}], one variable per row",
            logits.rows,
            logits.cols
        );
        assert!(
            noise == logits.data.len(),
            "one choice: logits [{}, {c}] need as many noise numbers, got {noise}",
            logits.rows
        );
        (self.plan.count(c) * logits.rows, c)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let (logits, c, gumbel) = (inputs.get(0), self.drawn.categories, self.drawn.noise.gumbel());
        let (mut pi, mut taken) = (vec![T::ZERO; c], Vec::new());
        out.data.fill(T::ZERO);
        for (i, rows) in out.data.chunks_mut(self.plan.count(c) * c).enumerate() {
            self.plan.take(logits.row(i), &gumbel[i * c..(i + 1) * c], &mut pi, &mut taken);
            rows.chunks_mut(c).zip(&taken).for_each(|(row, &hot)| row[hot] = T::ONE);
        }
    }

    fn has_gradient(&self) -> bool {
        false
    }

    fn vjp(&self, _: &Recorded<'_, T>, _: &mut InputGrads<'_, '_, T>, _: &mut [T]) {}
}

/// Inputs: logits `[N, C]`, categories `[m N, C]`, losses `[m N, 1]`. Value: the estimate of E f,
/// `[N, 1]`.
#[derive(Debug)]
struct WeightedNode {
    plan: Plan,
}

impl WeightedNode {
    /// Calls `visit(i, π, categories, weights)` for each choice.
    fn each<T: Scalar>(&self, inputs: &Inputs<'_, T>, mut visit: impl FnMut(usize, &[T], &[usize], &[T])) {
        let (logits, d) = (inputs.get(0), inputs.get(1));
        let (c, m) = (logits.cols, self.plan.count(logits.cols));
        let (mut pi, mut taken, mut weights) = (vec![T::ZERO; c], vec![0; m], vec![T::ZERO; m]);
        for i in 0..logits.rows {
            softmax_row(logits.row(i), T::ONE, &mut pi);
            for (k, hot) in taken.iter_mut().enumerate() {
                *hot = argmax(d.row(i * m + k).iter().copied());
            }
            self.plan.weights(&pi, &taken, &mut weights);
            visit(i, &pi, &taken, &weights);
        }
    }
}

impl<T: Scalar> CustomOp<T> for WeightedNode {
    fn name(&self) -> &str {
        "loss of one choice"
    }

    fn shape(&self, inputs: &Inputs<'_, T>) -> (usize, usize) {
        check_losses(inputs.get(2), inputs.get(1).rows);
        (inputs.get(0).rows, 1)
    }

    fn forward(&self, inputs: &Inputs<'_, T>, out: MatMut<'_, T>) {
        let losses = inputs.get(2).data;
        self.each(inputs, |i, _, taken, weights| {
            let of_choice = weights.iter().zip(&losses[i * taken.len()..]).filter(|(w, _)| **w != T::ZERO);
            out.data[i] = of_choice.map(|(&w, &f)| w * f).sum();
        });
    }

    fn vjp(&self, node: &Recorded<'_, T>, grads: &mut InputGrads<'_, '_, T>, _: &mut [T]) {
        let (losses, c) = (node.inputs.get(2).data, node.inputs.get(0).cols);
        self.each(&node.inputs, |i, pi, taken, weights| {
            let (omega, of_choice) = (node.g.data[i], i * taken.len()..(i + 1) * taken.len());
            if let Some(df) = grads.get(2) {
                let df = df.data[of_choice.clone()].iter_mut();
                df.zip(weights).for_each(|(df, &weight)| *df += omega * weight);
            }
            if let Some(dlogits) = grads.get(0) {
                let dlogits = &mut dlogits.data[i * c..(i + 1) * c];
                self.plan.add(pi, taken, &losses[of_choice], weights, omega, dlogits);
            }
        });
    }
}
