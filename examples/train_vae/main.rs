//! Trains the paper's discrete VAE, on MNIST or on the built-in digits.
//!
//! ```text
//! cargo run --release --example train_vae
//! cargo run --release --example train_vae -- --estimator stgs --tau 0.5 --lr 3e-4 --epochs 10 --out runs/stgs
//! ```
//!
//! Leaves `config.json`, `metrics.jsonl`, `curves.svg`, `checkpoint.bin` (and `checkpoint.prev.bin`, the one before it),
//! `reconstructions.png` and `samples.png` in `--out`, and with `--evaluate` also `evaluation.json`. The defaults
//! (ReinMax, 8×4, 20 epochs) take about a minute on two cores with MNIST and reach about 133 nats.
//!
//! A directory that holds a run is never begun anew: `--resume` goes on with it, and only with the same config and the same images.
//!
//! Exit status: 0 done; 1 the run failed (a number that is not finite, a full disk, damaged checkpoints); 2 wrong arguments, data
//! that cannot be used, or an `--out` that cannot be written, that holds another run or that another process writes into; 128 + N
//! stopped by signal N with all steps so far in the checkpoint: 130 by SIGINT, 143 by SIGTERM, and likewise by SIGHUP (unless it
//! was ignored from the start, as by `nohup`), SIGUSR1, SIGUSR2 and SIGXCPU. What is printed does not matter to it: a closed or full
//! standard output or error changes neither the results nor the status.

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
    /// Directory with the four files of MNIST, Fashion-MNIST or KMNIST, plain or .gz, or one of EMNIST's prefixes
    /// (emnist/emnist-letters) [without it: $MNIST_DIR, data/mnist]
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
    /// Scale the gradient of all parameters together down to this L2 norm where it is longer, > 0 [default: off]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// Epochs in all; a resumed run goes on to this number
    #[arg(long, value_name = "N", default_value_t = 20)]
    epochs: usize,
    /// Images to an update
    #[arg(long, value_name = "N", default_value_t = 100)]
    batch_size: usize,
    /// Determines the initial weights, the order of the images and every sample
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads; the results are the same bits for any number [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Directory for the results
    #[arg(long, value_name = "DIR", default_value = "runs/train_vae")]
    out: PathBuf,
    /// Save the checkpoint after every N steps too, not only after every epoch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_every: Option<u32>,
    /// At the end measure the loss with the parameters fixed, the importance-weighted bound and, where the codes can be
    /// enumerated, the exact likelihood, into evaluation.json; with --resume, of a finished run too
    #[arg(long)]
    evaluate: bool,
    /// Samples of each test image for the importance-weighted bound of --evaluate; 64 take some seconds with MNIST. 0: none
    #[arg(long, value_name = "S", default_value_t = 64, requires = "evaluate")]
    importance_samples: u32,
    /// Write the weights to FILE at the end, as PyTorch's nn.Linear has them (needs the feature `safetensors`)
    #[arg(long, value_name = "FILE")]
    export_weights: Option<PathBuf>,
    /// Sleep so long at every place where a checkpoint is half written: for tests that kill the program there
    #[arg(long, value_name = "MS", hide = true, default_value_t = 0)]
    slow_writes: u64,
    /// Go on from the checkpoint in --out; without it a directory that holds a run is refused
    #[arg(long)]
    resume: bool,
    /// Print the last summary only
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
            note!("nothing to resume in {}: starting at the beginning", args.out.display());
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

/// Whether weights can be written to this file at the end: better known before hours of training than after.
fn can_export(file: &Path) -> Result<(), RunError> {
    let wrong = |what: &str| Err(RunError::argument(format!("--export-weights {}: {what}", file.display())));
    if cfg!(not(feature = "safetensors")) {
        return wrong("this program was built without the feature `safetensors`");
    }
    if file.is_dir() {
        return wrong("it is a directory; expected a file");
    }
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    if !directory.is_none_or(Path::is_dir) {
        return wrong("there is no such directory to write it into");
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
