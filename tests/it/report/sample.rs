//! Synthetic results, in the files that `reproduce` writes: numbers of the usual size whose means
//! are known.

use crate::lab::preset::Preset;
use hardgrad::estimators::{BaselineConfig, CvForm, EstimatorConfig, EstimatorKind, Rk2Form};
use hardgrad::train::{
    ArgmaxLosses, EpochRecord, Evaluation, ImportanceBound, Loss, OptimizerKind, TrainConfig,
};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::Path;

/// MNIST with the checksum by which `reproduce` identifies it.
pub const MNIST: Dataset = Dataset { name: "mnist", train: 60_000, test: 10_000, crc32: "5cc4ba61" };
const DIGITS: Dataset = Dataset { name: "digits", train: 10_000, test: 2_000, crc32: "01234567" };

#[derive(Clone, Copy, Serialize)]
pub struct Dataset {
    name: &'static str,
    train: usize,
    test: usize,
    crc32: &'static str,
}

/// A line of `results.jsonl`, with its fields in order. The id and the check are computed here from
/// the description of the format.
#[derive(Clone, Serialize)]
pub struct Result {
    pub id: String,
    pub name: String,
    pub epochs: usize,
    pub dataset: Dataset,
    pub config: TrainConfig,
    pub history: Vec<EpochRecord>,
    pub diverged: Option<String>,
    pub evaluation: Option<Evaluation>,
    pub provenance: Provenance,
    pub check: String,
}

#[derive(Clone, Serialize)]
pub struct Provenance {
    version: String,
    commit: Option<String>,
    cpu: String,
    threads: usize,
    seconds: Option<f64>,
}

#[derive(Serialize)]
struct Planned<'a> {
    id: &'a str,
    name: &'a str,
    epochs: usize,
    dataset: Dataset,
    config: &'a TrainConfig,
}

/// The id in the earlier scheme: a hash of the config's JSON, from which later options with their
/// default values are missing.
fn earlier_id(config: &TrainConfig, dataset: Dataset, epochs: usize) -> String {
    let text = serde_json::to_string(&(config, dataset, epochs)).unwrap();
    Sha256::digest(text)[..6].iter().map(|b| format!("{b:02x}")).collect()
}

impl Result {
    /// A run with these train losses; the test losses are 2 nats larger.
    pub fn new(dataset: Dataset, config: TrainConfig, train: &[f64]) -> Self {
        let epochs = train.len();
        let loss = |loss: f64| Loss { loss, bce: loss - 8.0, kl: 8.0 };
        let record = |(i, &x): (usize, &f64)| EpochRecord {
            epoch: i + 1,
            train: loss(x),
            test: loss(x + 2.0),
            usage: None,
        };
        let name = format!(
            "{} {}, {} {}, seed {}",
            config.vae.latent,
            config.estimator.kind(),
            config.optimizer,
            config.lr,
            config.seed
        );
        let provenance = Provenance {
            version: "0.1.0".into(),
            commit: Some("0123abc".into()),
            cpu: "A processor <of> some & any \"kind\"".into(),
            threads: 1,
            seconds: Some(4.0 * epochs as f64),
        };
        let id = earlier_id(&config, dataset, epochs);
        let history = train.iter().enumerate().map(record).collect();
        let (diverged, evaluation, check) = (None, None, String::new());
        Self { id, name, epochs, dataset, config, history, diverged, evaluation, provenance, check }
    }

    /// The run with its end replaced by a number that is not finite.
    pub fn diverged_of(mut self, epochs: usize) -> Self {
        self.diverged = Some(format!("the loss is not finite at epoch {}, step 17", self.history.len() + 1));
        self.epochs = epochs;
        self.id = earlier_id(&self.config, self.dataset, epochs);
        self
    }

    /// The run with an evaluation: train loss 0.4 below the last, gaps of the argmax codes 1.5 and 1.25.
    pub fn evaluated(mut self) -> Self {
        let last = &self.history[self.history.len() - 1];
        let importance = ImportanceBound { samples: 64, bound: last.test.loss - 5.25, standard_error: 0.31 };
        let exact = Some(last.test.loss - 6.5);
        let train = Loss { loss: last.train.loss - 0.4, ..last.train };
        let (train_loss, test) = (train.loss, last.test);
        let less = |loss: f64, gap: f64| Loss { loss: loss - gap, bce: loss - gap - 8.0, kl: 8.0 };
        let argmax = ArgmaxLosses {
            train: less(train_loss, 1.5),
            train_gap: 1.5,
            test: less(test.loss, 1.25),
            test_gap: 1.25,
        };
        let (argmax, importance) = (Some(argmax), Some(importance));
        self.evaluation = Some(Evaluation { train, test, argmax, importance, exact });
        self
    }

