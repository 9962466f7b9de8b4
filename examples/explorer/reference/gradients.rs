//! The gradients of θ at the draws of a batch: each comes from a tape that runs from the logits
//! through the sample to the loss and back, as in a training step.

use crate::losses::Loss;
use hardgrad::estimators::{
    Baseline, BaselineConfig, BuiltEstimator, Choice, Estimator, EstimatorConfig, LocalExpectation, Noise,
    PairWithoutReplacement, Rebar, Reinforce, SumAndSample,
};
use hardgrad::{Error, Mat, ParamGrads, ParamStore, Result, Tape, Var, Workspace};
use serde::Deserialize;
use std::sync::Arc;

/// An estimator of the page.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub enum PageEstimator {
    /// One that a run can be configured with.
    Config(EstimatorConfig),
    /// [`PairWithoutReplacement`]
    Pair,
    /// [`SumAndSample`]
    SumAndSample { k: usize },
}

impl TryFrom<serde_json::Value> for PageEstimator {
    type Error = String;

    fn try_from(value: serde_json::Value) -> std::result::Result<Self, String> {
        if value.get("pair-without-replacement").is_some() {
            return Ok(Self::Pair);
        }
        if let Some(parameters) = value.get("sum-and-sample") {
            let k = parameters["k"].as_u64().ok_or("sum-and-sample: expected a number k of categories")?;
            return Ok(Self::SumAndSample { k: k as usize });
        }
        serde_json::from_value(value).map(Self::Config).map_err(|e| e.to_string())
    }
}

impl PageEstimator {
    /// Number of draws conditional on D, which the estimator averages.
    pub fn draws(self) -> usize {
        match self {
            Self::Config(
                EstimatorConfig::GumbelRao { draws, .. }
                | EstimatorConfig::ReinMaxRao { draws, .. }
                | EstimatorConfig::ReinMaxCv { draws, .. }
                | EstimatorConfig::ReinMaxBlend { draws, .. },
            ) => draws,
            _ => 1,
        }
    }

    /// Number of rows of exponential numbers that training draws for each variable.
    pub fn rows(self) -> usize {
        match self {
            Self::Config(EstimatorConfig::ReinMaxCv { draws, .. }) => draws + 1,
            Self::Config(
                EstimatorConfig::StraightThroughGumbelSoftmax { .. } | EstimatorConfig::GumbelSoftmax { .. },
            ) => 0,
            _ if self.drawn() => self.draws(),
            _ => 0,
        }
    }

    /// Whether something is random, with a density, once D is known.
    pub fn drawn(self) -> bool {
        matches!(
            self,
            Self::Config(
                EstimatorConfig::StraightThroughGumbelSoftmax { .. }
                    | EstimatorConfig::GumbelRao { .. }
                    | EstimatorConfig::ReinMaxRao { .. }
                    | EstimatorConfig::ReinMaxCv { .. }
                    | EstimatorConfig::ReinMaxBlend { .. }
                    | EstimatorConfig::GumbelSoftmax { .. }
                    | EstimatorConfig::Rebar { .. }
            )
        )
    }

    /// The probabilities, given D = `hot`, of the category of a second draw, for the estimators
    /// that have one.
    pub fn outcomes(self, theta: &[f64], pi: &[f64], hot: usize) -> Option<Vec<f64>> {
        let among = |allowed: &dyn Fn(usize) -> bool| {
            let total: f64 = pi.iter().enumerate().filter(|(j, _)| allowed(*j)).map(|(_, p)| p).sum();
            pi.iter().enumerate().map(|(j, p)| if allowed(j) { p / total } else { 0.0 }).collect()
        };
        match self {
            Self::Config(
                EstimatorConfig::Reinforce { baseline: BaselineConfig::LeaveOneOut { .. } }
                | EstimatorConfig::DoubleControlVariate { .. },
            ) => Some(pi.to_vec()),
            Self::Pair => Some(among(&|j| j != hot)),
            Self::SumAndSample { k } => {
                let mut order: Vec<usize> = (0..pi.len()).collect();
                order.sort_by(|&i, &j| theta[j].total_cmp(&theta[i])); // stable: the first of equal ones
                let summed = &order[..k.min(pi.len())];
                if k >= pi.len() || !summed.contains(&hot) {
                    return Some((0..pi.len()).map(|j| f64::from(j == hot)).collect());
                }
                Some(among(&|j| !summed.contains(&j)))
            }
            Self::Config(_) => None,
        }
    }
}

