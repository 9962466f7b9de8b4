//! REINFORCE.

use super::{LossEstimator, score_loss};
use crate::error::{Error, Result};
use crate::estimators::Choice;
use crate::estimators::value::Value;
use crate::scalar::Scalar;
use crate::tape::{Tape, Var};
use serde::{Deserialize, Serialize};

/// The baseline, which is subtracted from the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Baseline {
    /// A number that does not depend on the current sample: 0 for no baseline, or a [`RunningMean`]
    /// of earlier losses.
    Constant(f64),
    /// The mean loss of the other samples of the same example. Rows are examples, each repeated
    /// `samples` times consecutively.
    LeaveOneOut {
        /// Number of samples per example, at least 2.
        samples: usize,
    },
}

impl Baseline {
    /// Creates a leave-one-out baseline with `samples` samples per example.
    ///
    /// # Errors
    /// If `samples` is below 2 or above 10,000. The decoder runs once per sample.
    pub fn leave_one_out(samples: usize) -> Result<Self> {
        if !(2..=10_000).contains(&samples) {
            return Err(Error::argument("samples", samples, "a number from 2 to 10000"));
        }
        Ok(Self::LeaveOneOut { samples })
    }
}

/// REINFORCE, the score-function estimator, with a baseline.
///
/// Williams, "Simple Statistical Gradient-Following Algorithms" (1992); Wang and Bui (2026),
/// section 2.5. Leave-one-out: Kool, van Hoof and Welling, "Buy 4 REINFORCE Samples, Get a Baseline
/// for Free!" (2019).
///
/// ```text
/// ∂ E f/∂θ ≈ (f(D) − b)(D − π)
/// ```
///
/// π = softmax(θ); D the one-hot sample; f(D) the loss, which need not be differentiable; b the
/// baseline.
///
/// The estimator is unbiased for every b that does not depend on D, because E (D − π) = 0. The
/// baseline reduces the variance.
///
/// ```
/// use hardgrad::estimators::{Baseline, LossEstimator, Reinforce};
/// let losses = [5.0, 1.0, 3.0]; // losses of three samples of one example
/// let score = |baseline| -> f64 { Reinforce::new(baseline).score(&|_| &losses, 0) };
/// assert_eq!(score(Baseline::Constant(1.5)), 3.5);
/// assert_eq!(score(Baseline::leave_one_out(3)?), 5.0 - (1.0 + 3.0) / 2.0);
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reinforce {
    baseline: Baseline,
}

impl Reinforce {
    /// Creates the estimator with this baseline.
    pub fn new(baseline: Baseline) -> Self {
        Self { baseline }
    }

    /// Records a sample D of `choice` and the loss f(D), `[N, 1]`, with this estimator's gradient
    /// for the logits. The gradient of the loss itself flows into all other inputs of f. With
    /// leave-one-out, rows are examples, each repeated [`samples`](Baseline::LeaveOneOut) times
    /// consecutively. Shapes: logits `[N, L·C]`; f: sample `[N, L·C]` → `[N, 1]`.
    ///
    /// ```
    /// use hardgrad::estimators::{Baseline, Choice, Noise, Reinforce};
    /// use hardgrad::{Mat, ParamGrads, ParamStore, Workspace};
    /// let (params, mut workspace) = (ParamStore::<f64>::new(), Workspace::new());
    /// let choice = Choice::without_gradient(2).with_noise(Noise::from_gumbel(vec![0.0, 1.0]));
    /// let mut tape = workspace.tape(&params);
    /// // π = (½, ½); the noise draws the second category
    /// let logits = tape.leaf(&Mat::zeros(1, 2));
    /// let reinforce = Reinforce::new(Baseline::Constant(1.0));
    /// let loss = reinforce.loss(&mut tape, logits, &choice, |tape, d| {
    ///     let prices = tape.constant(&Mat::from_rows(&[[2.0], [5.0]]));
    ///     tape.matmul(d, prices)
    /// });
    /// tape.backward(loss, &mut ParamGrads::zeros(&params));
    /// assert_eq!(tape.grad(logits).unwrap().data, [-2.0, 2.0]); // (5 − 1) (D − π)
    /// ```
    #[track_caller]
    pub fn loss<'t, T: Scalar>(
        &self,
        tape: &mut Tape<'t, T>,
        logits: Var,
        choice: &Choice<T>,
        f: impl FnOnce(&mut Tape<'t, T>, Var) -> Var,
    ) -> Var {
        choice.assert_draws_at_logits();
        let held = tape.detach(logits);
        let d = tape.sample(choice, held);
        let loss = f(tape, d);
        score_loss(tape, *self, logits, d, &[loss], choice.categories())
    }
}

impl<T: Scalar> LossEstimator<T> for Reinforce {
    fn weights(&self) -> &[f64] {
        &[1.0] // of the gradient of f itself, for the decoder
    }

    fn score<'f>(&self, losses: &dyn Fn(usize) -> &'f [T], row: usize) -> T {
        let f = losses(0);
        match self.baseline {
            Baseline::Constant(b) => f[row] - T::of(b),
            Baseline::LeaveOneOut { samples } => {
                let first = row / samples * samples;
                let others = f[first..first + samples].iter().enumerate().filter(|&(k, _)| first + k != row);
                f[row] - others.map(|(_, &f)| f).sum::<T>() / T::of((samples - 1) as f64)
            }
        }
    }
}

/// Configuration of the baseline of REINFORCE; see [`Baseline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineConfig {
    /// b = 0.
    None,
    /// b is an exponential moving average of earlier losses, [`RunningMean`].
    RunningMean,
    /// b is the mean loss of the other samples of the same example.
    LeaveOneOut {
        /// Number of samples per example, at least 2.
        samples: usize,
    },
}

impl std::fmt::Display for BaselineConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::RunningMean => f.write_str("running-mean"),
            Self::LeaveOneOut { samples } => write!(f, "leave-one-out:{samples}"),
        }
    }
}

impl std::str::FromStr for BaselineConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => return Ok(Self::None),
            "running-mean" => return Ok(Self::RunningMean),
            _ => {}
        }
        let samples = text.strip_prefix("leave-one-out:").and_then(|samples| samples.parse().ok());
        let samples = samples.ok_or_else(|| Error::argument("baseline", text, Self::ACCEPTS))?;
        Ok(Self::LeaveOneOut { samples })
    }
}

impl Value for BaselineConfig {
    const ACCEPTS: &'static str = "none, running-mean or leave-one-out:N, such as leave-one-out:4";
}

/// Exponential moving average of earlier losses: a baseline that does not depend on the current
/// sample.
///
/// ```
/// use hardgrad::estimators::RunningMean;
/// let mut mean = RunningMean::default();
/// assert_eq!(mean.get(), 0.0);
/// mean.add(8.0);
/// assert!((mean.get() - 8.0).abs() < 1e-12); // corrected for the initial value 0
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunningMean {
    sum: f64,
    weight: f64,
}

impl RunningMean {
    /// Decay per step: the average covers about the last hundred steps.
    const DECAY: f64 = 0.99;

    /// The current average; 0 before the first loss.
    pub fn get(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }

    /// Adds a loss to the average.
    pub fn add(&mut self, value: f64) {
        self.sum = Self::DECAY * self.sum + (1.0 - Self::DECAY) * value;
        self.weight = Self::DECAY * self.weight + (1.0 - Self::DECAY);
    }
}
