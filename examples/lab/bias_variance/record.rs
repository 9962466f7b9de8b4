//! A line of `bias_variance.jsonl`: one estimator at one checkpoint.

use super::super::error::RunError;
use hardgrad::estimators::{EstimatorConfig, EstimatorKind, Parameter};
use hardgrad::files::write_atomically;
use hardgrad::stats::Summary;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Description and result of a measurement. A number that does not exist is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Description of the measurement.
    #[serde(flatten)]
    pub what: What,
    /// Cosine between the exact gradient and the mean of the estimates.
    pub cosine: Option<f64>,
    /// Standard error of the cosine, by jackknife.
    pub cosine_se: Option<f64>,
    /// The cosine, corrected for the remaining noise of the mean.
    pub cosine_corrected: Option<f64>,
    /// ‖std‖₂ / ‖mean‖₂
    pub relative_sd: Option<f64>,
    /// Standard error of the relative standard deviation, by jackknife.
    pub relative_sd_se: Option<f64>,
    /// Trace of the covariance of one estimate.
    pub covariance_trace: Option<f64>,
    /// ‖std‖₂, the square root of the trace.
    pub sd_norm: Option<f64>,
    /// ‖mean of the estimates‖₂
    pub mean_norm: Option<f64>,
    /// ‖exact gradient‖₂
    pub exact_norm: Option<f64>,
    /// ‖mean − exact‖₂
    pub bias_norm: Option<f64>,
    /// ‖mean − exact‖₂, corrected for the remaining noise of the mean.
    pub bias_norm_corrected: Option<f64>,
    /// Norm of the standard errors of the reference, if it is a mean of samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_se: Option<f64>,
    /// Wall time of this estimator, without the decoder pass that all estimators share.
    pub seconds: f64,
}

/// One estimator at one checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct What {
    /// Number of epochs that were trained.
    pub epoch: usize,
    /// Name of the estimator on a command line.
    pub estimator: String,
    /// Form of ReinMax-CV, or baseline of REINFORCE.
    pub form: Option<String>,
    /// Temperature.
    pub tau: Option<f64>,
    /// Weight of the control variate.
    pub eta: Option<f64>,
    /// Weight of ReinMax in a blend, or λ of MVE if it is finite.
    pub lambda: Option<f64>,
    /// Temperature of ReinMax-Rao in a blend.
    pub rao_tau: Option<f64>,
    /// Number of estimates. The file calls it `draws`.
    #[serde(rename = "draws")]
    pub estimates: usize,
    /// Hyper-parameters that have no field of their own, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, String>,
    /// Number of conditional draws of a Gumbel-Rao term, or number of samples of leave-one-out.
    pub k: Option<usize>,
    /// Number of images.
    pub batch: usize,
    /// Seed of the training run and of the samples.
    pub seed: u64,
    /// Number type in which the estimates are computed: `f32`, as in training, or `f64`.
    pub precision: String,
    /// Number of samples of local expectation whose mean is the reference; `None` for the exact
    /// gradient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_samples: Option<usize>,
}

impl What {
    /// The description of the estimator, with all other fields empty.
    pub fn of(config: EstimatorConfig) -> Self {
        let mut with_tau = config;
        let mut what = Self {
            epoch: 0,
            estimator: config.kind().to_string(),
            form: None,
            tau: with_tau.tau_mut().copied(),
            eta: None,
            lambda: None,
            rao_tau: None,
            others: BTreeMap::new(),
            estimates: 0,
            k: None,
            batch: 0,
            seed: 0,
            precision: String::new(),
            reference_samples: None,
        };
        for Parameter { name, value, .. } in config.parameters() {
            match name {
                "tau" => {}
                "form" | "baseline" => what.form = Some(value),
                "eta" => what.eta = value.parse().ok(),
                // JSON has no infinity.
                "lambda" if value != "inf" => what.lambda = value.parse().ok(),
                "rao_tau" => what.rao_tau = value.parse().ok(),
                "draws" => what.k = value.parse().ok(),
                _ => drop(what.others.insert(name.into(), value)),
            }
        }
        // The file has separate fields for leave-one-out and its number of samples.
        if let Some((form, samples)) = what.form.as_deref().and_then(|form| form.split_once(':')) {
            (what.k, what.form) = (samples.parse().ok(), Some(form.into()));
        }
        what
    }

    /// Whether the measurement is of this estimator, regardless of the other fields.
    pub fn is(&self, config: EstimatorConfig) -> bool {
        let of = Self::of(config);
        (&self.estimator, &self.form, self.tau, self.eta) == (&of.estimator, &of.form, of.tau, of.eta)
            && (self.lambda, self.rao_tau, self.k, &self.others) == (of.lambda, of.rao_tau, of.k, &of.others)
    }

    /// Label for legends and tables.
    pub fn label(&self) -> String {
        let kind = self.estimator.parse::<EstimatorKind>();
        let mut label = kind.map_or_else(|_| self.estimator.clone(), |kind| kind.label().to_owned());
        if let Some(form) = &self.form {
            label += &format!(" {form}");
        }
        if let (Some("leave-one-out"), Some(samples)) = (self.form.as_deref(), self.k) {
            label += &format!(", n {samples}");
        }
        for (name, value) in
            [("λ", self.lambda), ("τ", self.tau), ("τ of Rao", self.rao_tau), ("η", self.eta)]
        {
            label += &value.map_or(String::new(), |value| format!(", {name} {value}"));
        }
        for (name, value) in &self.others {
            let symbol = match name.as_str() {
                "alpha" => "α",
                "beta" => "β",
                "lambda" => "λ",
                "samples" => "n",
                other => other,
            };
            label += &format!(", {symbol} {}", if value == "inf" { "∞" } else { value });
        }
        label
    }
}

impl Line {
    /// A line from the statistics of the estimates.
    pub fn new(what: What, found: &Summary, seconds: f64) -> Self {
        let finite = |x: f64| x.is_finite().then_some(x);
        Self {
            what,
            cosine: found.cosine,
            cosine_se: found.cosine_se,
            cosine_corrected: found.cosine_corrected,
            relative_sd: found.relative_sd,
            relative_sd_se: found.relative_sd_se,
            covariance_trace: finite(found.covariance_trace),
            sd_norm: finite(found.covariance_trace.sqrt()),
            mean_norm: finite(found.mean_norm),
            exact_norm: finite(found.exact_norm),
            bias_norm: finite(found.bias_norm),
            bias_norm_corrected: found.bias_norm_corrected,
            reference_se: None,
            seconds,
        }
    }
}

/// Writes a file of lines.
pub fn save(lines: &[Line], path: &Path) -> Result<(), RunError> {
    let mut text = String::new();
    for line in lines {
        let failed = |e| RunError::machine(format!("cannot write {}: {e}", path.display()));
        let json = serde_json::to_string(line).map_err(failed)?;
        text += &json;
        text.push('\n');
    }
    Ok(write_atomically(path, text.as_bytes())?)
}

/// The lines of a file that an earlier run wrote, if it contains these measurements and no others.
pub fn load(path: &Path, wanted: &[What]) -> Option<Vec<Line>> {
    let text = std::fs::read_to_string(path).ok()?;
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).ok()).collect::<Option<_>>()?;
    lines.iter().map(|line| &line.what).eq(wanted).then_some(lines)
}