/// Draws of L variables of C categories at one θ, N rows.
#[derive(Debug)]
pub struct Batch {
    pub categories: usize,
    pub loss: Loss,
    /// θ, `[L·C]`
    pub theta: Vec<f64>,
    /// G, `[N, L·C]`
    pub gumbel: Vec<f64>,
    /// D, `[N, L·C]`
    pub one_hot: Vec<f64>,
    /// The second draws, `[N, L·C]`, for the estimators that have them.
    pub other: Vec<f64>,
    /// For draws conditional on D, `[K, N, L·C]`.
    pub exponentials: Vec<f64>,
    /// E f(D)
    pub expectation: f64,
}

impl Batch {
    fn width(&self) -> usize {
        self.theta.len()
    }

    fn rows(&self) -> usize {
        self.gumbel.len() / self.width()
    }

    fn logits(&self, rows: usize) -> Mat<f64> {
        Mat::from_fn(rows, self.width(), |_, j| self.theta[j])
    }

    fn noise(&self) -> Noise<f64> {
        Noise::from_gumbel(self.gumbel.clone())
            .with_sample(self.one_hot.clone())
            .with_exponentials(self.exponentials.clone())
    }

    fn record(&self, tape: &mut Tape<'_, f64>, x: Var) -> Var {
        self.loss.record(tape, x, self.categories)
    }

    /// D and the second draw in consecutive rows, `[2N, L·C]`.
    fn both(&self) -> Vec<f64> {
        let rows = self.one_hot.chunks(self.width()).zip(self.other.chunks(self.width()));
        rows.flat_map(|(d, other)| d.iter().chain(other).copied()).collect()
    }

    /// The gradients of θ at each draw, `[N, L·C]`.
    ///
    /// # Errors
    /// If the page does not have the estimator.
    pub fn gradients(&self, estimator: PageEstimator) -> Result<Mat<f64>> {
        let config = match estimator {
            PageEstimator::Config(config) => config,
            PageEstimator::Pair => {
                let choice = self.taking(&[(2.0, &self.one_hot), (1.0, &self.other)]);
                return Ok(self.at_loss(self.rows(), |tape, logits| {
                    PairWithoutReplacement.loss(tape, logits, &choice, |tape, x| self.record(tape, x))
                }));
            }
            PageEstimator::SumAndSample { k } => {
                let (estimator, choice) = (SumAndSample::new(k)?, self.taking(&[(1.0, &self.other)]));
                return Ok(self.at_loss(self.rows(), |tape, logits| {
                    estimator.loss(tape, logits, &choice, |tape, x| self.record(tape, x))
                }));
            }
        };
        match config.build::<f64>()? {
            BuiltEstimator::Sample(estimator) => Ok(self.through_sample(config, estimator)),
            BuiltEstimator::Rebar(estimator) => Ok(self.rebar(estimator)),
            BuiltEstimator::Reinforce(BaselineConfig::None) => Ok(self.reinforce(0.0)),
            // The mean of the losses so far, at logits that stay: their expectation.
            BuiltEstimator::Reinforce(BaselineConfig::RunningMean) => Ok(self.reinforce(self.expectation)),
            BuiltEstimator::Reinforce(BaselineConfig::LeaveOneOut { samples: 2 }) => self.leave_one_out(),
            BuiltEstimator::Reinforce(BaselineConfig::LeaveOneOut { samples }) => {
                Err(Error::argument("samples of leave-one-out", samples, "2"))
            }
            BuiltEstimator::DoubleControlVariate(estimator, _) if estimator.samples() == 2 => {
                let noise = Noise::from_gumbel(vec![0.0; 2 * self.gumbel.len()]).with_sample(self.both());
                let choice = Choice::without_gradient(self.categories).with_noise(noise);
                let twice = self.at_loss(self.rows(), |tape, logits| {
                    estimator.loss(tape, logits, &choice, |tape, x| self.record(tape, x))
                });
                Ok(Mat::from_fn(twice.rows(), twice.cols(), |i, j| 0.5 * twice.row(i)[j]))
            }
            BuiltEstimator::LocalExpectation => {
                let choice = Choice::without_gradient(self.categories).with_noise(self.noise());
                Ok(self.at_loss(self.rows(), |tape, logits| {
                    LocalExpectation.loss(tape, logits, &choice, |tape, x| self.record(tape, x))
                }))
            }
            BuiltEstimator::DoubleControlVariate(..) | BuiltEstimator::Vimco(_) | BuiltEstimator::Exact => {
                Err(Error::argument("estimator", config, "one that the page has"))
            }
        }
    }

