//! What determines a run's numbers.

use crate::error::{Error, Result};
use crate::estimators::{EstimatorConfig, TemperatureSchedule};
use crate::optim::{Adam, AdamConfig, Optimizer, RAdam};
use crate::scalar::Scalar;
use crate::vae::VaeConfig;
use serde::{Deserialize, Serialize};

/// Which optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// [`Adam`]
    #[default]
    Adam,
    /// [`RAdam`]
    RAdam,
}

impl std::fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Adam => "adam",
            Self::RAdam => "radam",
        })
    }
}

impl std::str::FromStr for OptimizerKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "adam" => Ok(Self::Adam),
            "radam" => Ok(Self::RAdam),
            _ => Err(Error::argument("optimizer", name, "one of adam, radam")),
        }
    }
}

/// A run of the VAE, but for its data and its number of epochs: the same config on the same data gives the same bits.
///
/// ```
/// use hardgrad::train::TrainConfig;
/// let config = TrainConfig::default();
/// assert_eq!((config.vae.latent.to_string().as_str(), config.lr, config.batch_size), ("8x4", 5e-4, 100));
/// assert!(config.validated().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)] // a file of before an option was added has its default
pub struct TrainConfig {
    /// Sizes of the network.
    pub vae: VaeConfig,
    /// The gradient estimator.
    pub estimator: EstimatorConfig,
    /// How the temperature, or the λ of an estimator without one, changes from epoch to epoch; `None`: it does not.
    pub tau_schedule: Option<TemperatureSchedule>,
    /// Temperature τ_f of the law that codes are drawn from, q(z|x) = softmax(θ/τ_f) with θ the encoder's output; 1: θ are the logits.
    /// All of the loss is that law's: the divergence, and the estimates of estimators at the loss. The gradient of the sample is the
    /// estimator's at θ, with its own temperature: see [`Choice::with_draw_temperature`](crate::estimators::Choice::with_draw_temperature).
    #[serde(skip_serializing_if = "is_one")]
    // so that stored lines from before this option stay as they are
    pub draw_tau: f64,
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// Learning rate.
    pub lr: f64,
    /// The largest L2 norm of the gradient of all parameters together; a longer one is scaled down to it. `None`: any.
    pub clip_norm: Option<f64>,
    /// Images to an update.
    pub batch_size: usize,
    /// Determines the initial weights, the order of the images and every sample.
    pub seed: u64,
}

fn is_one(x: &f64) -> bool {
    *x == 1.0
}

impl Default for TrainConfig {
    /// The paper's 8×4 VAE with ReinMax: τ 1.3, Adam 5e-4, batches of 100.
    fn default() -> Self {
        Self {
            vae: VaeConfig::default(),
            estimator: EstimatorConfig::ReinMax { tau: 1.3 },
            tau_schedule: None,
            draw_tau: 1.0,
            optimizer: OptimizerKind::Adam,
            lr: 5e-4,
            clip_norm: None,
            batch_size: 100,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// Itself, if everything is in its range.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the first thing that is not, and its range.
    pub fn validated(self) -> Result<Self> {
        if self.batch_size == 0 {
            return Err(Error::argument("batch_size", 0, "at least 1"));
        }
        if self.lr <= 0.0 {
            return Err(Error::argument("lr", self.lr, "a finite number > 0"));
        }
        if let Some(norm) = self.clip_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return Err(Error::argument("clip_norm", norm, "a finite number > 0"));
        }
        if self.vae.pixels == 0 || self.vae.hidden.contains(&0) {
            return Err(Error::argument("layer size", 0, "at least 1"));
        }
        self.estimator.build::<f32>()?;
        if self.estimator == EstimatorConfig::Exact {
            self.vae.latent.codes()?;
        }
        if let Some(schedule) = &self.tau_schedule {
            schedule.validated()?;
            let mut estimator = self.estimator;
            if let Some(&mut from) = estimator.scheduled_mut()
                && !(from > 0.0 && from.is_finite())
            {
                return Err(Error::argument("start of the schedule", from, "a finite number > 0"));
            }
        }
        if !(1e-30..=1e30).contains(&self.draw_tau) {
            return Err(Error::argument("draw_tau", self.draw_tau, "a number from 1e-30 to 1e30"));
        }
        self.build_optimizer::<f32>()?;
        Ok(self)
    }

    /// The estimator as it is in this epoch, from 1.
    ///
    /// ```
    /// use hardgrad::estimators::{EstimatorConfig, ScheduleShape, TemperatureSchedule};
    /// use hardgrad::train::TrainConfig;
    /// let schedule = TemperatureSchedule { shape: ScheduleShape::Exponential, to: 0.325, over: 10 };
    /// let config = TrainConfig { tau_schedule: Some(schedule), ..TrainConfig::default() };
    /// assert_eq!(config.estimator_at(1), EstimatorConfig::ReinMax { tau: 1.3 });
    /// assert_eq!(config.estimator_at(6), EstimatorConfig::ReinMax { tau: 0.65 }); // half-way to a quarter: a half
    /// ```
    pub fn estimator_at(&self, epoch: usize) -> EstimatorConfig {
        let mut estimator = self.estimator;
        if let (Some(schedule), Some(tau)) = (&self.tau_schedule, estimator.scheduled_mut()) {
            *tau = schedule.at(*tau, epoch.saturating_sub(1));
        }
        estimator
    }

    /// The optimiser, before its first update.
    ///
    /// # Errors
    /// If the learning rate is outside its range.
    pub fn build_optimizer<T: Scalar>(&self) -> Result<Box<dyn Optimizer<T>>> {
        let config = AdamConfig { lr: self.lr, ..AdamConfig::default() };
        Ok(match self.optimizer {
            OptimizerKind::Adam => Box::new(Adam::new(config)?),
            OptimizerKind::RAdam => Box::new(RAdam::new(config)?),
        })
    }
}
