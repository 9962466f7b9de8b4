//! The text form of a [`TrainConfig`], which checkpoints hold: one line per option, with its key
//! and its value.

use super::config::{OptimizerKind, TrainConfig};
use crate::error::{Error, Result};
use crate::estimators::{EstimatorKind, Parameter, TemperatureSchedule};
use crate::nn::Activation;
use crate::optim::LrSchedule;
use crate::vae::{LatentShape, VaeConfig};
use std::fmt;
use std::str::FromStr;

/// A value of an option that can be written as text and read back exactly.
trait Text {
    fn text(&self) -> String;

    /// Replaces the value by the one in the text. Returns `None` if the text is not a value of this
    /// type.
    fn set(&mut self, text: &str) -> Option<()>;
}

macro_rules! text {
    ($($type:ty),*) => {$(
        impl Text for $type {
            fn text(&self) -> String {
                // For a float, this is the shortest decimal that reads back to the same bits.
                self.to_string()
            }

            fn set(&mut self, text: &str) -> Option<()> {
                *self = text.parse().ok()?;
                Some(())
            }
        }

        impl Text for Option<$type> {
            fn text(&self) -> String {
                self.as_ref().map_or("none".into(), <$type>::to_string)
            }

            fn set(&mut self, text: &str) -> Option<()> {
                *self = if text == "none" { None } else { Some(text.parse().ok()?) };
                Some(())
            }
        }
    )*};
}
text!(usize, u64, f64, LatentShape, Activation, OptimizerKind, TemperatureSchedule, LrSchedule);

/// Numbers separated by spaces.
impl Text for Vec<usize> {
    fn text(&self) -> String {
        self.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self = text.split_whitespace().map(|size| size.parse().ok()).collect::<Option<_>>()?;
        Some(())
    }
}

/// Prefix of the keys of an estimator's hyper-parameters.
const PARAMETER: &str = "estimator.";

impl TrainConfig {
    /// All options except the estimator's, each with its key. A field that is missing here does not
    /// compile.
    fn options(&mut self) -> [(&'static str, &mut dyn Text); 13] {
        let Self {
            vae,
            estimator: _,
            tau_schedule,
            draw_tau,
            optimizer,
            weight_decay,
            lr,
            lr_schedule,
            clip_norm,
            batch_size,
            seed,
        } = self;
        let VaeConfig { pixels, hidden, latent, activation } = vae;
        [
            ("pixels", pixels),
            ("hidden", hidden),
            ("activation", activation),
            ("latent", latent),
            ("tau_schedule", tau_schedule),
            ("draw_tau", draw_tau),
            ("optimizer", optimizer),
            ("weight_decay", weight_decay),
            ("lr", lr),
            ("lr_schedule", lr_schedule),
            ("clip_norm", clip_norm),
            ("batch_size", batch_size),
            ("seed", seed),
        ]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if key == "estimator" {
            return Ok(()); // `from_str` has read it before all others
        }
        if let Some(name) = key.strip_prefix(PARAMETER) {
            let parameters = self.estimator.parameters();
            return match parameters.iter().find(|parameter| parameter.name == name) {
                Some(Parameter { name, .. }) => self.estimator.set(name, value),
                None => {
                    let names: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
                    let expected = format!("{} with one of [{}]", self.estimator.kind(), names.join(", "));
                    Err(Error::argument("estimator", format!("a hyper-parameter `{name}`"), expected))
                }
            };
        }
        let mut options = self.options();
        match options.iter_mut().find(|(known, _)| *known == key) {
            Some((key, option)) => {
                option.set(value).ok_or_else(|| Error::argument(key, value, "a value of this option"))
            }
            None => {
                let keys: Vec<_> = options.iter().map(|(key, _)| *key).collect();
                let expected = format!("one of estimator, {PARAMETER}NAME, {}", keys.join(", "));
                Err(Error::argument("config", format!("an option `{key}`"), expected))
            }
        }
    }
}

/// Writes one line per option, including those with their defaults: the key, a space and the value.
/// A hyper-parameter of the estimator has the key `estimator.NAME`.
///
/// ```
/// use hardgrad::train::TrainConfig;
/// let config = TrainConfig { lr: 1e-3, ..TrainConfig::default() };
/// let text = config.to_string();
/// assert!(text.contains("\nestimator reinmax\nestimator.tau 1.3\n"));
/// assert!(text.contains("\nlr 0.001\n"));
/// assert_eq!(text.parse::<TrainConfig>()?, config);
/// # Ok::<(), hardgrad::Error>(())
/// ```
impl fmt::Display for TrainConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, option) in self.clone().options() {
            writeln!(f, "{key} {}", option.text())?;
            if key == "latent" {
                writeln!(f, "estimator {}", self.estimator.kind())?;
                for Parameter { name, value, .. } in self.estimator.parameters() {
                    writeln!(f, "{PARAMETER}{name} {value}")?;
                }
            }
        }
        Ok(())
    }
}

