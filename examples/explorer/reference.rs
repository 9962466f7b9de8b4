//! The library's numbers for a setting of the page: each estimate comes from a tape that runs from the logits through the sample
//! to the loss and back, as in a training step. Only the noise is the page's.

use super::losses::Loss;
use hardgrad::certify::{certify, gumbel_given};
use hardgrad::estimators::{
    Baseline, BaselineConfig, BuiltEstimator, Choice, Estimator, EstimatorConfig, Noise, Rebar, Reinforce,
};
use hardgrad::exact::{Objective, Problem};
use hardgrad::{Error, Mat, ParamGrads, ParamStore, Result, Tape, Var, Workspace, rng};
use rand::rngs::Xoshiro128PlusPlus;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The state that the page's xoshiro128++ starts with: the first bits of e.
pub const SEED: [u32; 4] = [0xb7e1_5162, 0x8aed_2a6a, 0xbf71_5880, 0x9cf4_f3c7];
/// Rows of noise to a draw: one for the Gumbel noise, 100 for draws given D, one for the control variate.
pub const ROWS: usize = 102;
/// (C, draws for each D): about as many in all.
pub const DRAWS_GIVEN: [(usize, usize); 3] = [(2, 1200), (3, 800), (8, 300)];

/// What the page's `evaluate` is given.
#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    categories: usize,
    loss: Loss,
    theta: Vec<f64>,
    estimator: EstimatorConfig,
    /// Draws for each D, at least 2; all that there are if left out.
    samples: Option<usize>,
}

/// What it gives. Matrices are lists of rows.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    pi: Vec<f64>,
    /// f at each D, `[C]`
    values: Vec<f64>,
    /// ∂f/∂D at each D, `[C, C]`
    g: Vec<Vec<f64>>,
    exact: Vec<f64>,
    /// The estimate at each D with the first noise, `[C, C]`
    first: Vec<Vec<f64>>,
    /// The mean of the estimates at each D, `[C, C]`
    given: Vec<Vec<f64>>,
    mean: Vec<f64>,
    /// Of one estimate, `[C, C]`
    covariance: Vec<Vec<f64>>,
    variance: f64,
    /// Of the mean, as far as it comes from draws: Σ_D π(D)² V_D / n, `[C, C]`
    covariance_of_mean: Vec<Vec<f64>>,
    /// Mean and variance by `certify`, where D is the only noise.
    certified: Option<(Vec<f64>, f64)>,
}

/// The numbers of each setting.
///
/// # Errors
/// If a setting is not one the page can have.
pub fn answer(settings: &[Setting]) -> Result<Vec<Numbers>> {
    let tables: Vec<_> = DRAWS_GIVEN.iter().map(|&(c, draws)| NoiseTable::new(c, draws)).collect();
    settings.iter().map(|setting| numbers(setting, &tables)).collect()
}

fn numbers(setting: &Setting, tables: &[NoiseTable]) -> Result<Numbers> {
    let c = setting.categories;
    let Some(table) = tables.iter().find(|table| table.categories == c) else {
        return Err(Error::argument("categories", c, "2, 3 or 8"));
    };
    if setting.theta.len() != c {
        return Err(Error::argument("theta", format!("{} numbers", setting.theta.len()), format!("{c}")));
    }
    let at_codes = AtCodes::new(setting.loss, c);
    let problem = Problem::new(&setting.theta, c, &at_codes)?;
    let estimates = Cloud::new(setting, table, problem.pi(), problem.expectation())?;
    let certified = match setting.estimator.build::<f64>()? {
        BuiltEstimator::Sample(estimator) if estimates.determined_by_sample() => {
            let certificate = certify(&*estimator, &problem, 2, &mut rng::from_key(0))?;
            Some((certificate.mean, certificate.covariance_trace))
        }
        _ => None,
    };
    Ok(Numbers { certified, ..estimates.moments(&problem, &at_codes) })
}

/// Standard exponential numbers for one C, as `noise.js` makes them.
struct NoiseTable {
    categories: usize,
    draws: usize,
    values: Vec<f64>,
}

