//! The runs of each experiment.

use crate::lab::error::RunError;
use crate::lab::numbers::positive;
use crate::lab::preset::{MVE_LATENTS, Preset, TABLE_LATENTS};
use crate::manifest::Run;
use crate::method::Method;
use clap::{Args, ValueEnum};
use hardgrad::Error;
use hardgrad::data::Dataset;
use hardgrad::data::DatasetId;
use hardgrad::estimators::{CvForm, EstimatorConfig, EstimatorKind, Rk2Form};
use hardgrad::train::{Advance, OptimizerKind, TrainConfig, Trainer};
use hardgrad::vae::{LatentShape, VaeConfig};
use std::str::FromStr;
use std::time::Instant;

/// The experiments: the paper's, and others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Experiment {
    /// Tables 2 and 3: seven methods, six latent spaces, 160 epochs, 10 seeds
    Tables,
    /// Appendix B: optimisers, learning rates and temperatures of ReinMax-Rao; temperatures and eta of ReinMax-CV
    Grid,
    /// Figure 2: ReinMax-RK2 for beta from -0.2 to 1.2, in its three forms; 50 epochs, 5 seeds
    Beta,
    /// The four forms of ReinMax-CV, which the paper does not compare; 160 epochs, 10 seeds
    Forms,
    /// Any estimators, with ReinMax's optimiser and learning rate if the tables lack them: by default mve with lambda 5, 10,
    /// 20, and from 1 to 1000 over the run; 160 epochs, 10 seeds
    Field,
    /// The table of the paper on MVE: mve, reinmax with two temperatures, st and gumbel-rao, each with five learning rates; three
    /// latent spaces, 500 epochs, 5 seeds
    MveTable,
}

/// The seven methods of tables 2 and 3, in their order.
pub const TABLE_METHODS: [EstimatorKind; 7] = [
    EstimatorKind::StraightThroughGumbelSoftmax,
    EstimatorKind::GumbelRao,
    EstimatorKind::StraightThrough,
    EstimatorKind::GappedStraightThrough,
    EstimatorKind::ReinMax,
    EstimatorKind::ReinMaxRao,
    EstimatorKind::ReinMaxCv,
];

/// Appendix B.
const GRID_OPTIMIZERS: [OptimizerKind; 2] = [OptimizerKind::Adam, OptimizerKind::RAdam];
const GRID_LR: [f64; 4] = [0.001, 0.0007, 0.0005, 0.0003];
const GRID_TAU: [f64; 10] = [0.1, 0.3, 0.5, 0.7, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5];
const GRID_ETA: [f64; 7] = [0.1, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0];

/// The learning rates of [`Experiment::MveTable`]. The publication selected the best from 1e-4 to
/// 1e-2. The values in between are our choice.
const MVE_LR: [f64; 5] = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2];

/// Figure 2: −0.2 to 1.2 in steps of 0.05.
fn figure_betas() -> Vec<f64> {
    // Computed from whole hundredths, so that each value is rounded once.
    (-20..=120).step_by(5).map(|hundredths| f64::from(hundredths) / 100.0).collect()
}

/// Selection of the runs of an experiment.
#[derive(Clone, Debug, Args)]
pub struct Selection {
    /// Estimators; for tables, field and mve-table also with options that differ from the preset: a hyper-parameter or any key
    /// of the config, such as mve:lambda=10, reinmax:lr=0.001 or mve:lambda=1:tau_schedule=exponential:1000:160 [default: all
    /// estimators of the experiment]
    #[arg(long, value_name = "NAME[:KEY=VALUE]..,..", value_delimiter = ',')]
    methods: Option<Vec<Method>>,
    /// Latent spaces [default: the six of the tables; 8x4 for beta; 4x128, 16x32 and 64x8 for mve-table]
    #[arg(long, value_name = "CxL,..", value_delimiter = ',')]
    configs: Option<Vec<LatentShape>>,
    /// Values of beta [default: those of figure 2]
    #[arg(long, value_name = "F,..", value_delimiter = ',', allow_hyphen_values = true, value_parser = beta)]
    betas: Option<Vec<f64>>,
    /// Seeds: 0 to N-1, or A to B-1 [default: the paper's number]
    #[arg(long, value_name = "N|A..B")]
    seeds: Option<Seeds>,
    /// Epochs [default: the paper's number]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = positive::<u32>)]
    epochs: Option<u32>,
    /// Hyper-parameters [default: as-run, or mve-table for the experiment of this name]
    #[arg(long, value_enum)]
    preset: Option<Preset>,
}

