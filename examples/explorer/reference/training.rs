//! Training of the logits of L variables with the library: estimators on the tape, Adam of the
//! library, expectations by enumeration.

use super::evaluate::AtCodes;
use super::gradients::{Batch, PageEstimator};
use super::noise::Stream;
use crate::losses::Loss;
use hardgrad::categorical::sample;
use hardgrad::exact::Problem;
use hardgrad::optim::{Adam, AdamConfig, Optimizer};
use hardgrad::{Error, Mat, ParamGrads, ParamStore, Result};
use serde::{Deserialize, Serialize};

/// What the page's `train` is given.
#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    loss: Loss,
    /// `[L, C]`
    theta: Vec<Vec<f64>>,
    /// The exact gradient if there is none.
    estimator: Option<PageEstimator>,
    optimizer: OptimizerName,
    rate: f64,
    /// Draws in a step.
    batch: usize,
    seed: u32,
    /// The steps after which the state is reported, in ascending order.
    report: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OptimizerName {
    Sgd,
    Adam,
}

/// The state after one of the reported steps.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    /// `[L, C]`
    theta: Vec<Vec<f64>>,
    /// E f(D)
    mean: f64,
}

pub fn numbers(setting: &Setting) -> Result<Vec<Numbers>> {
    let (latents, c) = (setting.theta.len(), setting.theta.first().map_or(0, Vec::len));
    if !(1..=3).contains(&latents) || c != 3 || setting.theta.iter().any(|row| row.len() != c) {
        return Err(Error::argument(
            "theta",
            format!("{:?}", setting.theta),
            "1 to 3 variables of 3 categories",
        ));
    }
    if setting.batch == 0 {
        return Err(Error::argument("batch", 0, "at least 1"));
    }
    let mut params = ParamStore::new();
    params.add("theta", Mat::from_fn(1, latents * c, |_, j| setting.theta[j / c][j % c]));
    let mut grads = ParamGrads::zeros(&params);
    let at_codes = AtCodes::new(setting.loss, c, latents);
    let mut adam = Adam::new(AdamConfig { lr: setting.rate, ..AdamConfig::default() })?;
    let (mut gumbels, mut given) = (Stream::of(setting.seed, 0), Stream::of(setting.seed, 1));
    let mut step = 0;
    let mut states = Vec::new();
    for &until in &setting.report {
        while step < until {
            let theta = params.flat().to_vec();
            let problem = Problem::new(&theta, c, &at_codes)?;
            let gradient = match setting.estimator {
                None => problem.gradient(),
                Some(estimator) => batch_gradient(setting, estimator, &problem, &mut gumbels, &mut given)?,
            };
            grads.flat_mut().copy_from_slice(&gradient);
            match setting.optimizer {
                OptimizerName::Adam => _ = adam.step(&mut params, &grads),
                OptimizerName::Sgd => params
                    .flat_mut()
                    .iter_mut()
                    .zip(&gradient)
                    .for_each(|(theta, g)| *theta -= setting.rate * g),
            }
            step += 1;
        }
        let mean = Problem::new(params.flat(), c, &at_codes)?.expectation();
        states.push(Numbers { theta: params.flat().chunks(c).map(<[f64]>::to_vec).collect(), mean });
    }
    Ok(states)
}

/// The mean of the gradients at the draws of one step.
fn batch_gradient(
    setting: &Setting,
    estimator: PageEstimator,
    problem: &Problem<'_>,
    gumbels: &mut Stream,
    given: &mut Stream,
) -> Result<Vec<f64>> {
    let (theta, pi, c, rows) = (problem.logits(), problem.pi(), problem.categories(), setting.batch);
    let count = rows * theta.len();
    let draws = estimator.rows();
    let gumbel: Vec<f64> = (0..count).map(|_| -gumbels.exponential().ln()).collect();
    let mut one_hot = vec![0.0; count];
    sample(&theta.repeat(rows), &gumbel, c, &mut one_hot);
    let (mut other, mut exponentials) = (one_hot.clone(), vec![0.0; draws * count]);
    for (variable, d) in one_hot.chunks(c).enumerate() {
        let at = variable * c % theta.len();
        let hot = hardgrad::categorical::argmax(d.iter().copied());
        if let Some(outcomes) = estimator.outcomes(&theta[at..at + c], &pi[at..at + c], hot) {
            let taken = given.category(&outcomes);
            other[variable * c..][..c].iter_mut().enumerate().for_each(|(j, to)| *to = f64::from(j == taken));
        }
        for k in 0..draws {
            let to = &mut exponentials[k * count + variable * c..][..c];
            to.fill_with(|| given.exponential());
        }
    }
    let batch = Batch {
        categories: c,
        loss: setting.loss,
        theta: theta.to_vec(),
        gumbel,
        one_hot,
        other,
        exponentials,
        expectation: problem.expectation(),
    };
    let each = batch.gradients(estimator)?;
    Ok((0..theta.len()).map(|j| (0..rows).map(|i| each.row(i)[j] / rows as f64).sum()).collect())
}