impl NoiseTable {
    fn new(categories: usize, draws: usize) -> Self {
        let mut seed = [0; 16];
        seed.chunks_mut(4).zip(SEED).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        let mut rng = Xoshiro128PlusPlus::from_seed(seed);
        let cells = 2f64.powi(52);
        let mut uniform = || {
            let (high, low) = (rng.next_u32() >> 6, rng.next_u32() >> 6);
            (f64::from(high) * f64::from(1 << 26) + f64::from(low) + 0.5) / cells
        };
        let values = (0..categories * draws * ROWS * categories).map(|_| -uniform().ln()).collect();
        Self { categories, draws, values }
    }

    /// Row k of draw i given D = `hot`.
    fn row(&self, hot: usize, i: usize, k: usize) -> &[f64] {
        let first = ((hot * self.draws + i) * ROWS + k) * self.categories;
        &self.values[first..first + self.categories]
    }

    /// The noise of `samples` draws for each D, a row of the tape each, the first D's first, with so many rows given D.
    fn noise(&self, theta: &[f64], samples: usize, given: usize) -> Noise<f64> {
        let c = self.categories;
        let draws = || (0..c).flat_map(|hot| (0..samples).map(move |i| (hot, i)));
        let (mut gumbel, mut one_hot) = (vec![0.0; c * samples * c], vec![0.0; c * samples * c]);
        for ((gumbel, one_hot), (hot, i)) in gumbel.chunks_mut(c).zip(one_hot.chunks_mut(c)).zip(draws()) {
            gumbel_given(theta, hot, self.row(hot, i, 0), gumbel);
            one_hot[hot] = 1.0;
        }
        let given = (1..=given).flat_map(|k| draws().flat_map(move |(hot, i)| self.row(hot, i, k)));
        let given = given.copied().collect();
        Noise::from_gumbel(gumbel).with_sample(one_hot).with_exponentials(given)
    }
}

/// f and its derivative at the codes, from the tape.
struct AtCodes {
    values: Vec<f64>,
    g: Mat<f64>,
}

impl AtCodes {
    fn new(loss: Loss, c: usize) -> Self {
        let (params, mut workspace) = (ParamStore::new(), Workspace::new());
        let mut tape = workspace.tape(&params);
        let codes = tape.leaf(Mat::from_fn(c, c, |i, j| f64::from(i == j)).view());
        let f = loss.record(&mut tape, codes);
        let total = tape.sum(f);
        tape.backward(total, &mut ParamGrads::zeros(&params));
        Self { values: tape.value(f).data.to_vec(), g: tape.grad_or_zeros(codes) }
    }
}

impl Objective for AtCodes {
    fn value(&self, code: &[f64]) -> f64 {
        self.values[hardgrad::categorical::argmax(code.iter().copied())]
    }

    fn gradient(&self, code: &[f64], out: &mut [f64]) {
        out.copy_from_slice(self.g.row(hardgrad::categorical::argmax(code.iter().copied())));
    }
}

/// All estimates: for each D as many as there are outcomes once D is known.
struct Cloud {
    rows: Mat<f64>,
    /// The outcomes' probabilities given D.
    weights: Vec<f64>,
    /// Whether the outcomes are draws, and not all that there are.
    drawn: bool,
}