/// A non-empty range of seeds.
#[derive(Clone, Debug)]
struct Seeds(std::ops::Range<u64>);

impl FromStr for Seeds {
    type Err = hardgrad::Error;

    fn from_str(text: &str) -> hardgrad::Result<Self> {
        let range = match text.split_once("..") {
            Some((from, to)) => from.parse().ok().zip(to.parse().ok()).map(|(from, to)| from..to),
            None => text.parse().ok().map(|count| 0..count),
        };
        let range = range.filter(|range| !range.is_empty() && range.end - range.start <= 1000);
        let expected = "N or A..B, with 1 to 1000 seeds, such as 10 or 3..6";
        range.map(Self).ok_or_else(|| hardgrad::Error::argument("seeds", text, expected))
    }
}

impl Experiment {
    /// Number of epochs and of seeds, as published.
    fn size(self) -> (usize, u64) {
        match self {
            Self::Beta => (50, 5),
            Self::Tables | Self::Grid | Self::Forms | Self::Field => (160, 10),
            Self::MveTable => (Preset::MveTable.epochs(), 5),
        }
    }
}

fn beta(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|beta: &f64| beta.is_finite());
    number.ok_or_else(|| "expected finite numbers, separated by commas".into())
}

/// The experiment's runs.
pub fn runs(
    experiment: Experiment,
    selection: &Selection,
    dataset: &DatasetId,
    pixels: usize,
) -> Result<Vec<Run>, RunError> {
    let (epochs, seeds) = experiment.size();
    let epochs = selection.epochs.map_or(epochs, |n| n as usize);
    let mut runs = Vec::new();
    for seed in selection.seeds.clone().map_or(0..seeds, |Seeds(range)| range) {
        for &latent in &latents(experiment, selection)? {
            for config in configs(experiment, selection, latent, epochs)? {
                let vae = VaeConfig { pixels, ..config.vae.clone() };
                let config = TrainConfig { vae, seed, ..config }.validated()?;
                runs.push(Run::new(config, dataset.clone(), epochs));
            }
        }
    }
    Ok(runs)
}

fn latents(experiment: Experiment, selection: &Selection) -> hardgrad::Result<Vec<LatentShape>> {
    match (&selection.configs, experiment) {
        (Some(chosen), _) => Ok(chosen.clone()),
        (None, Experiment::Beta) => Ok(vec![LatentShape::default()]),
        (None, Experiment::MveTable) => MVE_LATENTS.iter().map(|name| name.parse()).collect(),
        (None, _) => TABLE_LATENTS.iter().map(|name| name.parse()).collect(),
    }
}

