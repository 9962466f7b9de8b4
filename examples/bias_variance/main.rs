//! Figure 1 and table 1 of the paper: bias and variance of every estimator over the checkpoints of
//! a VAE trained with ReinMax.
//!
//! ```text
//! cargo run --release --example bias_variance                       MNIST or the built-in digits, 8x4, 50 epochs: some minutes
//! cargo run --release --example bias_variance -- --seeds 3          of three training seeds
//! cargo run --release --example bias_variance -- --smoke            3x2, two epochs, and a check
//! ```
//!
//! It trains a run for each seed (`--out`/seed-0 and so on), and at each checkpoint compares
//! estimates of the gradient, from 1024 samples per image, with the exact gradient by enumeration
//! of all codes. The loss is the cross-entropy alone, averaged over the first 100 training images;
//! gradients are with respect to the encoder's logits. The exact gradient is computed in f64. The
//! estimates are computed in f32, as in training, and summed in f64: their rounding errors are
//! about 1e-6 of an estimate, and their noise is at least a tenth of it (`--f64` computes them in
//! f64 too).
//!
//! Where the codes cannot be enumerated (16x12, 64x8), the reference is a mean of samples of local
//! expectation, which is unbiased and has little variance. Its standard error is reported
//! (`reference_se`), and its noise is removed from the corrected cosine and the corrected norm of
//! the bias, like the noise of the estimator's mean. The standard error of a cosine contains only
//! the noise of the estimator.
//!
//! The program writes `bias_variance.jsonl`, with one line per estimator and checkpoint;
//! `cosine.svg` and `relative_sd.svg`, the paper's figure 1; `forms_cosine.svg` and
//! `forms_relative_sd.svg`, the forms of ReinMax-CV; and `table.md`. Except for wall times, the
//! numbers do not depend on `--threads`. Results of an earlier run in `--out` are kept, so a run
//! that was stopped is continued.
//!
//! The exit status is that of `train_vae`. A run in `--out` is continued without `--resume`.

#[path = "../lab/mod.rs"]
mod lab;
mod measure;
mod report;
mod train;

use clap::{Parser, ValueEnum};
use hardgrad::data::Dataset;
use hardgrad::estimators::{EstimatorConfig, EstimatorKind};
use hardgrad::stats::{Estimates, Summary};
use hardgrad::train::TrainConfig;
use hardgrad::vae::{LatentShape, VaeConfig};
use hardgrad::{Error, Mat, Scalar};
use indicatif::ProgressBar;
use lab::bias_variance::plan;
use lab::bias_variance::record::{self, Line, What};
use lab::data::DatasetChoice;
use lab::error::RunError;
use lab::numbers::{number, positive, whole};
use lab::output::{note, tell};
use lab::preset::Preset;
use lab::progress::{bar, bars_are_drawn};
use lab::run::End;
use lab::stop::Stop;
use lab::threads::with_threads;
use measure::{Point, Reference, Settings};
use report::Report;
use signal_hook::consts::SIGINT;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Bias and variance of the gradient estimators over the checkpoints of a VAE: figure 1 and table 1
/// of "Beyond ReinMax".
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Data to train on
    #[arg(long, value_enum, default_value = "auto")]
    dataset: DatasetChoice,
    /// Directory with the four files of MNIST or of a data set in its format [default: $MNIST_DIR, data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Latent space: categories x variables
    #[arg(long, value_name = "CxL", default_value = "8x4")]
    latent: LatentShape,
    /// Temperature of ReinMax in training, > 0; the published script uses 1, the runs of tables 2 and 3 use 1.3
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true, value_parser = number)]
    tau: f64,
    /// Number of epochs to train
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true, value_parser = whole::<usize>)]
    epochs: usize,
    /// Epochs between measurements; the first is before training
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true, value_parser = whole::<usize>)]
    every: usize,
    /// First training seed, which is also the seed of the samples
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = whole::<u64>)]
    seed: u64,
    /// Number of training seeds
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = positive::<u16>)]
    seeds: u16,
    /// Samples per image and estimator, a multiple of 64, at least 128; an estimate takes one, with
    /// leave-one-out four
    #[arg(long, value_name = "N", default_value_t = 1024, allow_negative_numbers = true, value_parser = whole::<usize>)]
    samples: usize,
    /// Number of training images in the fixed batch, from the first on
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, value_parser = whole::<usize>)]
    batch: usize,
    /// Number K of conditional draws of Gumbel-Rao terms
    #[arg(long, value_name = "K", default_value_t = 100, alias = "k", allow_negative_numbers = true, value_parser = whole::<usize>)]
    draws: usize,
    /// Reference for the biases: the exact gradient by enumeration of the codes, of which there may be at most 16384, or a mean
    /// of samples of local expectation, which takes L (C - 1) + 1 passes of the decoder per image and sample
    #[arg(long, value_enum, default_value = "auto")]
    reference: ReferenceChoice,
    /// Samples of local expectation per image: a multiple of 16, at least 32
    #[arg(long, value_name = "N", default_value_t = 256, allow_negative_numbers = true, value_parser = whole::<usize>)]
    reference_samples: usize,
    /// Compute the estimates in f64 instead of f32
    #[arg(long)]
    f64: bool,
    /// Number of threads; it does not change the results [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Directory for the results
    #[arg(long, value_name = "DIR", default_value = "runs/bias_variance")]
    out: PathBuf,
    /// Run with 3x2, two epochs and few samples, and check that unbiased estimators have no
    /// measured bias
    #[arg(long)]
    smoke: bool,
    /// Print only the final summary
    #[arg(long)]
    quiet: bool,
}

