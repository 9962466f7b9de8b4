//! The options of a training run.

use crate::error::{Error, Result};
use crate::estimators::{EstimatorConfig, TemperatureSchedule};
use crate::optim::{Adam, AdamConfig, AdamW, LrSchedule, Optimizer, RAdam};
use crate::scalar::Scalar;
use crate::vae::VaeConfig;
use serde::{Deserialize, Serialize};

/// Kind of an optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// [`Adam`]
    #[default]
    Adam,
    /// [`AdamW`]
    AdamW,
    /// [`RAdam`]
    RAdam,
}

impl std::fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Adam => "adam",
            Self::AdamW => "adamw",
            Self::RAdam => "radam",
        })
    }
}

impl std::str::FromStr for OptimizerKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "adam" => Ok(Self::Adam),
            "adamw" => Ok(Self::AdamW),
            "radam" => Ok(Self::RAdam),
            _ => Err(Error::argument("optimizer", name, "one of adam, adamw, radam")),
        }
    }
}

/// PyTorch's default weight decay of AdamW.
const WEIGHT_DECAY: f64 = 0.01;

/// Options of a training run of the VAE, without its data and number of epochs. Two runs with equal
/// options on the same data give the same bits.
///
/// ```
/// use hardgrad::train::TrainConfig;
/// let config = TrainConfig::default();
/// assert_eq!(config.vae.latent.to_string(), "8x4");
/// assert_eq!((config.lr, config.batch_size), (5e-4, 100));
/// assert!(config.validated().is_ok());
/// ```
// Files from before an option was added are read with its default. Options that were added after
// manifests were first stored are not serialised at their defaults: a stored line stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Layers of the network.
    pub vae: VaeConfig,
    /// Gradient estimator.
    pub estimator: EstimatorConfig,
    /// Schedule, over the epochs, of the temperature, or of λ for an estimator without temperature;
    /// `None` for a constant.
    pub tau_schedule: Option<TemperatureSchedule>,
    /// Temperature τ_f of the distribution that codes are drawn from, q(z|x) = softmax(θ/τ_f),
    /// where θ is the encoder's output. With 1, θ are the logits. The whole loss is that of this
    /// distribution: the divergence, and the estimates of estimators at the loss. The gradient of
    /// the sample is the estimator's at θ, with its own temperature: see
    /// [`Choice::with_draw_temperature`](crate::estimators::Choice::with_draw_temperature).
    #[serde(skip_serializing_if = "is_one")]
    pub draw_tau: f64,
    /// Optimiser.
    pub optimizer: OptimizerKind,
    /// Weight decay of [`AdamW`]. The other optimisers have none, and accept the default only.
    #[serde(skip_serializing_if = "is_default_decay")]
    pub weight_decay: f64,
    /// Learning rate; with a schedule, the highest.
    pub lr: f64,
    /// Schedule of the learning rate over the epochs; `None` for a constant rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr_schedule: Option<LrSchedule>,
    /// Largest L2 norm of the gradient of all parameters together. A longer gradient is scaled down
    /// to it. `None` for no limit.
    pub clip_norm: Option<f64>,
    /// Images per update.
    pub batch_size: usize,
    /// Seed of the initial weights, the order of the images and every sample.
    pub seed: u64,
}

fn is_one(x: &f64) -> bool {
    *x == 1.0
}

fn is_default_decay(x: &f64) -> bool {
    *x == WEIGHT_DECAY
}

