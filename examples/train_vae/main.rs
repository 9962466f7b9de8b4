//! Trains the paper's discrete VAE, on MNIST or on the built-in digits.
//!
//! ```text
//! cargo run --release --example train_vae
//! cargo run --release --example train_vae -- --estimator stgs --tau 0.5 --lr 3e-4 --epochs 10 --out runs/stgs
//! ```
//!
//! The program writes `config.json`, `metrics.jsonl`, `curves.svg`, `checkpoint.bin` (and
//! `checkpoint.prev.bin`, the checkpoint before it), `reconstructions.png` and `samples.png` to
//! `--out`, and with `--evaluate` also `evaluation.json`. The defaults (ReinMax, 8×4, 20 epochs)
//! take about a minute on two cores with MNIST and reach about 133 nats.
//!
//! A directory that holds a run is never overwritten by a new run. `--resume` continues the run; it
//! requires the config and the images of the run.
//!
//! Exit status:
//!
//! - 0: the run is complete.
//! - 1: the run failed (a number that is not finite, a full disk, damaged checkpoints).
//! - 2: an argument is wrong, the data cannot be used, or `--out` cannot be written, holds another run, or is in use by another
//!   process.
//! - 128 + N: the run was stopped by signal N, and all steps so far are in the checkpoint: 130 by SIGINT, 143 by SIGTERM, and
//!   likewise by SIGHUP (unless it was ignored from the start, as by `nohup`), SIGUSR1, SIGUSR2 and
//!   SIGXCPU.
//!
//! A closed or full standard output or error changes neither the results nor the exit status.

#[path = "../lab/mod.rs"]
mod lab;

use clap::Parser;
use hardgrad::data::Dataset;
use hardgrad::nn::Activation;
use hardgrad::optim::LrSchedule;
use hardgrad::train::{OptimizerKind, TrainConfig, Trainer};
use hardgrad::vae::{LatentShape, VaeConfig};
use lab::data::DatasetChoice;
use lab::error::RunError;
use lab::estimator::EstimatorArgs;
use lab::numbers::{number, positive, whole};
use lab::output::{note, tell};
use lab::preset::Preset;
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
#[command(name = "train_vae")] // printed with errors of the hyper-parameters
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
    /// Temperature F of the distribution softmax(logits/F) from which codes are drawn, with the
    /// divergence of that distribution; it does not change the temperature of the estimator
    #[arg(long, value_name = "F", default_value_t = 1.0, allow_negative_numbers = true, value_parser = number)]
    draw_tau: f64,
    /// Latent space: categories x variables
    #[arg(long, value_name = "CxL", default_value = "8x4")]
    latent: LatentShape,
    /// Activation between the layers: relu, or leaky-relu:SLOPE with a slope from 0 to 1 [default: relu]
    #[arg(long, value_name = "NAME")]
    activation: Option<Activation>,
    /// Optimiser: adam, adamw or radam [default: adam]
    #[arg(long)]
    optimizer: Option<OptimizerKind>,
    /// Weight decay of --optimizer adamw, >= 0 [default: 0.01]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = number)]
    weight_decay: Option<f64>,
    /// Learning rate, > 0; with --lr-schedule, the highest [default: 5e-4]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = number)]
    lr: Option<f64>,
    /// Change the learning rate from epoch to epoch: a linear rise over WARM_UP epochs from START times --lr to --lr, then a
    /// cosine that reaches MIN after TOTAL epochs; by default, WARM_UP is 0, START 0.001 and MIN 0
    #[arg(long, value_name = "cosine:TOTAL[:WARM_UP[:START[:MIN]]]")]
    lr_schedule: Option<LrSchedule>,
    /// Largest L2 norm of the gradient of all parameters; a longer gradient is scaled down to it, > 0 [default: off]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = number)]
    clip_norm: Option<f64>,
    /// Total number of epochs, including those before a --resume [default: 20; 500 with --preset mve-table]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    epochs: Option<usize>,
    /// Images per step [default: 100; 200 with --preset mve-table]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    batch_size: Option<usize>,
    /// Seed of the initial weights, the order of the images and every sample
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = whole::<u64>)]
    seed: u64,
    /// Number of threads; it does not change the results [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Directory for the results
    #[arg(long, value_name = "DIR", default_value = "runs/train_vae")]
    out: PathBuf,
    /// Save a checkpoint after every N steps, in addition to every epoch
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = positive::<u32>)]
    checkpoint_every: Option<u32>,
    /// Evaluate the final parameters and write evaluation.json: the loss with the parameters fixed, with sampled and with
    /// argmax codes, the importance-weighted bound and, where the codes can be enumerated, the exact likelihood; with --resume also for a
    /// finished run
    #[arg(long)]
    evaluate: bool,
    /// Samples per test image for the importance-weighted bound of --evaluate; 0 skips it. With MNIST, 64 take some seconds
    #[arg(long, value_name = "S", default_value_t = 64, requires = "evaluate", allow_negative_numbers = true, value_parser = whole::<u32>)]
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