/// Gradient that the estimates are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReferenceChoice {
    /// The exact gradient if there are at most 16384 codes, otherwise local expectation
    Auto,
    /// The exact gradient
    Exact,
    /// Local expectation
    Local,
}

impl Args {
    /// Number of samples of local expectation for the reference. `None` for the exact gradient.
    fn local_samples(&self) -> Option<usize> {
        let local = match self.reference {
            ReferenceChoice::Auto => self.latent.codes().is_err(),
            ReferenceChoice::Exact => false,
            ReferenceChoice::Local => true,
        };
        local.then_some(self.reference_samples)
    }

    /// The estimators to measure: the exact gradient only where it can be computed, and local
    /// expectation only where it is not the reference, which has its standard deviation already.
    fn estimators(&self) -> Vec<EstimatorConfig> {
        let mut configs = plan::all(self.draws);
        configs.retain(|config| match config {
            EstimatorConfig::Exact => self.latent.codes().is_ok(),
            EstimatorConfig::LocalExpectation => self.local_samples().is_none(),
            _ => true,
        });
        configs
    }
}

/// Schedule of the checkpoints that are kept.
#[derive(Clone, Copy)]
struct Schedule {
    epochs: usize,
    every: usize,
    quiet: bool,
}

impl Schedule {
    /// Epochs after which a checkpoint is kept.
    fn kept(&self) -> impl Iterator<Item = usize> + use<> {
        (self.every..=self.epochs).step_by(self.every)
    }
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    if cfg!(debug_assertions) {
        note!("note: this is a debug build, many times slower; use `cargo run --release --example …`");
    }
    if args.smoke {
        let latent = LatentShape { categories: 3, variables: 2 };
        args = Args { latent, epochs: 2, every: 1, samples: 256, batch: 20, draws: 10, ..args };
    }
    lab::exit::status(with_threads(args.threads, || run(&args)).and_then(|done| done))
}