impl Cloud {
    fn new(setting: &Setting, table: &NoiseTable, pi: &[f64], expectation: f64) -> Result<Self> {
        let samples = setting.samples.unwrap_or(table.draws);
        if !(2..=table.draws).contains(&samples) {
            return Err(Error::argument("samples", samples, format!("2 to {}", table.draws)));
        }
        let c = setting.categories;
        let draws = match setting.estimator {
            EstimatorConfig::GumbelRao { draws, .. }
            | EstimatorConfig::ReinMaxRao { draws, .. }
            | EstimatorConfig::ReinMaxCv { draws, .. }
            | EstimatorConfig::ReinMaxBlend { draws, .. } => draws,
            _ => 1,
        };
        if draws > ROWS - 2 {
            return Err(Error::argument("draws", draws, format!("1 to {}", ROWS - 2)));
        }
        let drawn = !matches!(
            setting.estimator,
            EstimatorConfig::StraightThrough { .. }
                | EstimatorConfig::GappedStraightThrough { .. }
                | EstimatorConfig::ReinMax { .. }
                | EstimatorConfig::ReinMaxArgmax { .. }
                | EstimatorConfig::ReinMaxRk2 { .. }
                | EstimatorConfig::Reinforce { .. }
        );
        let samples = if drawn { samples } else { 1 };
        let noise = || table.noise(&setting.theta, samples, draws + 1);
        let constant = |b| reinforce(setting, Baseline::Constant(b), c, |row| row);
        let even = vec![1.0 / samples as f64; samples];
        let (rows, weights) = match setting.estimator.build::<f64>()? {
            BuiltEstimator::Sample(estimator) => (through_sample(setting, estimator, noise()), even),
            BuiltEstimator::Rebar(estimator) => (rebar(setting, estimator, noise()), even),
            BuiltEstimator::Reinforce(BaselineConfig::None) => (constant(0.0), even),
            // The mean of the losses so far, at logits that stay: their expectation.
            BuiltEstimator::Reinforce(BaselineConfig::RunningMean) => (constant(expectation), even),
            BuiltEstimator::Reinforce(BaselineConfig::LeaveOneOut { samples: 2 }) => {
                (pairs(setting)?, pi.to_vec())
            }
            BuiltEstimator::Reinforce(BaselineConfig::LeaveOneOut { samples }) => {
                return Err(Error::argument("samples of leave-one-out", samples, "2"));
            }
            BuiltEstimator::DoubleControlVariate(..)
            | BuiltEstimator::Vimco(_)
            | BuiltEstimator::LocalExpectation
            | BuiltEstimator::Exact => {
                let name = setting.estimator.kind().name();
                return Err(Error::argument("estimator", name, "one that the page has"));
            }
        };
        Ok(Self { rows, weights, drawn })
    }

    fn determined_by_sample(&self) -> bool {
        !self.drawn && self.weights.len() == 1
    }

    /// See `certify`; in two passes, and with the whole covariance.
    fn moments(&self, problem: &Problem<'_>, at_codes: &AtCodes) -> Numbers {
        let (c, n, pi) = (problem.categories(), self.weights.len(), problem.pi());
        let estimates = |hot: usize| self.weights.iter().zip((hot * n..).map(|row| self.rows.row(row)));
        let weighted = |sum: &mut Vec<f64>, weight: f64, x: &[f64]| {
            sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
        };
        let (mut mean, mut given) = (vec![0.0; c], vec![vec![0.0; c]; c]);
        for (hot, given) in given.iter_mut().enumerate() {
            estimates(hot).for_each(|(&weight, x)| weighted(given, weight, x));
            weighted(&mut mean, pi[hot], given);
        }
        let (samples, unbiased) =
            if self.drawn { (n as f64, n as f64 / (n as f64 - 1.0)) } else { (1.0, 1.0) };
        let within = if self.drawn { 1.0 - 1.0 / samples } else { 1.0 };
        let mut covariance = vec![vec![0.0; c]; c];
        let mut covariance_of_mean = covariance.clone();
        for hot in 0..c {
            add_outer(&mut covariance, pi[hot], &given[hot], &mean);
            for (weight, x) in estimates(hot) {
                let v = weight * unbiased;
                let of_mean = if self.drawn { pi[hot].powi(2) * v / samples } else { 0.0 };
                add_outer(&mut covariance, within * pi[hot] * v + of_mean, x, &given[hot]);
                add_outer(&mut covariance_of_mean, of_mean, x, &given[hot]);
            }
        }
        Numbers {
            pi: pi.to_vec(),
            values: at_codes.values.clone(),
            g: (0..c).map(|hot| at_codes.g.row(hot).to_vec()).collect(),
            exact: problem.gradient(),
            first: (0..c).map(|hot| self.rows.row(hot * n).to_vec()).collect(),
            variance: (0..c).map(|j| covariance[j][j]).sum(),
            given,
            mean,
            covariance,
            covariance_of_mean,
            certified: None,
        }
    }
}