/// The experiment's configs for one latent space, with seed 0.
fn configs(
    experiment: Experiment,
    selection: &Selection,
    latent: LatentShape,
    epochs: usize,
) -> Result<Vec<TrainConfig>, RunError> {
    let preset = selection.preset.unwrap_or(match experiment {
        Experiment::MveTable => Preset::MveTable,
        _ => Preset::AsRun,
    });
    if (experiment == Experiment::MveTable) != (preset == Preset::MveTable) {
        let message = match preset {
            Preset::MveTable => {
                "--preset: got mve-table, which only the experiment mve-table takes, expected table4 or as-run"
            }
            _ => "--preset: expected mve-table, the only preset of the experiment mve-table",
        };
        return Err(RunError::argument(message));
    }
    let of = |kind| -> Result<TrainConfig, RunError> {
        // The option for latent spaces is another one than train_vae's.
        Ok(preset.run_of(kind, latent, epochs).map_err(|e| match e {
            Error::Argument { name: "latent", value, expected } => {
                Error::argument("configs", value, expected)
            }
            other => other,
        })?)
    };
    let mut configs = Vec::new();
    match experiment {
        Experiment::Tables => {
            for method in changed_methods(selection, &TABLE_METHODS)? {
                configs.push(method.apply(&of(method.kind)?)?);
            }
        }
        Experiment::Field => {
            for method in selection.methods.clone().unwrap_or(field_methods(epochs)?) {
                let estimator = method.kind.default_config();
                let beside = || of(EstimatorKind::ReinMax).map(|run| TrainConfig { estimator, ..run });
                configs.push(method.apply(&of(method.kind).or_else(|_| beside())?)?);
            }
        }
        Experiment::MveTable => {
            for method in selection.methods.clone().unwrap_or(mve_methods()?) {
                let config = method.apply(&of(method.kind)?)?;
                match method.changes("lr") {
                    true => configs.push(config),
                    false => configs.extend(MVE_LR.map(|lr| TrainConfig { lr, ..config.clone() })),
                }
            }
        }
        Experiment::Grid => {
            for kind in methods(selection, &[EstimatorKind::ReinMaxRao, EstimatorKind::ReinMaxCv])? {
                // The appendix keeps ReinMax's optimiser and learning rate for ReinMax-CV.
                let (rao, cv) = (of(kind)?, of(EstimatorKind::ReinMax)?);
                configs.extend(if kind == EstimatorKind::ReinMaxRao { grid_rao(&rao) } else { grid_cv(&cv) });
            }
        }
        Experiment::Beta => {
            methods(selection, &[EstimatorKind::ReinMaxRk2])?;
            let base = of(EstimatorKind::ReinMax)?;
            for beta in selection.betas.clone().unwrap_or_else(figure_betas) {
                for form in [Rk2Form::Eq27, Rk2Form::AuthorCode, Rk2Form::Projected] {
                    let estimator = EstimatorConfig::ReinMaxRk2 { form, beta };
                    configs.push(TrainConfig { estimator, ..base.clone() });
                }
            }
        }
        Experiment::Forms => {
            methods(selection, &[EstimatorKind::ReinMaxCv])?;
            for form in [CvForm::Shared, CvForm::Printed, CvForm::Coupled, CvForm::AuthorCode] {
                let mut config = of(EstimatorKind::ReinMaxCv)?;
                if let EstimatorConfig::ReinMaxCv { form: f, .. } = &mut config.estimator {
                    *f = form;
                }
                configs.push(config);
            }
        }
    }
    Ok(configs)
}

fn grid_rao(base: &TrainConfig) -> Vec<TrainConfig> {
    let mut configs = Vec::new();
    for optimizer in GRID_OPTIMIZERS {
        for lr in GRID_LR {
            for tau in GRID_TAU {
                let mut config = TrainConfig { optimizer, lr, ..base.clone() };
                if let Some(t) = config.estimator.tau_mut() {
                    *t = tau;
                }
                configs.push(config);
            }
        }
    }
    configs
}

fn grid_cv(base: &TrainConfig) -> Vec<TrainConfig> {
    let mut configs = Vec::new();
    for tau in GRID_TAU {
        for eta in GRID_ETA {
            let form = CvForm::AuthorCode;
            let estimator = EstimatorConfig::ReinMaxCv { form, tau, draws: 100, eta };
            configs.push(TrainConfig { estimator, ..base.clone() });
        }
    }
    configs
}

