//! An estimator and its hyper-parameters as data: what a command line parses and a checkpoint holds.

use super::{
    Blend, CvForm, Estimator, Gap, GappedStraightThrough, GumbelRao, Rebar, ReinMax, ReinMaxArgmax,
    ReinMaxCv, ReinMaxRao, ReinMaxRk2, Rk2Form, StraightThrough, StraightThroughGumbelSoftmax,
};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Declares [`EstimatorKind`] with the names of its values.
macro_rules! kinds {
    ($($kind:ident $name:literal $type:literal,)*) => {
        /// Which estimator.
        ///
        /// ```
        /// use hardgrad::estimators::EstimatorKind;
        /// assert_eq!("stgs".parse::<EstimatorKind>().unwrap(), EstimatorKind::StraightThroughGumbelSoftmax);
        /// let e = "gumbel".parse::<EstimatorKind>().unwrap_err().to_string();
        /// assert!(e.starts_with("estimator: got gumbel, expected one of st, stgs, gumbel-rao, gst, reinmax"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EstimatorKind {
            $(#[doc = concat!("`", $name, "`: ", $type)] $kind,)*
        }

        impl EstimatorKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The short name, as on a command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
        }
    };
}

kinds!(
    StraightThrough "st" "[`StraightThrough`]",
    StraightThroughGumbelSoftmax "stgs" "[`StraightThroughGumbelSoftmax`]",
    GumbelRao "gumbel-rao" "[`GumbelRao`](super::GumbelRao)",
    GappedStraightThrough "gst" "[`GappedStraightThrough`]",
    ReinMax "reinmax" "[`ReinMax`](super::ReinMax)",
    ReinMaxArgmax "reinmax-argmax" "[`ReinMaxArgmax`](super::ReinMaxArgmax)",
    ReinMaxRk2 "reinmax-rk2" "[`ReinMaxRk2`](super::ReinMaxRk2)",
    ReinMaxRao "reinmax-rao" "[`ReinMaxRao`](super::ReinMaxRao)",
    ReinMaxCv "reinmax-cv" "[`ReinMaxCv`](super::ReinMaxCv)",
    ReinMaxBlend "reinmax-blend" "[`Blend`] of [`ReinMax`](super::ReinMax) and [`ReinMaxRao`](super::ReinMaxRao)",
    Reinforce "reinforce" "[`Reinforce`](super::Reinforce)",
    Rebar "rebar" "[`Rebar`](super::Rebar)",
    Exact "exact" "the exact gradient, eq. 2, by enumeration of all codes",
);

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

/// The baseline of REINFORCE as data; see [`Baseline`](super::Baseline).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineConfig {
    /// b = 0.
    None,
    /// b = an exponential mean of earlier losses, [`RunningMean`](super::RunningMean).
    RunningMean,
    /// b = the mean loss of the other samples of the same image.
    LeaveOneOut {
        /// Samples of each image, at least 2.
        samples: usize,
    },
}

/// An estimator with its hyper-parameters.
///
/// ```
/// use hardgrad::estimators::EstimatorConfig;
/// assert!(EstimatorConfig::ReinMax { tau: 1.3 }.build::<f32>().is_ok());
/// let e = EstimatorConfig::GumbelRao { tau: 0.5, draws: 0 }.build::<f32>().unwrap_err();
/// assert_eq!(e.to_string(), "draws: got 0, expected a number from 1 to 1000000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum EstimatorConfig {
    /// [`StraightThrough`]
    #[serde(rename = "st")]
    StraightThrough {
        /// τ, at least 1e-30, as everywhere below.
        tau: f64,
    },
    /// [`StraightThroughGumbelSoftmax`]
    #[serde(rename = "stgs")]
    StraightThroughGumbelSoftmax {
        /// τ
        tau: f64,
    },
    /// [`GumbelRao`]
    #[serde(rename = "gumbel-rao")]
    GumbelRao {
        /// τ
        tau: f64,
        /// K, from 1 to 10⁶, as everywhere below.
        draws: usize,
    },
    /// [`GappedStraightThrough`]
    #[serde(rename = "gst")]
    GappedStraightThrough {
        /// How far the other logits are kept below the sample's.
        gap: Gap,
        /// τ
        tau: f64,
    },
    /// [`ReinMax`]
    #[serde(rename = "reinmax")]
    ReinMax {
        /// τ
        tau: f64,
    },
    /// [`ReinMaxArgmax`]
    #[serde(rename = "reinmax-argmax")]
    ReinMaxArgmax {
        /// τ
        tau: f64,
    },
    /// [`ReinMaxRk2`]
    #[serde(rename = "reinmax-rk2")]
    ReinMaxRk2 {
        /// Which reading of eq. 27.
        form: Rk2Form,
        /// β, from −1e30 to 1e30, as η and λ below; ½ is ReinMax.
        beta: f64,
    },
    /// [`ReinMaxRao`]
    #[serde(rename = "reinmax-rao")]
    ReinMaxRao {
        /// τ of the Gumbel-Rao term.
        tau: f64,
        /// K
        draws: usize,
    },
    /// [`ReinMaxCv`]
    #[serde(rename = "reinmax-cv")]
    ReinMaxCv {
        /// Which reading of eq. 18.
        form: CvForm,
        /// τ of the control variate.
        tau: f64,
        /// K
        draws: usize,
        /// η, the weight of the control variate.
        eta: f64,
    },
    /// [`Blend`] of [`ReinMax`] and [`ReinMaxRao`]
    #[serde(rename = "reinmax-blend")]
    ReinMaxBlend {
        /// λ, the weight of ReinMax; the rest is ReinMax-Rao's.
        lambda: f64,
        /// τ of ReinMax.
        tau: f64,
        /// τ of ReinMax-Rao.
        rao_tau: f64,
        /// K
        draws: usize,
    },
    /// [`Reinforce`](super::Reinforce)
    #[serde(rename = "reinforce")]
    Reinforce {
        /// What is taken off the loss.
        baseline: BaselineConfig,
    },
    /// [`Rebar`]
    #[serde(rename = "rebar")]
    Rebar {
        /// τ of the relaxation.
        tau: f64,
        /// η, the weight of the control variate.
        eta: f64,
    },
    /// The exact gradient, eq. 2, by enumeration of all codes.
    #[serde(rename = "exact")]
    Exact,
}