impl Default for TrainConfig {
    /// The paper's 8×4 VAE with ReinMax: τ 1.3, Adam with learning rate 5e-4, batches of 100.
    fn default() -> Self {
        Self {
            vae: VaeConfig::default(),
            estimator: EstimatorConfig::ReinMax { tau: 1.3 },
            tau_schedule: None,
            draw_tau: 1.0,
            optimizer: OptimizerKind::Adam,
            weight_decay: WEIGHT_DECAY,
            lr: 5e-4,
            lr_schedule: None,
            clip_norm: None,
            batch_size: 100,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// Returns `self` if every option is in its range.
    ///
    /// ```
    /// use hardgrad::train::TrainConfig;
    /// let e = TrainConfig { lr: 0.0, ..TrainConfig::default() }.validated().unwrap_err();
    /// assert_eq!(e.to_string(), "lr: got 0, expected a finite number > 0");
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] with the name and range of the first option that is out of range.
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
        self.vae.activation.validated()?;
        self.estimator.build::<f32>()?;
        if self.estimator == EstimatorConfig::Exact {
            self.vae.latent.codes()?;
        }
        self.validate_schedules()?;
        if !(1e-30..=1e30).contains(&self.draw_tau) {
            return Err(Error::argument("draw_tau", self.draw_tau, "a number from 1e-30 to 1e30"));
        }
        if self.optimizer != OptimizerKind::AdamW && !is_default_decay(&self.weight_decay) {
            let expected = format!("no weight decay with the optimiser {}, only with adamw", self.optimizer);
            return Err(Error::argument("weight_decay", self.weight_decay, expected));
        }
        self.build_optimizer::<f32>()?;
        Ok(self)
    }

    fn validate_schedules(&self) -> Result<()> {
        if let Some(schedule) = &self.tau_schedule {
            schedule.validated()?;
            let mut estimator = self.estimator;
            if let Some(&mut from) = estimator.scheduled_mut()
                && !(from > 0.0 && from.is_finite())
            {
                return Err(Error::argument("start of the schedule", from, "a finite number > 0"));
            }
        }
        if let Some(schedule) = &self.lr_schedule
            && let Err(e) = schedule.validated()
        {
            return Err(Error::argument("lr_schedule", schedule, format!("a valid schedule ({e})")));
        }
        Ok(())
    }

    /// The estimator in this epoch, counted from 1.
    ///
    /// ```
    /// use hardgrad::estimators::{EstimatorConfig, ScheduleShape, TemperatureSchedule};
    /// use hardgrad::train::TrainConfig;
    /// let shape = ScheduleShape::Exponential;
    /// let schedule = TemperatureSchedule { shape, to: 0.325, over: 10 };
    /// let config = TrainConfig { tau_schedule: Some(schedule), ..TrainConfig::default() };
    /// assert_eq!(config.estimator_at(1), EstimatorConfig::ReinMax { tau: 1.3 });
    /// // After half of the epochs, the temperature has half of the way to a quarter: a half.
    /// assert_eq!(config.estimator_at(6), EstimatorConfig::ReinMax { tau: 0.65 });
    /// ```
    pub fn estimator_at(&self, epoch: usize) -> EstimatorConfig {
        let mut estimator = self.estimator;
        if let (Some(schedule), Some(tau)) = (&self.tau_schedule, estimator.scheduled_mut()) {
            *tau = schedule.at(*tau, epoch.saturating_sub(1));
        }
        estimator
    }

    /// The learning rate in this epoch, counted from 1.
    ///
    /// ```
    /// use hardgrad::train::TrainConfig;
    /// let lr_schedule = Some("cosine:6:2:0.5".parse()?); // 2 epochs of warm-up from one half
    /// let config = TrainConfig { lr: 0.8, lr_schedule, ..TrainConfig::default() };
    /// assert_eq!([1, 2, 3].map(|epoch| config.lr_at(epoch)), [0.4, 0.6, 0.8]);
    /// assert!((config.lr_at(5) - 0.4).abs() < 1e-15); // half of the cosine's way to 0
    /// # Ok::<(), hardgrad::Error>(())
    /// ```
    pub fn lr_at(&self, epoch: usize) -> f64 {
        let done = epoch.saturating_sub(1);
        self.lr_schedule.map_or(self.lr, |schedule| schedule.at(self.lr, done))
    }

    /// The optimiser before its first update.
    ///
    /// # Errors
    /// If the learning rate or the weight decay is outside its range.
    pub fn build_optimizer<T: Scalar>(&self) -> Result<Box<dyn Optimizer<T>>> {
        let config = AdamConfig { lr: self.lr, ..AdamConfig::default() };
        Ok(match self.optimizer {
            OptimizerKind::Adam => Box::new(Adam::new(config)?),
            OptimizerKind::AdamW => Box::new(AdamW::new(config, self.weight_decay)?),
            OptimizerKind::RAdam => Box::new(RAdam::new(config)?),
        })
    }
}