impl Args {
    /// Total number of epochs. The schedules of the preset mve-table extend over its published
    /// number.
    fn epochs(&self) -> usize {
        self.epochs.unwrap_or(match self.estimator.preset {
            Some(preset @ Preset::MveTable) => preset.epochs(),
            _ => 20,
        })
    }
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
    let mut dir = RunDir::open(&args.out, &config, &data, args.epochs(), intent)?;
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
    let report = Reporter::new(args.quiet, args.epochs(), &trainer);
    let report = if args.preview { report.with_preview() } else { report };
    let plan = Plan { epochs: args.epochs(), checkpoint_every, stop: &stop, report: &report };
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
    if file.is_dir() {
        return wrong("it is a directory; expected a file");
    }
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    if !directory.is_none_or(Path::is_dir) {
        return wrong("its directory does not exist; expected a file in a directory that exists");
    }
    if cfg!(not(feature = "safetensors")) {
        return wrong(
            "this program was built without the feature `safetensors`; build it with --features safetensors",
        );
    }
    Ok(())
}

/// The config: the options, over the preset, over the defaults.
fn config(args: &Args, data: &Dataset) -> hardgrad::Result<TrainConfig> {
    if args.epochs() == 0 {
        return Err(hardgrad::Error::argument("epochs", 0, "at least 1"));
    }
    let pixels = data.train.images().pixels_per_image();
    let preset = match args.estimator.preset {
        Some(preset) => Some(preset.run_of(args.estimator.estimator, args.latent, args.epochs())?),
        None => None,
    };
    let estimator = args.estimator.config(preset.as_ref().map(|run| run.estimator))?;
    let base = preset.unwrap_or_default();
    let activation = args.activation.unwrap_or(base.vae.activation);
    TrainConfig {
        vae: VaeConfig { pixels, activation, ..VaeConfig::paper(args.latent) },
        estimator,
        tau_schedule: args.estimator.tau_schedule.or(base.tau_schedule),
        draw_tau: args.draw_tau,
        optimizer: args.optimizer.unwrap_or(base.optimizer),
        weight_decay: args.weight_decay.unwrap_or(base.weight_decay),
        lr: args.lr.unwrap_or(base.lr),
        lr_schedule: args.lr_schedule.or(base.lr_schedule),
        clip_norm: args.clip_norm,
        batch_size: args.batch_size.unwrap_or(base.batch_size),
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
    if let Some(usage) = &last.usage {
        let categories = args.latent.categories;
        let perplexities: Vec<_> = usage.perplexity.iter().map(|p| format!("{p:.1}")).collect();
        let used: Vec<_> = usage.used.iter().map(u32::to_string).collect();
        let (mean, least) = (usage.mean(), usage.least());
        tell!(
            "test codes: perplexity {} of {categories} (mean {mean:.1}, least {least:.1})",
            perplexities.join(" ")
        );
        tell!("test codes: categories used {} of {categories}", used.join(" "));
    }
    if let Some(best) = trainer.best().filter(|best| best.epoch != last.epoch) {
        tell!("lowest test loss {:.2} nats, after epoch {}", best.test.loss, best.epoch);
    }
    tell!(
        "in {}: config.json, metrics.jsonl, curves.svg, checkpoint.bin, reconstructions.png, samples.png",
        args.out.display()
    );
}
