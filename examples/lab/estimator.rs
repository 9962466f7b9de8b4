//! The estimator's part of a command line.

use super::preset::Preset;
use clap::Args;
use hardgrad::Error;
use hardgrad::estimators::{
    BaselineConfig, CvForm, EstimatorConfig, EstimatorKind, Gap, Rk2Form, ScheduleShape, TemperatureSchedule,
};
use std::str::FromStr;

/// Which estimator, and its hyper-parameters.
#[derive(Clone, Debug, Args)]
pub struct EstimatorArgs {
    /// Gradient estimator: st, stgs, gumbel-rao, gst, reinmax, reinmax-argmax, reinmax-rk2, reinmax-rao, reinmax-cv,
    /// reinmax-blend, reinforce, rebar or exact
    #[arg(long, default_value = "reinmax")]
    pub estimator: EstimatorKind,
    /// Optimiser, learning rate, tau, eta and draws of a published run, by estimator and latent space; other options override it
    #[arg(long, value_enum)]
    pub preset: Option<Preset>,
    /// Temperature, > 0 [default: 1.3]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    tau: Option<f64>,
    /// Conditional draws of Gumbel-Rao terms [default: 100], or samples of leave-one-out [default: 4]
    #[arg(long, value_name = "K")]
    draws: Option<usize>,
    /// Gap of gst: a number >= 0, or `probability` [default: 1]
    #[arg(long, value_name = "F|probability", value_parser = parse_gap, allow_negative_numbers = true)]
    gap: Option<Gap>,
    /// Beta of reinmax-rk2 [default: 0.5]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Weight of the control variate of reinmax-cv [default: 1.5] and rebar [default: 1]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    eta: Option<f64>,
    /// Weight of ReinMax in reinmax-blend, the rest being ReinMax-Rao's [default: 0.5]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Temperature of ReinMax-Rao in reinmax-blend [default: 1]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    rao_tau: Option<f64>,
    /// reinmax-cv: shared, printed, coupled or author-code (the default); reinmax-rk2: eq27 (the default), author-code or
    /// projected; reinforce: none, running-mean (the default) or leave-one-out
    #[arg(long)]
    form: Option<String>,
    /// Let the temperature go to T2 within N epochs: linear:T2:N or exponential:T2:N
    #[arg(long, value_name = "SHAPE:T2:N", value_parser = parse_schedule)]
    pub tau_schedule: Option<TemperatureSchedule>,
}

impl EstimatorArgs {
    /// The estimator: what the options say, over what `preset` says, over the defaults.
    pub fn config(&self, preset: Option<EstimatorConfig>) -> hardgrad::Result<EstimatorConfig> {
        let mut config = match preset {
            Some(config) => config,
            None => self.default_config(),
        };
        if let (Some(tau), Some(given)) = (config.tau_mut(), self.tau) {
            *tau = given;
        }
        let set = |to: &mut f64, given: Option<f64>| *to = given.unwrap_or(*to);
        let count = |to: &mut usize| *to = self.draws.unwrap_or(*to);
        match &mut config {
            EstimatorConfig::GumbelRao { draws, .. } | EstimatorConfig::ReinMaxRao { draws, .. } => {
                count(draws)
            }
            EstimatorConfig::GappedStraightThrough { gap, .. } => *gap = self.gap.unwrap_or(*gap),
            EstimatorConfig::ReinMaxRk2 { form, beta } => {
                let forms = [
                    ("eq27", Rk2Form::Eq27),
                    ("author-code", Rk2Form::AuthorCode),
                    ("projected", Rk2Form::Projected),
                ];
                *form = self.form_among(*form, &forms)?;
                set(beta, self.beta);
            }
            EstimatorConfig::ReinMaxCv { form, draws, eta, .. } => {
                let forms = [
                    ("shared", CvForm::Shared),
                    ("printed", CvForm::Printed),
                    ("coupled", CvForm::Coupled),
                    ("author-code", CvForm::AuthorCode),
                ];
                *form = self.form_among(*form, &forms)?;
                count(draws);
                set(eta, self.eta);
            }
            EstimatorConfig::ReinMaxBlend { lambda, rao_tau, draws, .. } => {
                set(lambda, self.lambda);
                set(rao_tau, self.rao_tau);
                count(draws);
            }
            EstimatorConfig::Reinforce { baseline } => {
                let samples = self.draws.unwrap_or(4);
                let forms = [
                    ("none", BaselineConfig::None),
                    ("running-mean", BaselineConfig::RunningMean),
                    ("leave-one-out", BaselineConfig::LeaveOneOut { samples }),
                ];
                *baseline = self.form_among(*baseline, &forms)?;
            }
            EstimatorConfig::Rebar { eta, .. } => set(eta, self.eta),
            _ => {}
        }
        Ok(config)
    }