    /// The run as a result of an earlier version, whose evaluations had no argmax codes.
    pub fn without_argmax(mut self) -> Self {
        self.evaluation.as_mut().unwrap().argmax = None;
        self
    }

    /// The run as if it had been interrupted within an epoch.
    pub fn without_time(mut self) -> Self {
        self.provenance.seconds = None;
        self
    }

    pub fn line(&self) -> String {
        let unchecked = Self { check: String::new(), ..self.clone() };
        // The check is computed from the line with its line break.
        let line = serde_json::to_string(&unchecked).unwrap() + "\n";
        let check: String = Sha256::digest(line)[..8].iter().map(|b| format!("{b:02x}")).collect();
        serde_json::to_string(&Self { check, ..unchecked }).unwrap() + "\n"
    }

    pub fn plan(&self) -> String {
        let Self { id, name, epochs, dataset, config, .. } = self;
        serde_json::to_string(&Planned { id, name, epochs: *epochs, dataset: *dataset, config }).unwrap()
            + "\n"
    }
}

/// A cell of the tables.
pub fn cell(preset: Preset, kind: EstimatorKind, latent: &str, seed: u64) -> TrainConfig {
    TrainConfig { seed, ..preset.run(kind, latent.parse().unwrap()).unwrap() }
}

/// Losses from 210 nats down to `end`, with a small perturbation that resembles noise.
pub fn curve(epochs: usize, end: f64, seed: u64) -> Vec<f64> {
    let loss = |epoch: usize| {
        let part = epoch as f64 / epochs as f64;
        let noise = 0.3 * (epoch as f64 * 1.7 + seed as f64).sin() * (1.0 - part);
        end + (212.0 - end) * (1.0 - part) * (-0.35 * (epoch as f64).sqrt()).exp() + noise
    };
    (1..=epochs).map(loss).collect()
}

/// Writes both files. The manifest also contains `missing`.
pub fn write(out: &Path, results: &[Result], missing: &[Result]) {
    let lines: String = results.iter().map(Result::line).collect();
    std::fs::write(out.join("results.jsonl"), lines).unwrap();
    let plans: String = results.iter().chain(missing).map(Result::plan).collect();
    std::fs::write(out.join("manifest.jsonl"), plans).unwrap();
}

const KINDS: [(EstimatorKind, f64); 7] = [
    (EstimatorKind::StraightThroughGumbelSoftmax, 127.5),
    (EstimatorKind::GumbelRao, 125.7),
    (EstimatorKind::StraightThrough, 136.2),
    (EstimatorKind::GappedStraightThrough, 128.4),
    (EstimatorKind::ReinMax, 125.0),
    (EstimatorKind::ReinMaxRao, 125.4),
    (EstimatorKind::ReinMaxCv, 127.4), // further from the published 124.94 than the spread explains
];

/// Runs for every part of a report: (results, planned runs that are missing).
pub fn everything() -> (Vec<Result>, Vec<Result>) {
    let (mut results, mut missing) = (Vec::new(), Vec::new());
    for (kind, end) in KINDS {
        for seed in 0..3 {
            let end = end + 0.5 * (seed as f64 - 1.0);
            let run = Result::new(MNIST, cell(Preset::AsRun, kind, "8x4", seed), &curve(160, end, seed));
            let to = if (kind, seed) == (EstimatorKind::ReinMaxCv, 2) { &mut missing } else { &mut results };
            to.push(run.evaluated());
        }
        let run =
            |preset, latent, end| Result::new(MNIST, cell(preset, kind, latent, 0), &curve(160, end, 0));
        results.push(run(Preset::AsRun, "4x24", end - 25.0));
        missing.push(run(Preset::AsRun, "64x8", end - 24.0));
        for seed in 0..2 {
            let end = end - 10.0 + seed as f64;
            results.push(Result::new(MNIST, cell(Preset::AsRun, kind, "8x16", seed), &curve(10, end, seed)));
        }
    }
    results.push(Result::new(
        MNIST,
        cell(Preset::Table4, EstimatorKind::ReinMaxCv, "4x24", 0),
        &curve(160, 100.1, 0),
    ));
    let rao = |seed| cell(Preset::AsRun, EstimatorKind::GumbelRao, "16x12", seed);
    results.push(Result::new(MNIST, rao(0), &curve(160, 102.0, 0)));
    let mut lost = curve(160, 102.0, 1);
    lost[148..].fill(140.2);
    results.push(Result::new(MNIST, rao(1), &lost));
    results.push(Result::new(MNIST, rao(2), &curve(160, 102.0, 2)[..30]).diverged_of(160));
    results.extend(variants());
    for seed in 0..2 {
        let config = cell(Preset::AsRun, EstimatorKind::ReinMax, "8x4", seed);
        results.push(Result::new(DIGITS, config, &curve(3, 90.0, seed)));
    }
    (results, missing)
}