fn run(args: &Args) -> Result<End, RunError> {
    let stop = Stop::watch()?;
    let data = lab::data::load(args.dataset, args.data.as_deref())?;
    let base = config(args, &data)?;
    let schedule = Schedule { epochs: args.epochs, every: args.every, quiet: args.quiet };
    let mut lines = Vec::new();
    for seed in (0..u64::from(args.seeds)).map(|k| args.seed.wrapping_add(k)) {
        let config = TrainConfig { seed, ..base.clone() };
        let dir = args.out.join(format!("seed-{seed}"));
        if let End::Stopped(signal) = train::checkpoints(&dir, &config, &data, &schedule, &stop)? {
            return Ok(End::Stopped(signal));
        }
        for epoch in std::iter::once(0).chain(schedule.kept()) {
            match checkpoint(args, &data, &config, &dir, epoch, &stop)? {
                Ok(found) => lines.extend(found),
                Err(signal) => return Ok(End::Stopped(signal)),
            }
        }
    }
    record::save(&lines, &args.out.join("bias_variance.jsonl"))?;
    let report = Report {
        lines: &lines,
        run: format!(
            "{} latent on {}, checkpoints of a ReinMax run at τ {}",
            args.latent, data.name, args.tau
        ),
        draws: args.draws,
    };
    report.save(&args.out)?;
    if args.smoke {
        check(&lines)?;
    }
    tell!("in {}: bias_variance.jsonl, {}", args.out.display(), report::FILES.join(", "));
    Ok(End::Done)
}

/// Config of the run: ReinMax with the optimiser and learning rate of the tables, or those of 8x4
/// for latent spaces that the tables do not have.
fn config(args: &Args, data: &Dataset) -> hardgrad::Result<TrainConfig> {
    match args.local_samples() {
        None => drop(args.latent.codes()?),
        Some(samples) if samples < 32 || !samples.is_multiple_of(16) => {
            return Err(Error::argument("reference_samples", samples, "a multiple of 16, at least 32"));
        }
        Some(_) => {}
    }
    let at_least_one = |name, value| match value {
        0 => Err(Error::argument(name, 0, "at least 1")),
        _ => Ok(()),
    };
    at_least_one("epochs", args.epochs)?;
    at_least_one("every", args.every)?;
    at_least_one("batch", args.batch)?;
    // Estimators with several samples per estimate need enough estimates for the standard errors,
    // too.
    let samples = plan::all(args.draws).iter().map(|config| config.samples()).max().unwrap_or(1);
    let step = Estimates::GROUPS * samples;
    if args.samples < 2 * step || !args.samples.is_multiple_of(step) {
        let expected = format!(
            "a multiple of {step} from {} on: each of {} groups holds at least two estimates, and an estimate by leave-one-out takes \
             {samples} samples",
            2 * step,
            Estimates::GROUPS
        );
        return Err(Error::argument("samples", args.samples, expected));
    }
    if args.batch > data.train.len() {
        let expected = format!("at most {}, the number of training images", data.train.len());
        return Err(Error::argument("batch", args.batch, expected));
    }
    for config in args.estimators() {
        config.build::<f32>()?;
    }
    let pixels = data.train.images().pixels_per_image();
    let mut config = TrainConfig {
        vae: VaeConfig { pixels, ..VaeConfig::paper(args.latent) },
        estimator: EstimatorConfig::ReinMax { tau: args.tau },
        ..TrainConfig::default()
    };
    if let Ok(run) = Preset::AsRun.run(EstimatorKind::ReinMax, args.latent) {
        (config.optimizer, config.lr) = (run.optimizer, run.lr);
    }
    config.validated()
}

