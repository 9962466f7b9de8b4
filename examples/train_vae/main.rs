//! Trains the paper's discrete VAE, on MNIST or on the built-in digits.
//!
//! ```text
//! cargo run --release --example train_vae
//! cargo run --release --example train_vae -- --estimator stgs --tau 0.5 --lr 3e-4 --epochs 10 --out runs/stgs
//! ```
//!
//! The program writes `config.json`, `metrics.jsonl`, `curves.svg`, `checkpoint.bin` (and `checkpoint.prev.bin`, the checkpoint
//! before it), `reconstructions.png` and `samples.png` to `--out`, and with `--evaluate` also `evaluation.json`. The defaults
//! (ReinMax, 8×4, 20 epochs) take about a minute on two cores with MNIST and reach about 133 nats.
//!
//! A directory that holds a run is never overwritten by a new run. `--resume` continues the run; it requires the config and the
//! images of the run.
//!
//! Exit status:
//!
//! - 0: the run is complete.
//! - 1: the run failed (a number that is not finite, a full disk, damaged checkpoints).
//! - 2: an argument is wrong, the data cannot be used, or `--out` cannot be written, holds another run, or is in use by another
//!   process.
//! - 128 + N: the run was stopped by signal N, and all steps so far are in the checkpoint: 130 by SIGINT, 143 by SIGTERM, and
//!   likewise by SIGHUP (unless it was ignored from the start, as by `nohup`), SIGUSR1, SIGUSR2 and SIGXCPU.
//!
//! A closed or full standard output or error changes neither the results nor the exit status.

#[path = "../lab/mod.rs"]
mod lab;

use clap::Parser;
use hardgrad::data::Dataset;
use hardgrad::train::{OptimizerKind, TrainConfig, Trainer};
use hardgrad::vae::{LatentShape, VaeConfig};
use lab::data::DatasetChoice;
use lab::error::RunError;
use lab::estimator::EstimatorArgs;
use lab::output::{note, tell};
use lab::progress::clock;
use lab::reporter::Reporter;
use lab::run::{Begun, End, Plan};
use lab::run_dir::{Intent, RunDir};
use lab::stop::Stop;
use lab::threads::with_threads;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Train the discrete VAE of "Beyond ReinMax" (Wang and Bui, 2026).
#[derive(Debug, Parser)]
struct Args {
    /// Data to train on
    #[arg(long, value_enum, default_value = "auto")]
    dataset: DatasetChoice,
    /// Directory with the four files of MNIST, Fashion-MNIST or KMNIST, uncompressed or .gz, or a directory with an
    /// EMNIST prefix (emnist/emnist-letters) [default: $MNIST_DIR, data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    estimator: EstimatorArgs,
    /// Temperature of the law that codes are drawn from, softmax(logits/F), with the divergence of that law; the gradient of the
    /// sample stays the estimator's, with its own temperature
    #[arg(long, value_name = "F", default_value_t = 1.0, allow_negative_numbers = true)]
    draw_tau: f64,
    /// Latent space: categories x variables
    #[arg(long, value_name = "CxL", default_value = "8x4")]
    latent: LatentShape,
    /// Optimiser: adam or radam [default: adam]
    #[arg(long)]
    optimizer: Option<OptimizerKind>,
    /// Learning rate, > 0 [default: 5e-4]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Largest L2 norm of the gradient of all parameters; a longer gradient is scaled down to it, > 0 [default: off]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// Total number of epochs, including those before a --resume
    #[arg(long, value_name = "N", default_value_t = 20)]
    epochs: usize,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 100)]
    batch_size: usize,
    /// Seed of the initial weights, the order of the images and every sample
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of threads; it does not change the results [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Directory for the results
    #[arg(long, value_name = "DIR", default_value = "runs/train_vae")]
    out: PathBuf,
    /// Save a checkpoint after every N steps, in addition to every epoch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_every: Option<u32>,
    /// Evaluate the final parameters and write evaluation.json: the loss with the parameters fixed, the importance-weighted
    /// bound and, where the codes can be enumerated, the exact likelihood; with --resume also for a finished run
    #[arg(long)]
    evaluate: bool,
    /// Samples per test image for the importance-weighted bound of --evaluate; 0 skips it. With MNIST, 64 take some seconds
    #[arg(long, value_name = "S", default_value_t = 64, requires = "evaluate")]
    importance_samples: u32,
    /// Write the final weights to FILE in the layout of PyTorch's nn.Linear (needs the feature `safetensors`)
    #[arg(long, value_name = "FILE")]
    export_weights: Option<PathBuf>,
    /// Milliseconds to sleep while a checkpoint is partly written; for tests that kill the program there
    #[arg(long, value_name = "MS", hide = true, default_value_t = 0)]
    slow_writes: u64,
    /// Continue from the checkpoint in --out; without this option, a directory that holds a run is an error
    #[arg(long)]
    resume: bool,
    /// Show test images above their reconstructions below the progress bar, drawn anew after each
    /// epoch; without effect where standard error is not a terminal, and with --quiet
    #[arg(long)]
    preview: bool,
    /// Print only the final summary
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if cfg!(debug_assertions) {
        note!(
            "note: this is a debug build, many times slower; use `cargo run --release --example train_vae`"
        );
    }
    lab::exit::status(with_threads(args.threads, || run(&args)).and_then(|done| done))
}