    fn default_config(&self) -> EstimatorConfig {
        let (tau, draws) = (1.3, 100);
        match self.estimator {
            EstimatorKind::StraightThrough => EstimatorConfig::StraightThrough { tau },
            EstimatorKind::StraightThroughGumbelSoftmax => {
                EstimatorConfig::StraightThroughGumbelSoftmax { tau }
            }
            EstimatorKind::GumbelRao => EstimatorConfig::GumbelRao { tau, draws },
            EstimatorKind::GappedStraightThrough => {
                EstimatorConfig::GappedStraightThrough { gap: Gap::Fixed(1.0), tau }
            }
            EstimatorKind::ReinMax => EstimatorConfig::ReinMax { tau },
            EstimatorKind::ReinMaxArgmax => EstimatorConfig::ReinMaxArgmax { tau },
            EstimatorKind::ReinMaxRk2 => EstimatorConfig::ReinMaxRk2 { form: Rk2Form::Eq27, beta: 0.5 },
            EstimatorKind::ReinMaxRao => EstimatorConfig::ReinMaxRao { tau, draws },
            EstimatorKind::ReinMaxCv => {
                EstimatorConfig::ReinMaxCv { form: CvForm::AuthorCode, tau, draws, eta: 1.5 }
            }
            EstimatorKind::ReinMaxBlend => {
                EstimatorConfig::ReinMaxBlend { lambda: 0.5, tau, rao_tau: 1.0, draws }
            }
            EstimatorKind::Reinforce => EstimatorConfig::Reinforce { baseline: BaselineConfig::RunningMean },
            EstimatorKind::Rebar => EstimatorConfig::Rebar { tau, eta: 1.0 },
            EstimatorKind::Exact => EstimatorConfig::Exact,
        }
    }

    /// The form that `--form` names, of this estimator's.
    fn form_among<F: Copy>(&self, default: F, forms: &[(&str, F)]) -> hardgrad::Result<F> {
        let Some(name) = &self.form else { return Ok(default) };
        forms.iter().find(|(n, _)| n == name).map(|&(_, form)| form).ok_or_else(|| {
            let names: Vec<_> = forms.iter().map(|&(n, _)| n).collect();
            Error::argument("form", name, format!("one of {} for {}", names.join(", "), self.estimator))
        })
    }
}

fn parse_gap(text: &str) -> Result<Gap, String> {
    match text {
        "probability" => Ok(Gap::Probability),
        _ => {
            f64::from_str(text).map(Gap::Fixed).map_err(|_| "expected a number >= 0 or `probability`".into())
        }
    }
}

fn parse_schedule(text: &str) -> Result<TemperatureSchedule, String> {
    let parse = || {
        let (shape, rest) = text.split_once(':')?;
        let (to, over) = rest.split_once(':')?;
        let shape = match shape {
            "linear" => ScheduleShape::Linear,
            "exponential" => ScheduleShape::Exponential,
            _ => return None,
        };
        Some(TemperatureSchedule { shape, to: to.parse().ok()?, over: over.parse().ok()? })
    };
    parse().ok_or_else(|| "expected linear:T2:N or exponential:T2:N, such as exponential:0.3:20".into())
}
