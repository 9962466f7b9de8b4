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

/// Records f of each row, `[N, L·C]` → `[N, 1]`, with its gradient: what [`certify_loss`] hands to
/// the estimator.
pub type LossOf<'f, 't> = &'f mut dyn FnMut(&mut Tape<'t, f64>, Var) -> Var;

/// Bias and variance on `problem` of an estimator that is a function of `samples` samples of one
/// input: REINFORCE and its baselines, the double control variate, local expectation. All tuples of
/// codes are enumerated, so mean and variance are exact.
///
/// `record(tape, logits, choice, f)` records the loss as in a model. Shapes, for N inputs: logits
/// `[N, L·C]`; the choice holds the samples of each, `[N·samples, L·C]`, those of one input in
/// consecutive rows; result one number or more for each input, whose mean is the loss.
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
    for first in (0..count).step_by(INPUTS_PER_TAPE) {
        let tuples: Vec<Vec<&Code>> =
            (first..count.min(first + INPUTS_PER_TAPE)).map(|i| tuple(&codes, i, samples)).collect();
        let one_hot: Vec<f64> =
            tuples.iter().flatten().flat_map(|code| code.one_hot.iter().copied()).collect();
        let noise = Noise::from_gumbel(vec![0.0; one_hot.len()]).with_sample(one_hot);
        let probabilities: Vec<f64> =
            tuples.iter().map(|tuple| tuple.iter().map(|code| code.probability).product()).collect();
        add_outcomes(&mut total, problem, &probabilities, noise, &record);
    }
    Ok(total.certificate(problem.gradient(), 2))
}

/// Bias and variance of an estimator of one choice that depends only on the order of the noisy
/// logits θ + G: [`PairWithoutReplacement`] and [`SumAndSample`]. The mean and the variance are
/// exact.
///
/// The estimator must depend on no more than the first `ranked` categories of that order: 2 for a
/// pair, k + 1 for sum and sample. All such rankings (i₁, i₂, …) are enumerated, each with its
/// probability, that of draws without replacement:
///
/// ```text
/// π_i₁ · π_i₂ / (1 − π_i₁) · π_i₃ / (1 − π_i₁ − π_i₂) · …
/// ```
///
/// `record(tape, logits, choice, f)` records the loss as in a model. Shapes, for N inputs: logits
/// `[N, C]`, the noise of N variables in the choice, result one number or more for each input,
/// whose mean is the loss.
///
/// Source: Kool, van Hoof and Welling, "Stochastic Beams and Where to Find Them" (2019), section
/// 2.3.
///
/// ```
/// use hardgrad::estimators::{PairWithoutReplacement, SumAndSample};
/// use hardgrad::{certify::certify_choice, exact::Problem};
/// let f = (
///     |d: &[f64]| 6.0 * d[2],
///     |_: &[f64], g: &mut [f64]| g.copy_from_slice(&[0.0, 0.0, 6.0]),
/// );
/// let logits = [2.0_f64.ln(), 0.0, 0.0]; // π = (½, ¼, ¼)
/// let problem = Problem::new(&logits, 3, &f)?;
/// let pair = certify_choice(&problem, 2, |tape, logits, choice, f| {
///     PairWithoutReplacement.loss(tape, logits, choice, f)
/// })?;
/// assert_eq!(pair.codes, 6); // ordered pairs
/// assert!(pair.bias_norm() < 1e-15);
/// // The third and the first come with probability 5/12 and give ±9/5, the third and the second with
/// // probability 1/6 and ±9/4. The exact gradient is (−¾, −⅜, 9/8), with squared norm 63/32.
/// let second_moment = 2.0 * (5.0 / 12.0 * 1.8 * 1.8 + 1.0 / 6.0 * 2.25 * 2.25);
/// assert!((pair.covariance_trace - (second_moment - 63.0 / 32.0)).abs() < 1e-14);
/// let sum = SumAndSample::new(1)?;
/// let sum = certify_choice(&problem, 2, |tape, logits, choice, f| {
///     sum.loss(tape, logits, choice, f)
/// })?;
/// assert!(sum.bias_norm() < 1e-15);
/// # Ok::<(), hardgrad::Error>(())
/// ```
///
/// [`PairWithoutReplacement`]: crate::estimators::PairWithoutReplacement
/// [`SumAndSample`]: crate::estimators::SumAndSample
///
/// # Errors
/// If the problem has more than one variable, `ranked` is 0, or there are more than [`MAX_CODES`]
/// rankings.
///
/// # Panics
/// If the recorded loss is not one number or more for each input.
pub fn certify_choice(
    problem: &Problem<'_>,
    ranked: usize,
    record: impl for<'t> Fn(&mut Tape<'t, f64>, Var, &Choice<f64>, LossOf<'_, 't>) -> Var,
) -> Result<Certificate> {
    let (c, variables) = (problem.categories(), problem.logits().len() / problem.categories());
    if variables != 1 {
        return Err(Error::argument("variables of the problem", variables, "one: a single choice"));
    }
    let Some(rankings) = rankings(problem.pi(), ranked).filter(|_| ranked > 0) else {
        let expected = format!("at least 1, and at most {MAX_CODES} rankings of {c} categories");
        return Err(Error::argument("ranked", ranked, expected));
    };
    let mut total = Total::new(c);
    for rankings in rankings.chunks(INPUTS_PER_TAPE) {
        let noise = rankings.iter().flat_map(|(ranking, _)| noise_of(ranking, problem.logits()));
        let probabilities: Vec<f64> = rankings.iter().map(|&(_, probability)| probability).collect();
        let noise = Noise::from_gumbel(noise.collect());
        add_outcomes(&mut total, problem, &probabilities, noise, &record);
    }
    Ok(total.certificate(problem.gradient(), 2))
}