fn run(args: &Args) -> Result<End, RunError> {
    if let Some(file) = &args.export_weights {
        can_export(file)?;
    }
    let stop = Stop::watch()?;
    let data = lab::data::load(args.dataset, args.data.as_deref())?;
    let config = config(args, &data)?;
    let intent = if args.resume { Intent::Resume } else { Intent::New };
    let mut dir = RunDir::open(&args.out, &config, &data, args.epochs, intent)?;
    dir.slow_writes(Duration::from_millis(args.slow_writes));
    let (mut trainer, begun) = lab::run::begin(&mut dir, &config, &data)?;
    let before = trainer.history().len();
    match begun {
        Begun::Here if args.resume => {
            note!("there is no checkpoint in {}: starting a new run", args.out.display());
        }
        Begun::Earlier if !args.quiet => note!("resuming after {}", lab::run::place(&trainer)),
        _ => {}
    }
    if !args.quiet {
        note!(
            "{} on {} ({} training images), {} latent, {} parameters, writing to {}",
            args.estimator.estimator,
            data.name,
            data.train.len(),
            args.latent,
            trainer.params().flat().len(),
            args.out.display()
        );
    }
    let checkpoint_every = args.checkpoint_every.map(|n| n as usize);
    let report = Reporter::new(args.quiet, args.epochs, &trainer);
    let report = if args.preview { report.with_preview() } else { report };
    let plan = Plan { epochs: args.epochs, checkpoint_every, stop: &stop, report: &report };
    let start = Instant::now();
    let mut end = lab::run::train(&mut dir, &mut trainer, &data, &plan)?;
    if let End::Stopped(_) = end {
        note!("stopped by a signal after {}: saved in {}", lab::run::place(&trainer), args.out.display());
    } else {
        #[cfg(feature = "safetensors")]
        if let Some(file) = &args.export_weights {
            hardgrad::files::weights::save(trainer.params(), file)?;
        }
        summary(args, &trainer, &data, before, start.elapsed().as_secs_f64());
        if args.evaluate {
            end = lab::evaluation::run(
                &dir,
                &mut trainer,
                args.importance_samples as usize,
                &stop,
                args.quiet,
            )?;
        }
    }
    Ok(end)
}

/// Checks before training that the weights can be written to this file after it.
fn can_export(file: &Path) -> Result<(), RunError> {
    let wrong = |what: &str| Err(RunError::argument(format!("--export-weights {}: {what}", file.display())));
    if cfg!(not(feature = "safetensors")) {
        return wrong(
            "this program was built without the feature `safetensors`; build it with --features safetensors",
        );
    }
    if file.is_dir() {
        return wrong("it is a directory; expected a file");
    }
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    if !directory.is_none_or(Path::is_dir) {
        return wrong("its directory does not exist; expected a file in a directory that exists");
    }
    Ok(())
}

fn config(args: &Args, data: &Dataset) -> hardgrad::Result<TrainConfig> {
    if args.epochs == 0 {
        return Err(hardgrad::Error::argument("epochs", 0, "at least 1"));
    }
    let pixels = data.train.images().pixels_per_image();
    let preset = match args.estimator.preset {
        Some(preset) => Some(preset.run(args.estimator.estimator, args.latent)?),
        None => None,
    };
    TrainConfig {
        vae: VaeConfig { pixels, ..VaeConfig::paper(args.latent) },
        estimator: args.estimator.config(preset.map(|run| run.estimator))?,
        tau_schedule: args.estimator.tau_schedule,
        draw_tau: args.draw_tau,
        optimizer: args.optimizer.or(preset.map(|run| run.optimizer)).unwrap_or(OptimizerKind::Adam),
        lr: args.lr.or(preset.map(|run| run.lr)).unwrap_or(5e-4),
        clip_norm: args.clip_norm,
        batch_size: args.batch_size,
        seed: args.seed,
    }
    .validated()
}

fn summary(args: &Args, trainer: &Trainer<'_>, data: &Dataset, before: usize, seconds: f64) {
    let Some(last) = trainer.history().last() else { return };
    let epochs = trainer.history().len() - before.min(trainer.history().len());
    tell!(
        "{} epochs on {} ({} now, {}, {:.0} images/s)",
        last.epoch,
        data.name,
        epochs,
        clock(seconds),
        (epochs * data.train.len()) as f64 / seconds
    );
    for (name, l) in [("train", last.train), ("test ", last.test)] {
        tell!("{name} loss {:.2} nats = bce {:.2} + kl {:.2}", l.loss, l.bce, l.kl);
    }
    if let Some(best) = trainer.best().filter(|best| best.epoch != last.epoch) {
        tell!("lowest test loss {:.2} nats, after epoch {}", best.test.loss, best.epoch);
    }
    tell!(
        "in {}: config.json, metrics.jsonl, curves.svg, checkpoint.bin, reconstructions.png, samples.png",
        args.out.display()
    );
}