/// Runs of the forms, of figure 2, of a grid, and others.
fn variants() -> Vec<Result> {
    let mut results = Vec::new();
    let base = |estimator, seed| TrainConfig { estimator, seed, ..TrainConfig::default() };
    let forms = [CvForm::AuthorCode, CvForm::Coupled, CvForm::Shared, CvForm::Printed];
    for (i, form) in forms.into_iter().enumerate() {
        for seed in 0..2 {
            let estimator = EstimatorConfig::ReinMaxCv { form, tau: 1.0, draws: 100, eta: 1.5 };
            let end = 138.0 + 7.0 * i as f64 + seed as f64;
            results.push(Result::new(MNIST, base(estimator, seed), &curve(10, end, seed)));
        }
    }
    for (i, form) in [Rk2Form::AuthorCode, Rk2Form::Projected, Rk2Form::Eq27].into_iter().enumerate() {
        for step in 0..8 {
            let beta = 0.3 + 0.05 * f64::from(step);
            let beta = (beta * 100.0).round() / 100.0;
            let end = if i == 0 && beta < 0.46 {
                214.4
            } else {
                133.0 + 4.0 * i as f64 + 30.0 * (beta - 0.55).abs()
            };
            for seed in 0..2 {
                let config = base(EstimatorConfig::ReinMaxRk2 { form, beta }, seed);
                results.push(Result::new(MNIST, config, &curve(50, end + seed as f64, seed)));
            }
        }
    }
    for (i, lr) in [1e-3, 7e-4, 5e-4, 3e-4].into_iter().enumerate() {
        for optimizer in [OptimizerKind::Adam, OptimizerKind::RAdam] {
            let config = TrainConfig {
                optimizer,
                lr,
                ..base(EstimatorConfig::ReinMaxRao { tau: 1.0, draws: 100 }, 0)
            };
            results.push(Result::new(MNIST, config, &curve(10, 140.0 - i as f64, 0)));
        }
    }
    for estimator in [
        EstimatorConfig::Reinforce { baseline: BaselineConfig::LeaveOneOut { samples: 4 } },
        EstimatorConfig::ReinMaxBlend { lambda: 0.5, tau: 1.3, rao_tau: 1.0, draws: 100 },
    ] {
        results.push(Result::new(MNIST, base(estimator, 0), &curve(10, 141.0, 0)));
    }
    results
}

/// Lines of `bias_variance.jsonl`, with one number that does not exist.
pub fn bias_variance() -> String {
    let mut lines = String::new();
    for (i, (kind, tau)) in
        [("reinmax", 1.0), ("reinmax-cv", 0.1), ("reinmax-rao", 1.0), ("st", 1.0), ("gumbel-rao", 1.0)]
            .into_iter()
            .enumerate()
    {
        for epoch in (0..=50).step_by(5) {
            let cv = kind == "reinmax-cv";
            let gap = kind == "st" && epoch == 20;
            let number = |x: f64| (!gap).then_some(x);
            let cosine = 0.85 - 0.09 * i as f64 - 0.001 * f64::from(epoch);
            let line = json!({
                "epoch": epoch, "estimator": kind, "form": cv.then_some("author-code"), "tau": tau,
                "eta": cv.then_some(1.0), "draws": 1024, "k": (cv || kind.ends_with("rao")).then_some(100),
                "batch": 100, "seed": 0, "precision": "f32",
                "cosine": number(cosine), "cosine_se": number(0.01),
                "relative_sd": number(7.0 / (1.0 + i as f64)), "relative_sd_se": number(0.2),
                "covariance_trace": number(1e-3 * (1.0 + i as f64)), "sd_norm": number(0.03),
                "mean_norm": number(0.02), "exact_norm": number(0.02),
                "bias_norm": number(0.01 * (1.0 + i as f64)), "seconds": 1.0,
            });
            lines += &format!("{line}\n");
        }
    }
    lines
}
