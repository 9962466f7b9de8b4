//! The library's numbers for a setting of the page's plots: bias and covariance, with D enumerated.

use super::gradients::{Batch, PageEstimator};
use super::noise::{NoiseTable, ROWS};
use crate::losses::Loss;
use hardgrad::certify::{certify, certify_loss};
use hardgrad::estimators::{BuiltEstimator, LocalExpectation};
use hardgrad::exact::{Objective, Problem};
use hardgrad::{Error, Mat, ParamGrads, ParamStore, Result, Workspace, rng};
use serde::{Deserialize, Serialize};

/// What the page's `evaluate` is given.
#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    categories: usize,
    loss: Loss,
    theta: Vec<f64>,
    estimator: PageEstimator,
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
    /// Mean and variance by `certify` or `certify_loss`, where samples are the only noise.
    certified: Option<(Vec<f64>, f64)>,
}

pub fn numbers(setting: &Setting, tables: &[NoiseTable]) -> Result<Numbers> {
    let c = setting.categories;
    let Some(table) = tables.iter().find(|table| table.categories == c) else {
        return Err(Error::argument("categories", c, "2, 3 or 8"));
    };
    if setting.theta.len() != c {
        return Err(Error::argument("theta", format!("{} numbers", setting.theta.len()), format!("{c}")));
    }
    let at_codes = AtCodes::new(setting.loss, c, 1);
    let problem = Problem::new(&setting.theta, c, &at_codes)?;
    let cloud = Cloud::new(setting, table, &problem)?;
    Ok(Numbers { certified: certified(setting.estimator, &problem)?, ..cloud.moments(&problem, &at_codes) })
}

/// Mean and variance as the library certifies them, for the estimators that are functions of
/// samples.
fn certified(estimator: PageEstimator, problem: &Problem<'_>) -> Result<Option<(Vec<f64>, f64)>> {
    let PageEstimator::Config(config) = estimator else { return Ok(None) };
    let certificate = match config.build::<f64>()? {
        BuiltEstimator::Sample(built) if !estimator.drawn() => {
            certify(&*built, problem, 2, &mut rng::from_key(0))?
        }
        BuiltEstimator::DoubleControlVariate(built, _) => {
            certify_loss(problem, 2, |tape, logits, choice, f| built.loss(tape, logits, choice, f))?
        }
        BuiltEstimator::LocalExpectation => certify_loss(problem, 1, |tape, logits, choice, f| {
            LocalExpectation.loss(tape, logits, choice, f)
        })?,
        _ => return Ok(None),
    };
    Ok(Some((certificate.mean, certificate.covariance_trace)))
}

/// f and its derivative at the codes of L variables, from the tape.
pub struct AtCodes {
    categories: usize,
    values: Vec<f64>,
    g: Mat<f64>,
}

impl AtCodes {
    pub fn new(loss: Loss, c: usize, latents: usize) -> Self {
        let (params, mut workspace) = (ParamStore::new(), Workspace::new());
        let mut tape = workspace.tape(&params);
        let hot = |code: usize, l: usize| code / c.pow(l as u32) % c;
        let codes =
            Mat::from_fn(c.pow(latents as u32), latents * c, |code, j| f64::from(hot(code, j / c) == j % c));
        let codes = tape.leaf(&codes);
        let f = loss.record(&mut tape, codes, c);
        let total = tape.sum(f);
        tape.backward(total, &mut ParamGrads::zeros(&params));
        Self { categories: c, values: tape.value(f).data.to_vec(), g: tape.grad_or_zeros(codes) }
    }

    fn index(&self, code: &[f64]) -> usize {
        let hot = |x: &[f64]| hardgrad::categorical::argmax(x.iter().copied());
        code.chunks(self.categories).rev().fold(0, |index, x| index * self.categories + hot(x))
    }
}

impl Objective for AtCodes {
    fn value(&self, code: &[f64]) -> f64 {
        self.values[self.index(code)]
    }

    fn gradient(&self, code: &[f64], out: &mut [f64]) {
        out.copy_from_slice(self.g.row(self.index(code)));
    }
}

/// All estimates: for each D as many as there are outcomes once D is known.
struct Cloud {
    rows: Mat<f64>,
    /// The outcomes' probabilities given each D, `[C, n]`.
    weights: Vec<Vec<f64>>,
    /// Whether the outcomes are draws, and not all that there are.
    drawn: bool,
}

impl Cloud {
    fn new(setting: &Setting, table: &NoiseTable, problem: &Problem<'_>) -> Result<Self> {
        let samples = setting.samples.unwrap_or(table.draws);
        if !(2..=table.draws).contains(&samples) {
            return Err(Error::argument("samples", samples, format!("2 to {}", table.draws)));
        }
        let (c, estimator, theta) = (setting.categories, setting.estimator, &setting.theta);
        let draws = estimator.draws();
        if draws > ROWS - 2 {
            return Err(Error::argument("draws", draws, format!("1 to {}", ROWS - 2)));
        }
        let drawn = estimator.drawn();
        let even = vec![1.0 / samples as f64; samples];
        let weights: Vec<_> = (0..c)
            .map(|hot| match estimator.outcomes(theta, problem.pi(), hot) {
                Some(outcomes) => outcomes,
                None if drawn => even.clone(),
                None => vec![1.0],
            })
            .collect();
        let cells: Vec<_> = (0..c).flat_map(|hot| (0..weights[hot].len()).map(move |i| (hot, i))).collect();
        let one_hot = |of: &dyn Fn(usize, usize) -> usize| {
            cells
                .iter()
                .flat_map(|&(hot, i)| (0..c).map(move |j| (hot, i, j)))
                .map(|(hot, i, j)| f64::from(of(hot, i) == j))
                .collect::<Vec<_>>()
        };
        let batch = Batch {
            categories: c,
            loss: setting.loss,
            theta: theta.clone(),
            gumbel: cells.iter().flat_map(|&(hot, i)| table.gumbel(theta, hot, i)).collect(),
            one_hot: one_hot(&|hot, _| hot),
            other: one_hot(&|_, i| i),
            exponentials: (1..=draws + 1)
                .flat_map(|k| cells.iter().flat_map(move |&(hot, i)| table.row(hot, i, k)))
                .copied()
                .collect(),
            expectation: problem.expectation(),
        };
        let mut rows = batch.gradients(estimator)?;
        let outcomes = weights.iter().flatten().zip(rows.as_mut_slice().chunks_mut(c));
        outcomes.filter(|(weight, _)| **weight == 0.0).for_each(|(_, row)| row.fill(0.0));
        Ok(Self { rows, weights, drawn })
    }

    /// See `certify`; in two passes, and with the whole covariance.
    fn moments(&self, problem: &Problem<'_>, at_codes: &AtCodes) -> Numbers {
        let (c, n, pi) = (problem.categories(), self.weights[0].len(), problem.pi());
        let estimates = |hot: usize| self.weights[hot].iter().zip((hot * n..).map(|row| self.rows.row(row)));
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