/// matrix += weight · (x − m)(x − m)ᵀ
fn add_outer(matrix: &mut [Vec<f64>], weight: f64, x: &[f64], m: &[f64]) {
    for (i, row) in matrix.iter_mut().enumerate() {
        row.iter_mut().enumerate().for_each(|(j, to)| *to += weight * (x[i] - m[i]) * (x[j] - m[j]));
    }
}

/// θ in each row.
fn repeated(theta: &[f64], rows: usize) -> Mat<f64> {
    Mat::from_fn(rows, theta.len(), |_, j| theta[j])
}

/// The gradients of θ through an estimator at the sample, one row a draw.
fn through_sample(setting: &Setting, estimator: Arc<dyn Estimator<f64>>, noise: Noise<f64>) -> Mat<f64> {
    let (c, rows) = (setting.categories, noise.gumbel().len() / setting.categories);
    let choice = Choice::shared(estimator, c).with_noise(noise);
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let logits = tape.leaf(&repeated(&setting.theta, rows));
    let d = tape.sample(&choice, logits);
    let f = setting.loss.record(&mut tape, d);
    let total = tape.sum(f);
    tape.backward(total, &mut ParamGrads::zeros(&params));
    tape.grad_or_zeros(logits)
}

/// The gradients through REBAR, one row a draw.
fn rebar(setting: &Setting, rebar: Rebar, noise: Noise<f64>) -> Mat<f64> {
    let (c, rows) = (setting.categories, noise.gumbel().len() / setting.categories);
    let choice = Choice::without_gradient(c).with_noise(noise);
    at_loss(setting, rows, |tape, logits| {
        rebar.loss(tape, logits, &choice, |tape, x| setting.loss.record(tape, x))
    })
}

/// The gradients through REINFORCE, with D = `hot(row)` in each of `rows` rows.
fn reinforce(setting: &Setting, baseline: Baseline, rows: usize, hot: impl Fn(usize) -> usize) -> Mat<f64> {
    let c = setting.categories;
    let sample = Mat::from_fn(rows, c, |row, j| f64::from(hot(row) == j));
    let noise = Noise::from_gumbel(vec![0.0; rows * c]).with_sample(sample.as_slice().to_vec());
    let choice = Choice::without_gradient(c).with_noise(noise);
    at_loss(setting, rows, |tape, logits| {
        Reinforce::new(baseline).loss(tape, logits, &choice, |tape, x| setting.loss.record(tape, x))
    })
}

/// The gradients of θ, one row a draw, through what `record` records.
fn at_loss(
    setting: &Setting,
    rows: usize,
    record: impl for<'t> FnOnce(&mut Tape<'t, f64>, Var) -> Var,
) -> Mat<f64> {
    let (params, mut workspace) = (ParamStore::new(), Workspace::new());
    let mut tape = workspace.tape(&params);
    let logits = tape.leaf(&repeated(&setting.theta, rows));
    let loss = record(&mut tape, logits);
    let total = tape.sum(loss);
    tape.backward(total, &mut ParamGrads::zeros(&params));
    tape.grad_or_zeros(logits)
}

/// Leave-one-out with two samples: for each D and each second sample the mean of both gradients.
fn pairs(setting: &Setting) -> Result<Mat<f64>> {
    let c = setting.categories;
    let baseline = Baseline::leave_one_out(2)?;
    let hot = |row: usize| if row.is_multiple_of(2) { row / 2 / c } else { row / 2 % c };
    let each = reinforce(setting, baseline, 2 * c * c, hot);
    Ok(Mat::from_fn(c * c, c, |pair, j| 0.5 * (each.row(2 * pair)[j] + each.row(2 * pair + 1)[j])))
}
