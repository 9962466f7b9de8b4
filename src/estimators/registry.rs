//! The registry of estimators: one row per estimator. Everything that lists or names estimators is
//! derived from it.

use super::formulas::*;
use super::value::Value;
use super::{Baseline, BaselineConfig, DoubleControlVariate, Estimator, Rebar, Vimco, WeightConfig};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use serde::Serialize;
use serde::de::MapAccess;
use std::fmt;
use std::sync::Arc;

/// An estimator that was built from its configuration.
#[derive(Debug)]
pub enum BuiltEstimator<T> {
    /// An estimator of the gradient of the sample, for [`Choice::shared`](super::Choice::shared).
    Sample(Arc<dyn Estimator<T>>),
    /// [`Reinforce`](super::Reinforce), whose baseline may change in every step.
    Reinforce(BaselineConfig),
    /// [`Rebar`], which needs three decoder passes.
    Rebar(Rebar),
    /// [`DoubleControlVariate`], which uses losses and gradients of several samples, and the source
    /// of its weight. If the weight is adapted, this estimator has α = 0 and gets the weight of the
    /// [`AdaptiveWeight`](super::AdaptiveWeight) in each step.
    DoubleControlVariate(DoubleControlVariate, WeightConfig),
    /// [`Vimco`], whose loss is the importance-weighted bound.
    Vimco(Vimco),
    /// [`LocalExpectation`](super::LocalExpectation), which needs L (C − 1) + 1 decoder passes.
    LocalExpectation,
    /// The exact expectation by enumeration, without a sample.
    Exact,
}

fn sample<T: Scalar>(estimator: impl Estimator<T> + 'static) -> BuiltEstimator<T> {
    BuiltEstimator::Sample(Arc::new(estimator))
}

/// The registry's description of one estimator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name in files and on command lines, such as `gumbel-rao`.
    pub name: &'static str,
    /// Name in tables and figures, such as `Gumbel-Rao`.
    pub label: &'static str,
    /// Type in [`estimators`](crate::estimators), or the function that computes the gradient.
    pub type_name: &'static str,
    /// Formula of ∂f/∂θ for one latent variable.
    pub formula: &'static str,
    /// Number of the equation, or source of the formula.
    pub equation: &'static str,
    /// Difference between the mean and the exact gradient.
    pub bias: &'static str,
    /// Number of evaluations of f per gradient.
    pub passes: &'static str,
}

/// A hyper-parameter of an estimator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name of the field in [`EstimatorConfig`].
    pub name: &'static str,
    /// Symbol in formulas and labels; empty if labels show only the value.
    pub symbol: &'static str,
    /// Description.
    pub about: &'static str,
    /// Description of the valid texts.
    pub accepts: &'static str,
    /// Value as text.
    pub value: String,
}

