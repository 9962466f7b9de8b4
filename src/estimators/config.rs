//! An estimator and its hyper-parameters as data: what a command line parses and a checkpoint holds.

use super::{ReinMax, SampleEstimator, StraightThrough, StraightThroughGumbelSoftmax};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use serde::{Deserialize, Serialize};

/// Which estimator.
///
/// ```
/// use hardgrad::estimators::EstimatorKind;
/// assert_eq!("stgs".parse::<EstimatorKind>().unwrap(), EstimatorKind::StraightThroughGumbelSoftmax);
/// let e = "gumbel".parse::<EstimatorKind>().unwrap_err();
/// assert_eq!(e.to_string(), "estimator: got gumbel, expected one of st, stgs, reinmax");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EstimatorKind {
    /// `st`: [`StraightThrough`]
    #[serde(rename = "st")]
    StraightThrough,
    /// `stgs`: [`StraightThroughGumbelSoftmax`]
    #[serde(rename = "stgs")]
    StraightThroughGumbelSoftmax,
    /// `reinmax`: [`ReinMax`]
    #[serde(rename = "reinmax")]
    ReinMax,
}

impl EstimatorKind {
    /// All of them, in the order of the table in the [module](super).
    pub const ALL: &'static [Self] =
        &[Self::StraightThrough, Self::StraightThroughGumbelSoftmax, Self::ReinMax];

    /// The short name, as on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::StraightThrough => "st",
            Self::StraightThroughGumbelSoftmax => "stgs",
            Self::ReinMax => "reinmax",
        }
    }
}

impl std::fmt::Display for EstimatorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for EstimatorKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            Error::argument("estimator", name, format!("one of {}", names.join(", ")))
        })
    }
}

/// An estimator with its hyper-parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EstimatorConfig {
    /// Which one.
    pub kind: EstimatorKind,
    /// Temperature τ, > 0.
    pub tau: f64,
}

impl EstimatorConfig {
    /// The estimator.
    ///
    /// # Errors
    /// If a hyper-parameter is outside its range.
    pub fn build<T: Scalar>(&self) -> Result<Box<dyn SampleEstimator<T>>> {
        Ok(match self.kind {
            EstimatorKind::StraightThrough => Box::new(StraightThrough::new(self.tau)?),
            EstimatorKind::StraightThroughGumbelSoftmax => {
                Box::new(StraightThroughGumbelSoftmax::new(self.tau)?)
            }
            EstimatorKind::ReinMax => Box::new(ReinMax::new(self.tau)?),
        })
    }
}
