//! Certificates of estimators at the loss, by enumeration of all samples of one input.

use super::{Certificate, Total};
use crate::error::{Error, Result};
use crate::estimators::{Choice, Noise};
use crate::exact::{Code, MAX_CODES, Objective, Problem};
use crate::mat::{Mat, MatMut};
use crate::params::{ParamGrads, ParamStore};
use crate::stats::RunningMoments;
use crate::tape::{CustomOp, InputGrads, Inputs, Recorded, Tape, Var, Workspace};

/// Number of inputs that are recorded on one tape.
const INPUTS_PER_TAPE: usize = 1 << 10;

/// Records f of each row and its gradient, `[N, L·C]` → `[N, 1]`. [`certify_loss`] passes this
/// function to the estimator.
pub type LossOf<'f, 't> = &'f mut dyn FnMut(&mut Tape<'t, f64>, Var) -> Var;

/// Computes bias and variance on `problem` of an estimator that is a function of `samples` samples
/// of one input: REINFORCE and its baselines, the double control variate, local expectation. All
/// tuples of codes are enumerated, so mean and variance are exact.
///
/// `record(tape, logits, choice, f)` records the loss as in a model. Shapes, for N inputs: logits
/// `[N, L·C]`. The choice holds the samples of all inputs, `[N·samples, L·C]`, those of one input
/// in consecutive rows. The result has one or more numbers per input, whose mean is the loss.
///
/// ```
/// use hardgrad::estimators::{Baseline, DoubleControlVariate, Reinforce};
/// use hardgrad::{certify::certify_loss, exact::Problem};
/// let gradient = |_: &[f64], g: &mut [f64]| g.copy_from_slice(&[0.0, 4.0]);
/// let f = (|d: &[f64]| 4.0 * d[1], gradient);
/// let logits = [0.0, 3.0_f64.ln()]; // π = (¼, ¾)
/// let problem = Problem::new(&logits, 2, &f)?;
/// let plain = Reinforce::new(Baseline::Constant(0.0));
/// let plain = certify_loss(&problem, 1, |tape, logits, choice, f| {
///     plain.loss(tape, logits, choice, f)
/// })?;
/// assert!(plain.bias_norm() < 1e-15);
/// // (D − π)_1 4 D_1 is 1 with probability ¾: variance 3/16 in each of two components
/// assert!((plain.covariance_trace - 0.375).abs() < 1e-15);
/// let double = DoubleControlVariate::new(2, -1.0)?;
/// let double = certify_loss(&problem, 2, |tape, logits, choice, f| {
///     double.loss(tape, logits, choice, f)
/// })?;
/// assert!(double.bias_norm() < 1e-15 && double.covariance_trace < 1e-30); // f is linear
/// # Ok::<(), hardgrad::Error>(())
/// ```
///
/// # Errors
/// If `samples` is 0, or there are more than [`MAX_CODES`] tuples.
///
/// # Panics
/// If the number of recorded losses is not a positive multiple of the number of inputs.
pub fn certify_loss(
    problem: &Problem<'_>,
    samples: usize,
    record: impl for<'t> Fn(&mut Tape<'t, f64>, Var, &Choice<f64>, LossOf<'_, 't>) -> Var,
) -> Result<Certificate> {
    let codes: Vec<Code> = problem.codes().collect();
    let times = |n: usize, _| n.checked_mul(codes.len()).filter(|&n| n <= MAX_CODES);
    let count = (0..samples).try_fold(1, times).filter(|_| samples > 0);
    let Some(count) = count else {
        let expected = format!("at least 1, and at most {MAX_CODES} tuples of {} codes", codes.len());
        return Err(Error::argument("samples", samples, expected));
    };
    let mut total = Total::new(problem.logits().len());
    let f = OfObjective(problem.objective());
    for first in (0..count).step_by(INPUTS_PER_TAPE) {
        let tuples: Vec<Vec<&Code>> =
            (first..count.min(first + INPUTS_PER_TAPE)).map(|i| tuple(&codes, i, samples)).collect();
        let estimates = estimates(problem, &tuples, &f, &record);
        for (i, tuple) in tuples.iter().enumerate() {
            let probability: f64 = tuple.iter().map(|code| code.probability).product();
            if probability > 0.0 {
                // The estimate is added twice, so that the variance given the samples is 0.
                let mut given = RunningMoments::new(problem.logits().len());
                (0..2).for_each(|_| given.add(1.0, estimates.row(i)));
                total.add(probability, &given);
            }
        }
    }
    Ok(total.certificate(problem.gradient(), 2))
}

/// Tuple number i. The first sample varies fastest.
fn tuple(codes: &[Code], mut i: usize, samples: usize) -> Vec<&Code> {
    let mut next = || {
        let code = &codes[i % codes.len()];
        i /= codes.len();
        code
    };
    (0..samples).map(|_| next()).collect()
}

/// The estimate for each tuple, `[tuples, L·C]`.
fn estimates(
    problem: &Problem<'_>,
    tuples: &[Vec<&Code>],
    f: &OfObjective<'_>,
    record: &impl for<'t> Fn(&mut Tape<'t, f64>, Var, &Choice<f64>, LossOf<'_, 't>) -> Var,
) -> Mat<f64> {
    let width = problem.logits().len();
    let samples: Vec<f64> = tuples.iter().flatten().flat_map(|code| code.one_hot.iter().copied()).collect();
    let noise = Noise::from_gumbel(vec![0.0; samples.len()]).with_sample(samples);
    let choice = Choice::without_gradient(problem.categories()).with_noise(noise);
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let logits = tape.leaf(&Mat::from_fn(tuples.len(), width, |_, j| problem.logits()[j]));
    let loss = record(&mut tape, logits, &choice, &mut |tape, d| tape.custom(f, &[d]));
    let rows = tape.value(loss).data.len();
    assert!(
        rows > 0 && rows.is_multiple_of(tuples.len()),
        "certify_loss: {rows} losses for {} inputs, expected one or more per input",
        tuples.len()
    );
    let weight = tuples.len() as f64 / rows as f64;
    tape.backward_from(loss, &vec![weight; rows], &mut ParamGrads::zeros(&params));
    tape.grad_or_zeros(logits)
}

/// The operation that computes f of each row.
struct OfObjective<'a>(&'a dyn Objective);

impl CustomOp<f64> for OfObjective<'_> {
    fn name(&self) -> &str {
        "objective"
    }

    fn shape(&self, inputs: &Inputs<'_, f64>) -> (usize, usize) {
        (inputs.get(0).rows, 1)
    }

    fn forward(&self, inputs: &Inputs<'_, f64>, out: MatMut<'_, f64>) {
        out.data.iter_mut().enumerate().for_each(|(i, f)| *f = self.0.value(inputs.get(0).row(i)));
    }

    fn scratch_len(&self, inputs: &Inputs<'_, f64>) -> usize {
        inputs.get(0).cols
    }

    fn vjp(&self, node: &Recorded<'_, f64>, grads: &mut InputGrads<'_, '_, f64>, scratch: &mut [f64]) {
        let (d, Some(to)) = (node.inputs.get(0), grads.get(0)) else { return };
        let gradient = &mut scratch[..d.cols];
        for (i, (to, &omega)) in to.data.chunks_mut(d.cols).zip(node.g.data).enumerate() {
            self.0.gradient(d.row(i), gradient);
            to.iter_mut().zip(&*gradient).for_each(|(to, &g)| *to += omega * g);
        }
    }
}