/// Declares [`EstimatorKind`] and [`EstimatorConfig`] with the methods that are derived from the
/// rows.
macro_rules! registry {
    ($(
        #[doc = $about:literal]
        $kind:ident, $name:literal, $label:literal, $type_name:literal,
        $formula:literal, $equation:literal, $bias:literal, $passes:literal,
        $({ $( #[doc = $parameter_about:literal] $(#[serde($($serde:tt)*)])? $parameter:ident $symbol:literal: $type:ty = $default:expr, )* })?
        => $build:expr;
    )*) => {
        /// The kind of an estimator, without hyper-parameters.
        ///
        /// ```
        /// use hardgrad::estimators::EstimatorKind;
        /// let kind = "stgs".parse::<EstimatorKind>().unwrap();
        /// assert_eq!(kind, EstimatorKind::StraightThroughGumbelSoftmax);
        /// let e = "gumbel".parse::<EstimatorKind>().unwrap_err().to_string();
        /// assert!(e.starts_with("estimator: got gumbel, expected one of st, stgs, gumbel-rao"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum EstimatorKind {
            $(#[doc = $about] $kind,)*
        }

        impl EstimatorKind {
            /// All estimators.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The registry's description of the estimator.
            pub fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$kind => &Entry {
                        name: $name, label: $label, type_name: $type_name, formula: $formula,
                        equation: $equation, bias: $bias, passes: $passes,
                    },)*
                }
            }

            /// The estimator with the default of each hyper-parameter.
            ///
            /// ```
            /// use hardgrad::estimators::{EstimatorConfig, EstimatorKind};
            /// let config = EstimatorKind::GumbelRao.default_config();
            /// assert_eq!(config, EstimatorConfig::GumbelRao { tau: 1.3, draws: 100 });
            /// ```
            pub fn default_config(self) -> EstimatorConfig {
                match self {
                    $(Self::$kind => EstimatorConfig::$kind $({ $($parameter: $default),* })?,)*
                }
            }
        }

        /// An estimator with its hyper-parameters as data, for command lines and checkpoints.
        ///
        /// ```
        /// use hardgrad::estimators::EstimatorConfig;
        /// assert!(EstimatorConfig::ReinMax { tau: 1.3 }.build::<f32>().is_ok());
        /// let e = EstimatorConfig::GumbelRao { tau: 0.5, draws: 0 }.build::<f32>().unwrap_err();
        /// assert_eq!(e.to_string(), "draws: got 0, expected a number from 1 to 1000000");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Serialize)]
        pub enum EstimatorConfig {
            $(
                #[doc = $about]
                #[serde(rename = $name)]
                $kind $({ $(#[doc = $parameter_about] $(#[serde($($serde)*)])? $parameter: $type,)* })?,
            )*
        }

        impl EstimatorConfig {
            /// The kind of the estimator.
            pub fn kind(&self) -> EstimatorKind {
                match self {
                    $(Self::$kind { .. } => EstimatorKind::$kind,)*
                }
            }

            /// Builds the estimator.
            ///
            /// # Errors
            /// If a hyper-parameter is outside its range.
            pub fn build<T: Scalar>(&self) -> Result<BuiltEstimator<T>> {
                Ok(match *self {
                    $(Self::$kind $({ $($parameter),* })? => $build,)*
                })
            }

            /// The hyper-parameters, in the order of the fields.
            pub fn parameters(&self) -> Vec<Parameter> {
                match self {
                    $(Self::$kind $({ $($parameter),* })? => vec![$($(Parameter {
                        name: stringify!($parameter),
                        symbol: $symbol,
                        about: $parameter_about.trim_ascii(),
                        accepts: <$type as Value>::ACCEPTS,
                        value: $parameter.to_string(),
                    }),*)?],)*
                }
            }

            /// Sets the hyper-parameter `name` from text.
            ///
            /// ```
            /// use hardgrad::estimators::EstimatorKind;
            /// let mut config = EstimatorKind::ReinMaxCv.default_config();
            /// config.set("form", "coupled")?;
            /// assert_eq!(config.to_string(), "reinmax-cv form coupled tau 1.3 draws 100 eta 1.5");
            /// let e = config.set("beta", "1").unwrap_err().to_string();
            /// let expected = "expected one of form, tau, draws, eta: reinmax-cv has no beta";
            /// assert_eq!(e, format!("beta: got 1, {expected}"));
            /// # Ok::<(), hardgrad::Error>(())
            /// ```
            ///
            /// # Errors
            /// If the estimator has no such hyper-parameter (the error lists those that it has), or
            /// the text is not a value of the parameter's type.
            pub fn set(&mut self, name: &'static str, text: &str) -> Result<()> {
                match self {
                    $(Self::$kind $({ $($parameter),* })? => {
                        $($(if name == stringify!($parameter) {
                            *$parameter = Value::parse(name, text)?;
                            return Ok(());
                        })*)?
                    })*
                }
                Err(self.has_no(name, text))
            }

            /// Reads the value of the hyper-parameter `name`. Returns whether it exists.
            fn read<'de, A: MapAccess<'de>>(
                &mut self,
                name: &str,
                map: &mut A,
            ) -> std::result::Result<bool, A::Error> {
                match self {
                    $(Self::$kind $({ $($parameter),* })? => {
                        $($(if name == stringify!($parameter) {
                            *$parameter = Value::next_of(map)?;
                            return Ok(true);
                        })*)?
                    })*
                }
                Ok(false)
            }

            /// The hyper-parameter `name`, if it is a real number, for schedules.
            pub fn number_mut(&mut self, name: &str) -> Option<&mut f64> {
                match self {
                    $(Self::$kind $({ $($parameter),* })? => {
                        $($(if name == stringify!($parameter) {
                            return Value::number_mut($parameter);
                        })*)?
                    })*
                }
                None
            }
        }
    };
}

registry!(
    /// [`StraightThrough`]
    StraightThrough, "st", "ST", "StraightThrough",
    "(1/τ) J(π_τ) g", "3", "first order", "1", {
        /// Temperature τ, at least 1e-30.
        tau "τ": f64 = TAU,
    } => sample(StraightThrough::new(tau)?);

    /// [`StraightThroughGumbelSoftmax`]
    StraightThroughGumbelSoftmax, "stgs", "STGS", "StraightThroughGumbelSoftmax",
    "(1/τ) J(softmax((θ+G)/τ)) g", "5", "first order, less at small τ", "1", {
        /// Temperature τ, at least 1e-30.
        tau "τ": f64 = TAU,
    } => sample(StraightThroughGumbelSoftmax::new(tau)?);

    /// [`GumbelRao`]
    GumbelRao, "gumbel-rao", "Gumbel-Rao", "GumbelRao",
    "(1/(Kτ)) Σ_k J(softmax(Y_k/τ)) g, Y_k ~ θ+G conditional on D", "6", "as STGS, less variance", "1", {
        /// Temperature τ, at least 1e-30.
        tau "τ": f64 = TAU,
        /// Number K of conditional draws, from 1 to 10⁶.
        draws "K": usize = DRAWS,
    } => sample(GumbelRao::new(tau, draws)?);

    /// [`GappedStraightThrough`]
    GappedStraightThrough, "gst", "GST", "GappedStraightThrough",
    "(1/τ) J(softmax(θ'/τ)) g, θ' = θ with D's logit raised to the largest", "–", "first order", "1", {
        /// Minimum distance of the sample's logit from the others: a number ≥ 0, or `probability`.
        gap "gap": Gap = Gap::Fixed(1.0),
        /// Temperature τ, at least 1e-30.
        tau "τ": f64 = TAU,
    } => sample(GappedStraightThrough::new(gap, tau)?);

    /// [`ReinMax`]
    ReinMax, "reinmax", "ReinMax", "ReinMax",
    "2 J((π_τ+D)/2) g − ½ J(π) g", "12", "second order at τ = 1", "1", {
        /// Temperature τ, at least 1e-30.
        tau "τ": f64 = TAU,
    } => sample(ReinMax::new(tau)?);

    /// [`ReinMaxArgmax`]
    ReinMaxArgmax, "reinmax-argmax", "ReinMax-Argmax", "ReinMaxArgmax",
    "2 J((π_τ+D*)/2) g − ½ J(π) g, D* = onehot(argmax θ)", "table 1", "large; for analysis, not for training", "1", {
        /// Temperature τ, at least 1e-30.
        tau "τ": f64 = TAU,
    } => sample(ReinMaxArgmax::new(tau)?);

    /// [`ReinMaxRk2`]
    ReinMaxRk2, "reinmax-rk2", "ReinMax-RK2", "ReinMaxRk2",
    "2 (p ⊙ g − ⟨βπ+(1−β)D, g⟩ p) − β J(π) g, in three forms", "27", "second order at β = ½", "1", {
        /// Variant of eq. 27.
        form "": Rk2Form = Rk2Form::Eq27,
        /// Weight β of the end point, from −1e30 to 1e30; ½ gives ReinMax.
        beta "β": f64 = 0.5,
    } => sample(ReinMaxRk2::new(form, beta)?);

    /// [`ReinMaxRao`]
    ReinMaxRao, "reinmax-rao", "ReinMax-Rao", "ReinMaxRao",
    "2 GR(θ_D; D) − ½ J(π) g", "17", "more than ReinMax, less variance", "1", {
        /// Temperature τ of the Gumbel-Rao term, at least 1e-30.
        tau "τ": f64 = TAU,
        /// Number K of conditional draws, from 1 to 10⁶.
        draws "K": usize = DRAWS,
    } => sample(ReinMaxRao::new(tau, draws)?);

    /// [`ReinMaxCv`]
    ReinMaxCv, "reinmax-cv", "ReinMax-CV", "ReinMaxCv",
    "2 (J(p) g − η S + η GR(θ_D; D)) − ½ J(π) g, in four forms", "18", "depends on the form", "1", {
        /// Variant of eq. 18.
        form "": CvForm = CvForm::AuthorCode,
        /// Temperature τ of the control variate, at least 1e-30.
        tau "τ": f64 = TAU,
        /// Number K of conditional draws, from 1 to 10⁶.
        draws "K": usize = DRAWS,
        /// Weight η of the control variate, from −1e30 to 1e30.
        eta "η": f64 = 1.5,
    } => sample(ReinMaxCv::new(form, tau, draws, eta)?);

    /// [`Blend`] of [`ReinMax`] and [`ReinMaxRao`]
    ReinMaxBlend, "reinmax-blend", "ReinMax blend", "Blend",
    "λ ReinMax + (1 − λ) ReinMax-Rao", "–", "between the two", "1", {
        /// Weight λ of ReinMax, from −1e30 to 1e30; ReinMax-Rao has the weight 1 − λ.
        lambda "λ": f64 = 0.5,
        /// Temperature τ of ReinMax, at least 1e-30.
        tau "τ": f64 = TAU,
        /// Temperature of ReinMax-Rao, at least 1e-30.
        rao_tau "τ of Rao": f64 = 1.0,
        /// Number K of conditional draws, from 1 to 10⁶.
        draws "K": usize = DRAWS,
    } => sample(Blend::new(ReinMax::new(tau)?, ReinMaxRao::new(rao_tau, draws)?, lambda)?);

    /// [`Darn`]
    Darn, "darn", "DARN", "Darn",
    "(g_D − ⟨π, g⟩)(D − π)", "Gregor et al. (2014)", "first order, opposite to ST's", "1",
    => sample(Darn);

    /// [`Mve`]
    Mve, "mve", "MVE", "Mve",
    "J(π)(r ⊙ A⁻¹ a + λ w_D D)", "AISTATS 2026", "first order, second as λ → ∞", "1", {
        /// Weight λ of the second order, from 0 to 1e30, or `inf`.
        #[serde(serialize_with = "super::value::serialize_or_infinite")]
        lambda "λ": f64 = 10.0,
    } => sample(Mve::new(lambda)?);

    /// [`ReinMax`] at τ = 1
    Zgr, "zgr", "ZGR", "ReinMax",
    "½ (ST + DARN) = ReinMax at τ = 1", "Shekhovtsov (2023)", "second order", "1",
    => sample(ReinMax::new(1.0)?);

    /// [`GumbelSoftmax`], whose sample is relaxed
    GumbelSoftmax, "gumbel-softmax", "Gumbel-softmax", "GumbelSoftmax",
    "(1/τ) J(s) g at the sample s = softmax((θ+G)/τ)", "Jang et al. (2017)", "none for the relaxed problem", "1", {
        /// Temperature τ, at least 1e-30.
        tau "τ": f64 = TAU,
    } => sample(GumbelSoftmax::new(tau)?);

    /// [`Reinforce`](super::Reinforce)
    Reinforce, "reinforce", "REINFORCE", "Reinforce",
    "(f(D) − b)(D − π)", "section 2.5", "none", "1, or 1 per sample", {
        /// Baseline b: `none`, `running-mean`, or `leave-one-out:N` with N samples per example.
        baseline "": BaselineConfig = BaselineConfig::RunningMean,
    } => {
        if let BaselineConfig::LeaveOneOut { samples } = baseline {
            let expected = "leave-one-out over 2 to 10000 samples";
            Baseline::leave_one_out(samples).map_err(|_| Error::argument("baseline", baseline, expected))?;
        }
        BuiltEstimator::Reinforce(baseline)
    };

    /// [`Rebar`]
    Rebar, "rebar", "REBAR", "Rebar",
    "(f(D) − η f(s(Y)))(D − π) + η ∂(f(s(θ+G)) − f(s(Y)))/∂θ", "15", "none", "3", {
        /// Temperature τ of the relaxation, at least 1e-30.
        tau "τ": f64 = TAU,
        /// Weight η of the control variate, from −1e30 to 1e30.
        eta "η": f64 = 1.0,
    } => BuiltEstimator::Rebar(Rebar::new(tau, eta)?);

    /// [`DoubleControlVariate`]
    DoubleControlVariate, "double-control-variate", "Double CV", "DoubleControlVariate",
    "mean_k (t_k − mean_{j≠k} t_j)(D_k − π) − α J(π) mean_k g_k", "Titsias and Shi (2022)", "none", "1 per sample", {
        /// Number n of samples per example, from 2 to 10,000.
        samples "n": usize = 2,
        /// Weight α of the control variate, from −1e30 to 1e30 (0 is leave-one-out), or `adapted`.
        alpha "α": WeightConfig = WeightConfig::Adapted,
    } => {
        let fixed = if let WeightConfig::Fixed(alpha) = alpha { alpha } else { 0.0 };
        BuiltEstimator::DoubleControlVariate(DoubleControlVariate::new(samples, fixed)?, alpha)
    };

    /// [`Vimco`]
    Vimco, "vimco", "VIMCO", "Vimco",
    "Σ_k (L̂ − L̂ without k)(D_k − π) + Σ_k softmax(ℓ)_k ∂ℓ_k/∂θ", "Mnih and Rezende (2016)", "none for the importance-weighted bound", "1 per sample", {
        /// Number K of samples per example, from 1 to 10,000.
        samples "K": usize = 2,
    } => BuiltEstimator::Vimco(Vimco::new(samples)?);

    /// [`LocalExpectation`](super::LocalExpectation)
    LocalExpectation, "local-expectation", "Local expectation", "LocalExpectation",
    "J(π^l) F^l, F^l_i = f(D with D^l = e_i)", "Titsias and Lázaro-Gredilla (2015)", "none", "L (C − 1) + 1",
    => BuiltEstimator::LocalExpectation;

    /// The exact gradient by enumeration of all codes
    Exact, "exact", "Exact gradient", "Vae::expected_bce",
    "Σ_D f(D) ∂π(D)/∂θ", "2", "none", "C^L",
    => BuiltEstimator::Exact;
);

/// Default temperature.
const TAU: f64 = 1.3;
/// Default number of conditional draws, as in the paper.
const DRAWS: usize = 100;

impl EstimatorKind {
    /// Name in files and on command lines.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Name in tables and figures.
    pub fn label(self) -> &'static str {
        self.entry().label
    }
}

impl fmt::Display for EstimatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

impl EstimatorConfig {
    /// The temperature τ; `None` if the estimator has none.
    pub fn tau_mut(&mut self) -> Option<&mut f64> {
        self.number_mut("tau")
    }

    /// The hyper-parameter that a schedule changes: the temperature τ, or the weight λ of an
    /// estimator without a temperature.
    ///
    /// ```
    /// use hardgrad::estimators::EstimatorConfig;
    /// assert_eq!(EstimatorConfig::Mve { lambda: 3.0 }.scheduled_mut(), Some(&mut 3.0));
    /// assert_eq!(EstimatorConfig::ReinMax { tau: 1.3 }.scheduled_mut(), Some(&mut 1.3));
    /// assert_eq!(EstimatorConfig::Darn.scheduled_mut(), None);
    /// ```
    pub fn scheduled_mut(&mut self) -> Option<&mut f64> {
        let name = if self.number_mut("tau").is_some() { "tau" } else { "lambda" };
        self.number_mut(name)
    }

    /// Number of samples per example that one step draws.
    ///
    /// ```
    /// use hardgrad::estimators::EstimatorConfig;
    /// assert_eq!(EstimatorConfig::Vimco { samples: 5 }.samples(), 5);
    /// assert_eq!(EstimatorConfig::ReinMax { tau: 1.0 }.samples(), 1);
    /// ```
    pub fn samples(&self) -> usize {
        match *self {
            Self::Reinforce { baseline: BaselineConfig::LeaveOneOut { samples } }
            | Self::DoubleControlVariate { samples, .. }
            | Self::Vimco { samples } => samples,
            _ => 1,
        }
    }

    /// The estimator with its hyper-parameters, as shown in tables and figures: "Gumbel-Rao, τ 0.5,
    /// K 100".
    pub fn label(&self) -> String {
        let mut text = self.kind().label().to_owned();
        for Parameter { symbol, value, .. } in self.parameters() {
            text += &if symbol.is_empty() { format!(" {value}") } else { format!(", {symbol} {value}") };
        }
        text
    }

    fn has_no(&self, name: &'static str, text: &str) -> Error {
        let kind = self.kind();
        let names: Vec<_> = self.parameters().iter().map(|parameter| parameter.name).collect();
        let has = match &names[..] {
            [] => "no hyper-parameters".to_owned(),
            names => format!("one of {}", names.join(", ")),
        };
        Error::argument(name, text, format!("{has}: {kind} has no {name}"))
    }
}

/// Formats the estimator with its hyper-parameters by name: "gumbel-rao tau 0.5 draws 100".
impl fmt::Display for EstimatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        self.parameters().iter().try_for_each(|p| write!(f, " {} {}", p.name, p.value))
    }
}

mod json;
#[cfg(test)]
mod tests;