/// An estimator ready for use.
#[derive(Debug)]
pub enum BuiltEstimator<T> {
    /// The gradient of the sample: for [`Choice::shared`](super::Choice::shared).
    Sample(Arc<dyn Estimator<T>>),
    /// [`Reinforce`](super::Reinforce), whose baseline may change from step to step.
    Reinforce(BaselineConfig),
    /// [`Rebar`], with three decoder passes.
    Rebar(Rebar),
    /// No sample at all: the expectation itself, by enumeration.
    Exact,
}

impl<T: Scalar> BuiltEstimator<T> {
    fn sample(estimator: impl Estimator<T> + 'static) -> Self {
        Self::Sample(Arc::new(estimator))
    }
}

impl EstimatorConfig {
    /// The estimator.
    ///
    /// # Errors
    /// If a hyper-parameter is outside its range.
    pub fn build<T: Scalar>(&self) -> Result<BuiltEstimator<T>> {
        Ok(match *self {
            Self::StraightThrough { tau } => BuiltEstimator::sample(StraightThrough::new(tau)?),
            Self::StraightThroughGumbelSoftmax { tau } => {
                BuiltEstimator::sample(StraightThroughGumbelSoftmax::new(tau)?)
            }
            Self::GumbelRao { tau, draws } => BuiltEstimator::sample(GumbelRao::new(tau, draws)?),
            Self::GappedStraightThrough { gap, tau } => {
                BuiltEstimator::sample(GappedStraightThrough::new(gap, tau)?)
            }
            Self::ReinMax { tau } => BuiltEstimator::sample(ReinMax::new(tau)?),
            Self::ReinMaxArgmax { tau } => BuiltEstimator::sample(ReinMaxArgmax::new(tau)?),
            Self::ReinMaxRk2 { form, beta } => BuiltEstimator::sample(ReinMaxRk2::new(form, beta)?),
            Self::ReinMaxRao { tau, draws } => BuiltEstimator::sample(ReinMaxRao::new(tau, draws)?),
            Self::ReinMaxCv { form, tau, draws, eta } => {
                BuiltEstimator::sample(ReinMaxCv::new(form, tau, draws, eta)?)
            }
            Self::ReinMaxBlend { lambda, tau, rao_tau, draws } => BuiltEstimator::sample(Blend::new(
                ReinMax::new(tau)?,
                ReinMaxRao::new(rao_tau, draws)?,
                lambda,
            )?),
            Self::Reinforce { baseline } => {
                if let BaselineConfig::LeaveOneOut { samples } = baseline {
                    super::Baseline::leave_one_out(samples)?;
                }
                BuiltEstimator::Reinforce(baseline)
            }
            Self::Rebar { tau, eta } => BuiltEstimator::Rebar(Rebar::new(tau, eta)?),
            Self::Exact => BuiltEstimator::Exact,
        })
    }

    /// Which one it is.
    pub fn kind(&self) -> EstimatorKind {
        match self {
            Self::StraightThrough { .. } => EstimatorKind::StraightThrough,
            Self::StraightThroughGumbelSoftmax { .. } => EstimatorKind::StraightThroughGumbelSoftmax,
            Self::GumbelRao { .. } => EstimatorKind::GumbelRao,
            Self::GappedStraightThrough { .. } => EstimatorKind::GappedStraightThrough,
            Self::ReinMax { .. } => EstimatorKind::ReinMax,
            Self::ReinMaxArgmax { .. } => EstimatorKind::ReinMaxArgmax,
            Self::ReinMaxRk2 { .. } => EstimatorKind::ReinMaxRk2,
            Self::ReinMaxRao { .. } => EstimatorKind::ReinMaxRao,
            Self::ReinMaxCv { .. } => EstimatorKind::ReinMaxCv,
            Self::ReinMaxBlend { .. } => EstimatorKind::ReinMaxBlend,
            Self::Reinforce { .. } => EstimatorKind::Reinforce,
            Self::Rebar { .. } => EstimatorKind::Rebar,
            Self::Exact => EstimatorKind::Exact,
        }
    }

    /// The temperature, of those that have one.
    pub fn tau_mut(&mut self) -> Option<&mut f64> {
        match self {
            Self::StraightThrough { tau }
            | Self::StraightThroughGumbelSoftmax { tau }
            | Self::GumbelRao { tau, .. }
            | Self::GappedStraightThrough { tau, .. }
            | Self::ReinMax { tau }
            | Self::ReinMaxArgmax { tau }
            | Self::ReinMaxRao { tau, .. }
            | Self::ReinMaxCv { tau, .. }
            | Self::ReinMaxBlend { tau, .. }
            | Self::Rebar { tau, .. } => Some(tau),
            Self::ReinMaxRk2 { .. } | Self::Reinforce { .. } | Self::Exact => None,
        }
    }
}