/// The lines of one checkpoint: those of an earlier run, or new ones. The inner error is a signal
/// that arrived during the measurement.
fn checkpoint(
    args: &Args,
    data: &Dataset,
    config: &TrainConfig,
    dir: &Path,
    epoch: usize,
    stop: &Stop,
) -> Result<Result<Vec<Line>, i32>, RunError> {
    let configs = args.estimators();
    let what = |config_of: &EstimatorConfig| What {
        epoch,
        estimates: args.samples / config_of.samples(),
        batch: args.batch,
        seed: config.seed,
        precision: if args.f64 { "f64" } else { "f32" }.into(),
        reference_samples: args.local_samples(),
        ..What::of(*config_of)
    };
    let whats: Vec<What> = configs.iter().map(what).collect();
    let file = dir.join(format!("epoch-{epoch:03}.jsonl"));
    if let Some(lines) = record::load(&file, &whats) {
        return Ok(Ok(lines));
    }
    let start = Instant::now();
    let mut images = Mat::zeros(args.batch, config.vae.pixels);
    let indices: Vec<u32> = (0..args.batch as u32).collect();
    data.train.images().fill(&indices, images.as_mut_slice());
    let point = Point::new(&config.vae, &train::params(dir, epoch, config, data)?, images);
    let settings = Settings { samples: args.samples, seed: config.seed, epoch };
    let bar = if !args.quiet && bars_are_drawn() {
        let template = "{msg}: measuring {bar:32} {pos} %  {eta} left";
        bar(100, template).with_message(format!("seed {}, epoch {epoch}", config.seed))
    } else {
        ProgressBar::hidden()
    };
    let mut tick = |part: f64| {
        bar.set_position((100.0 * part) as u64);
        stop.signal().is_none()
    };
    let exact = args.local_samples().is_none().then(|| point.exact());
    let found = if args.f64 {
        compare(&point, exact, args, &settings, &mut tick)?
    } else {
        compare(&point.to::<f32>(), exact, args, &settings, &mut tick)?
    };
    bar.finish_and_clear();
    let Some((found, reference_se)) = found else { return Ok(Err(stop.signal().unwrap_or(SIGINT))) };
    let lines: Vec<Line> = whats
        .into_iter()
        .zip(found)
        .map(|(what, (found, seconds))| Line { reference_se, ..Line::new(what, &found, seconds) })
        .collect();
    record::save(&lines, &file)?;
    if !args.quiet {
        note!(
            "seed {}, epoch {epoch}: {} estimators measured, {:.1} s",
            config.seed,
            lines.len(),
            start.elapsed().as_secs_f64()
        );
    }
    Ok(Ok(lines))
}

/// The statistics and wall times of all estimators, with the standard error of the reference.
/// `None` if `tick` returns false.
type Compared = Option<(Vec<(Summary, f64)>, Option<f64>)>;

/// Measures all estimators against the exact gradient, or against local expectation if there is
/// none.
fn compare<T: Scalar>(
    point: &Point<T>,
    exact: Option<Vec<f64>>,
    args: &Args,
    settings: &Settings,
    tick: &mut dyn FnMut(f64) -> bool,
) -> Result<Compared, RunError> {
    let reference = match (exact, args.local_samples()) {
        (None, Some(samples)) => measure::reference(point, samples, settings, &mut |part| tick(part / 2.0)),
        (exact, _) => exact.map(|gradient| Reference { gradient, standard_error: None }),
    };
    let Some(reference) = reference else { return Ok(None) };
    let found = measure::measure(point, &reference, &args.estimators(), settings, tick)?;
    Ok(found.map(|found| (found, reference.standard_error)))
}

/// Checks the cosines of estimators without bias: that of the exact gradient is 1, and before
/// training, when gradients are large, those of the others are 1 within five standard errors.
fn check(lines: &[Line]) -> Result<(), RunError> {
    for line in lines {
        let far = match line.what.estimator.as_str() {
            "exact" if line.reference_se.is_some() => continue,
            "exact" => 1e-6, // f32 against f64
            "reinforce" | "rebar" | "double-control-variate" | "local-expectation"
                if line.what.epoch == 0 =>
            {
                5.0 * line.cosine_se.unwrap_or(0.0)
            }
            _ => continue,
        };
        let found = line.cosine_corrected;
        if !found.is_some_and(|cosine| (cosine - 1.0).abs() <= far) {
            let (epoch, label) = (line.what.epoch, line.what.label());
            let message =
                format!("epoch {epoch}: the cosine of {label} is {found:?}, expected 1 within {far:.1e}");
            return Err(RunError::machine(message));
        }
    }
    Ok(())
}