/// The first `ranked` categories of every order, or all of positive probability if there are fewer,
/// each with its probability. `None` if there are more than [`MAX_CODES`].
fn rankings(pi: &[f64], ranked: usize) -> Option<Vec<(Vec<usize>, f64)>> {
    let mut all = vec![(Vec::new(), 1.0)];
    for _ in 0..ranked.min(pi.iter().filter(|&&pi| pi > 0.0).count()) {
        let mut longer = Vec::new();
        for (ranking, probability) in &all {
            let left: Vec<usize> = (0..pi.len()).filter(|i| pi[*i] > 0.0 && !ranking.contains(i)).collect();
            let of_left: f64 = left.iter().map(|&i| pi[i]).sum();
            longer.extend(left.iter().map(|&i| {
                let ranking: Vec<usize> = ranking.iter().copied().chain([i]).collect();
                (ranking, probability * pi[i] / of_left)
            }));
            if longer.len() > MAX_CODES {
                return None;
            }
        }
        all = longer;
    }
    Some(all)
}

/// Noise G with which θ + G has this order: C, C − 1, … for the ranked categories, and 0 for the
/// others.
fn noise_of(ranking: &[usize], logits: &[f64]) -> Vec<f64> {
    let level = |i| {
        let rank = ranking.iter().position(|&ranked| ranked == i);
        rank.map_or(0.0, |rank| (logits.len() - rank) as f64)
    };
    let noise = |(i, &theta): (usize, &f64)| if theta == f64::NEG_INFINITY { 0.0 } else { level(i) - theta };
    logits.iter().enumerate().map(noise).collect()
}

/// Adds the estimates of these outcomes of the noise, a row of the batch for each.
fn add_outcomes(
    total: &mut Total,
    problem: &Problem<'_>,
    probabilities: &[f64],
    noise: Noise<f64>,
    record: &impl for<'t> Fn(&mut Tape<'t, f64>, Var, &Choice<f64>, LossOf<'_, 't>) -> Var,
) {
    let estimates = estimates(problem, probabilities.len(), noise, record);
    for (i, &probability) in probabilities.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        // Twice, so that the variance given the samples is 0.
        let mut given = RunningMoments::new(problem.logits().len());
        (0..2).for_each(|_| given.add(1.0, estimates.row(i)));
        total.add(probability, &given);
    }
}

/// Tuple number i, the first sample running fastest.
fn tuple(codes: &[Code], mut i: usize, samples: usize) -> Vec<&Code> {
    let mut next = || {
        let code = &codes[i % codes.len()];
        i /= codes.len();
        code
    };
    (0..samples).map(|_| next()).collect()
}

/// The estimate for each of `count` rows of noise, `[count, L·C]`.
fn estimates(
    problem: &Problem<'_>,
    count: usize,
    noise: Noise<f64>,
    record: &impl for<'t> Fn(&mut Tape<'t, f64>, Var, &Choice<f64>, LossOf<'_, 't>) -> Var,
) -> Mat<f64> {
    let (width, f) = (problem.logits().len(), OfObjective(problem.objective()));
    let choice = Choice::without_gradient(problem.categories()).with_noise(noise);
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let logits = tape.leaf(&Mat::from_fn(count, width, |_, j| problem.logits()[j]));
    let loss = record(&mut tape, logits, &choice, &mut |tape, d| tape.custom(&f, &[d]));
    let rows = tape.value(loss).data.len();
    assert!(
        rows > 0 && rows.is_multiple_of(count),
        "certify_loss: {rows} losses for {count} inputs, expected one or more per input"
    );
    let weight = count as f64 / rows as f64;
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