/// The inverse of `Display`. A missing option has its default, so that the text of an earlier
/// version can be read.
///
/// ```
/// use hardgrad::train::TrainConfig;
/// let config = "estimator gumbel-rao\nestimator.tau 0.5\n".parse::<TrainConfig>()?;
/// assert_eq!(config.estimator.to_string(), "gumbel-rao tau 0.5 draws 100");
/// assert_eq!(config.lr, 5e-4);
/// let e = "momentum 0.9\n".parse::<TrainConfig>().unwrap_err().to_string();
/// assert!(e.starts_with("config: got an option `momentum`, expected one of estimator, "));
/// # Ok::<(), hardgrad::Error>(())
/// ```
impl FromStr for TrainConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
        let mut config = Self::default();
        if let Some((_, name)) = lines.iter().find(|(key, _)| *key == "estimator") {
            config.estimator = name.parse::<EstimatorKind>()?.default_config();
        }
        for (i, (key, value)) in lines.iter().enumerate() {
            if lines[..i].iter().any(|(earlier, _)| earlier == key) {
                return Err(Error::argument("config", format!("`{key}` twice"), "each option once"));
            }
            config.set(key, value)?;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::{EstimatorConfig, ScheduleShape};

    #[test]
    fn text_keeps_every_estimator_and_every_bit() {
        for kind in EstimatorKind::ALL {
            let mut config = TrainConfig {
                estimator: kind.default_config(),
                lr: 0.1 + 0.2,
                clip_norm: Some(f64::MIN_POSITIVE),
                seed: u64::MAX,
                tau_schedule: Some(TemperatureSchedule {
                    shape: ScheduleShape::Exponential,
                    to: 1.0 / 3.0,
                    over: 7,
                }),
                optimizer: OptimizerKind::AdamW,
                weight_decay: 1.0 / 7.0,
                lr_schedule: Some(LrSchedule {
                    warm_up: 2,
                    start_factor: 1.0 / 3.0,
                    total: 9,
                    min_lr: 1e-300,
                }),
                ..TrainConfig::default()
            };
            config.vae.hidden = vec![];
            config.vae.activation = Activation::LeakyRelu(0.1 + 0.2);
            if let Some(tau) = config.estimator.tau_mut() {
                *tau = 1e30 / 7.0;
            }
            assert_eq!(config.to_string().parse::<TrainConfig>().unwrap(), config);
        }
    }

    #[test]
    fn a_missing_option_has_its_default_and_an_unknown_one_is_named() {
        assert_eq!("".parse::<TrainConfig>().unwrap(), TrainConfig::default());
        let config = "estimator.draws 7\nestimator gumbel-rao".parse::<TrainConfig>().unwrap();
        assert_eq!(config.estimator, EstimatorConfig::GumbelRao { tau: 1.3, draws: 7 });
        for (text, expected) in [
            (
                "estimator st\nestimator.draws 7",
                "got a hyper-parameter `draws`, expected st with one of [tau]",
            ),
            ("estimator newest", "estimator: got newest, expected one of st, "),
            ("lr fast", "lr: got fast"),
            ("lr 1\nlr 1", "config: got `lr` twice"),
            ("tau 1", "config: got an option `tau`"),
            ("\n", "config: got an option ``"),
        ] {
            let e = text.parse::<TrainConfig>().unwrap_err().to_string();
            assert!(e.contains(expected), "{e} instead of {expected}");
        }
    }
}
