//! A method on the command line: an estimator, and the options in which its runs differ from those
//! of the preset.

use hardgrad::estimators::EstimatorKind;
use hardgrad::train::TrainConfig;
use hardgrad::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Keys of options that other options of `plan` set, or that the data determine.
const NOT_HERE: [&str; 4] = ["estimator", "latent", "pixels", "seed"];

/// An estimator with changed options, written `NAME[:KEY=VALUE]...`, such as `mve:lambda=10` or
/// `mve:lambda=1:tau_schedule=exponential:1000:160`. A key is a hyper-parameter of the estimator or
/// an option in the text of a [`TrainConfig`], such as `lr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Estimator.
    pub kind: EstimatorKind,
    /// Changed options: key and value.
    changes: Vec<(String, String)>,
}

impl From<EstimatorKind> for Method {
    fn from(kind: EstimatorKind) -> Self {
        Self { kind, changes: Vec::new() }
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::argument("methods", text, "NAME[:KEY=VALUE]..., such as mve:lambda=10");
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default().parse()?;
        let mut changes: Vec<(String, String)> = Vec::new();
        for part in parts {
            match part.split_once('=') {
                Some((key, value)) => changes.push((key.replace('-', "_"), value.into())),
                // The colon is part of a value, as in a schedule.
                None => {
                    let (_, value) = changes.last_mut().ok_or_else(wrong)?;
                    *value += &format!(":{part}");
                }
            }
        }
        Ok(Self { kind, changes })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        self.changes.iter().try_for_each(|(key, value)| write!(f, ":{key}={value}"))
    }
}

impl Method {
    /// Whether options are changed.
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether the option with this key is changed.
    pub fn changes(&self, key: &str) -> bool {
        self.changes.iter().any(|(changed, _)| changed == key)
    }

    /// The config with the changed options.
    ///
    /// # Errors
    /// If no option has such a name, if a text is not a value of its option, or if another option
    /// of the command line sets it.
    pub fn apply(&self, config: &TrainConfig) -> Result<TrainConfig> {
        let mut text = String::new();
        let mut keys = Vec::new();
        for (key, value) in &self.changes {
            if NOT_HERE.contains(&key.as_str()) {
                let expected = "an option that neither --configs, --seeds nor the data determine";
                return Err(Error::argument("methods", self, expected));
            }
            let parameters = config.estimator.parameters();
            let is_parameter = parameters.iter().any(|parameter| parameter.name == key);
            keys.push(if is_parameter { format!("estimator.{key}") } else { key.clone() });
            text += &format!("{} {value}\n", keys[keys.len() - 1]);
        }
        for line in config.to_string().lines() {
            let (key, _) = line.split_once(' ').unwrap_or((line, ""));
            if !keys.iter().any(|changed| changed == key) {
                text += &format!("{line}\n");
            }
        }
        text.parse().map_err(|e| Error::argument("methods", self, format!("valid options ({e})")))
    }
}