    /// A choice whose θ + G are these weighted sums of one-hot rows, so that they are taken in this
    /// order.
    fn taking(&self, ranked: &[(f64, &[f64])]) -> Choice<f64> {
        let scores = (0..self.gumbel.len()).map(|i| ranked.iter().map(|(w, rows)| w * rows[i]).sum::<f64>());
        let gumbel = scores.zip(self.theta.iter().cycle()).map(|(score, theta)| score - theta).collect();
        Choice::without_gradient(self.categories).with_noise(Noise::from_gumbel(gumbel))
    }

    fn through_sample(&self, config: EstimatorConfig, estimator: Arc<dyn Estimator<f64>>) -> Mat<f64> {
        let relaxed = matches!(config, EstimatorConfig::GumbelSoftmax { .. });
        let noise = if relaxed { Noise::from_gumbel(self.gumbel.clone()) } else { self.noise() };
        let choice = Choice::shared(estimator, self.categories).with_noise(noise);
        self.at_loss(self.rows(), |tape, logits| {
            let d = tape.sample(&choice, logits);
            self.record(tape, d)
        })
    }

    fn rebar(&self, rebar: Rebar) -> Mat<f64> {
        let choice = Choice::without_gradient(self.categories).with_noise(self.noise());
        self.at_loss(self.rows(), |tape, logits| {
            rebar.loss(tape, logits, &choice, |tape, x| self.record(tape, x))
        })
    }

    fn reinforce(&self, baseline: f64) -> Mat<f64> {
        let choice = Choice::without_gradient(self.categories).with_noise(self.noise());
        self.at_loss(self.rows(), |tape, logits| {
            Reinforce::new(Baseline::Constant(baseline))
                .loss(tape, logits, &choice, |tape, x| self.record(tape, x))
        })
    }

    /// The mean of the gradients at both samples.
    fn leave_one_out(&self) -> Result<Mat<f64>> {
        let baseline = Baseline::leave_one_out(2)?;
        let noise = Noise::from_gumbel(vec![0.0; 2 * self.gumbel.len()]).with_sample(self.both());
        let choice = Choice::without_gradient(self.categories).with_noise(noise);
        let each = self.at_loss(2 * self.rows(), |tape, logits| {
            Reinforce::new(baseline).loss(tape, logits, &choice, |tape, x| self.record(tape, x))
        });
        Ok(Mat::from_fn(self.rows(), self.width(), |i, j| {
            0.5 * (each.row(2 * i)[j] + each.row(2 * i + 1)[j])
        }))
    }

    /// The gradients of θ, one row a draw, through what `record` records.
    fn at_loss(&self, rows: usize, record: impl for<'t> FnOnce(&mut Tape<'t, f64>, Var) -> Var) -> Mat<f64> {
        let (params, mut workspace) = (ParamStore::new(), Workspace::new());
        let mut tape = workspace.tape(&params);
        let logits = tape.leaf(&self.logits(rows));
        let loss = record(&mut tape, logits);
        let total = tape.sum(loss);
        tape.backward(total, &mut ParamGrads::zeros(&params));
        tape.grad_or_zeros(logits)
    }
}