/// MVE at constant λ, and with λ from 1 to 1000 over the run.
fn field_methods(epochs: usize) -> hardgrad::Result<Vec<Method>> {
    let schedule = format!("mve:lambda=1:tau_schedule=exponential:1000:{epochs}");
    ["mve:lambda=5", "mve:lambda=10", "mve:lambda=20", &schedule].iter().map(|text| text.parse()).collect()
}

/// The rows of the table in the paper on MVE whose estimators this crate has.
fn mve_methods() -> hardgrad::Result<Vec<Method>> {
    ["mve", "reinmax", "reinmax:tau=1.2", "st", "gumbel-rao"].iter().map(|text| text.parse()).collect()
}

/// The selected methods; a method that the experiment lacks is an error.
fn changed_methods(selection: &Selection, all: &[EstimatorKind]) -> Result<Vec<Method>, RunError> {
    let Some(chosen) = &selection.methods else { return Ok(all.iter().map(|&kind| kind.into()).collect()) };
    match chosen.iter().find(|method| !all.contains(&method.kind)) {
        None => Ok(chosen.clone()),
        Some(method) => {
            let names: Vec<_> = all.iter().map(|kind| kind.name()).collect();
            let message = format!(
                "--methods: got {}, expected estimators of this experiment: {}",
                method.kind,
                names.join(", ")
            );
            Err(RunError::argument(message))
        }
    }
}

/// The selected methods of an experiment that determines all options of its runs.
fn methods(selection: &Selection, all: &[EstimatorKind]) -> Result<Vec<EstimatorKind>, RunError> {
    let chosen = changed_methods(selection, all)?;
    if let Some(method) = chosen.iter().find(|method| method.is_changed()) {
        let message = format!(
            "--methods: got {method}, expected {} alone: this experiment determines the options of its runs",
            method.kind
        );
        return Err(RunError::argument(message));
    }
    Ok(chosen.iter().map(|method| method.kind).collect())
}

/// Seconds that these runs take on one thread, one after the other, measured with some steps of
/// each kind of run.
pub fn estimate(runs: &[Run], data: &Dataset) -> Result<f64, RunError> {
    let mut measured: Vec<(TrainConfig, f64)> = Vec::new();
    let mut total = 0.0;
    for run in runs {
        // The seed and the learning rate do not change the time.
        let kind = TrainConfig { seed: 0, lr: 5e-4, ..run.config.clone() };
        let seconds = match measured.iter().find(|(held, _)| *held == kind) {
            Some(&(_, seconds)) => seconds,
            None => {
                let seconds = seconds_of_an_epoch(&kind, data)?;
                measured.push((kind, seconds));
                seconds
            }
        };
        total += seconds * run.epochs as f64;
    }
    Ok(total)
}

/// Measured seconds of an epoch: from `STEPS` steps, or from whole epochs where an epoch is one
/// step.
fn seconds_of_an_epoch(config: &TrainConfig, data: &Dataset) -> Result<f64, RunError> {
    const WARM_UP: usize = 5;
    const STEPS: usize = 20;
    /// Time of a test batch as part of a training step: it has a forward pass only.
    const TEST_PASS: f64 = 1.0 / 3.0;

    let mut trainer = Trainer::new(config.clone(), data)?;
    let (mut steps, mut epochs) = (Vec::with_capacity(STEPS), Vec::new());
    for step in 0..WARM_UP + STEPS {
        let start = Instant::now();
        let advance = trainer.advance()?;
        let times = if let Advance::Step(_) = advance { &mut steps } else { &mut epochs };
        if step >= WARM_UP {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    };
    let batches = |images: usize| images as f64 / config.batch_size as f64;
    let in_steps = batches(data.train.len()) + TEST_PASS * batches(data.test.len());
    Ok(match median(&mut steps) {
        Some(seconds) => seconds * in_steps,
        None => median(&mut epochs).unwrap_or(0.0),
    })
}
