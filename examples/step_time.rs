//! Time of one training step of the paper's VAE: forward pass, backward pass and optimiser, with a
//! new batch in each step.
//!
//! ```text
//! cargo run --release --example step_time -- --threads 2 --latent 8x4 --estimator reinmax
//! ```
//!
//! The program prints one line of JSON: the median, the tenth and the ninetieth percentile of the
//! wall times of the steps in milliseconds; the floating-point operations of the matrix products,
//! in billions per step and per second; and the number of allocations per step, which is 0.
//!
//! It uses MNIST if its files are found, otherwise the built-in digits.
//!
//! Exit status: 0 if done; 1 if the measurement failed or its result could not be written; 2 for
//! wrong arguments or data; 141 if the reader of standard output has closed the pipe.

#[path = "lab/mod.rs"]
mod lab;

use clap::Parser;
use hardgrad::data::{Dataset, Images, Split};
use hardgrad::train::{OptimizerKind, TrainConfig, Trainer};
use hardgrad::vae::{LatentShape, VaeConfig};
use lab::data::DatasetChoice;
use lab::error::RunError;
use lab::estimator::EstimatorArgs;
use lab::numbers::{positive, whole};
use lab::output::answer;
use lab::threads::with_threads;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Number of steps that are not timed, while memory is allocated, caches are filled and clock rates
/// settle.
const WARM_UP: usize = 20;

/// Time one training step.
#[derive(Debug, Parser)]
#[command(name = "step_time")] // printed with errors of the hyper-parameters
struct Args {
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Latent space, categories x variables
    #[arg(long, value_name = "CxL", default_value = "8x4")]
    latent: LatentShape,
    #[command(flatten)]
    estimator: EstimatorArgs,
    /// Optimiser: adam, adamw or radam
    #[arg(long, default_value = "adam")]
    optimizer: OptimizerKind,
    /// Images per batch
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true, value_parser = whole::<usize>)]
    batch_size: usize,
    /// Number of steps to time
    #[arg(long, value_name = "N", default_value_t = 300, allow_negative_numbers = true, value_parser = positive::<u32>)]
    steps: u32,
    /// Directory with the four files of MNIST or of a data set in its format [default: $MNIST_DIR,
    /// data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    lab::exit::of(with_threads(args.threads, || run(&args)).and_then(|done| done).map_err(Into::into))
}

fn run(args: &Args) -> Result<(), RunError> {
    let data = lab::data::load(DatasetChoice::Auto, args.data.as_deref())?;
    let data = without_test_pass(&data)?;
    let config = TrainConfig {
        vae: VaeConfig { pixels: data.train.images().pixels_per_image(), ..VaeConfig::paper(args.latent) },
        estimator: args.estimator.config(None)?,
        optimizer: args.optimizer,
        batch_size: args.batch_size,
        ..TrainConfig::default()
    };
    // The first step of an epoch includes the shuffle, and the last batch may be smaller: neither
    // is timed.
    let most = data.train.len() / 2;
    if args.batch_size > most {
        let expected = format!(
            "at most {most}, half the number of training images, so that an epoch has two full steps"
        );
        return Err(hardgrad::Error::argument("batch_size", args.batch_size, expected).into());
    }
    let mut trainer = Trainer::new(config, &data)?;
    let mut millis = Vec::new();
    let wanted = args.steps as usize;
    let (mut warm_up, mut allocations) = (WARM_UP, 0);
    while millis.len() < wanted {
        let (mut last, mut images): (Option<(Instant, usize)>, usize) = (None, 0);
        trainer.epoch(&mut |progress| {
            let now = (Instant::now(), COUNTING.stats().allocations);
            let whole = progress.images - images == args.batch_size;
            images = progress.images;
            // The last epoch continues after enough steps.
            if let Some((then, count)) = last.replace(now).filter(|_| whole && millis.len() < wanted) {
                if warm_up > 0 {
                    warm_up -= 1;
                } else {
                    millis.push((now.0 - then).as_secs_f64() * 1e3);
                    allocations += now.1 - count;
                }
            }
        })?;
    }
    millis.sort_by(f64::total_cmp);
    let percentile = |p: usize| (millis[(millis.len() - 1) * p / 100] * 1e3).round() / 1e3;
    let gflop = gemm_gflop(trainer.config());
    #[cfg(feature = "rayon")]
    let threads = rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    let threads = 1;
    let line = json!({
        "step_ms": percentile(50), "p10_ms": percentile(10), "p90_ms": percentile(90),
        "gemm_gflop": gflop, "gflops": (gflop / percentile(50) * 1e3).round(),
        "allocations": (allocations as f64 / wanted as f64 * 10.0).round() / 10.0,
        "threads": threads, "latent": args.latent, "estimator": args.estimator.estimator.to_string(),
        "config": trainer.config().estimator, "optimizer": args.optimizer, "batch_size": args.batch_size,
        "steps": wanted, "data": data.name,
    });
    answer!("{line}");
    Ok(())
}

/// The training images and one test image: a trainer ends each epoch with a test pass, which is not
/// timed here.
fn without_test_pass(data: &Dataset) -> hardgrad::Result<Dataset> {
    let images = data.test.images();
    let one = Images::new(images.image(0).to_vec(), 1, images.rows(), images.cols())?;
    Ok(Dataset { test: Split::new(one, None)?, ..data.clone() })
}

/// Billions of floating-point operations of the dense matrix products of a step: the forward
/// product of each layer, the gradient of its weights and, except in the first layer, that of its
/// input. The decoder's input counts as dense, although it is one-hot.
fn gemm_gflop(config: &TrainConfig) -> f64 {
    let mut sizes = vec![config.vae.pixels];
    sizes.extend(&config.vae.hidden);
    sizes.push(config.vae.latent.width());
    let each = |pair: &[usize]| (2 * config.batch_size * pair[0] * pair[1]) as f64 / 1e9;
    let once: f64 = sizes.windows(2).map(each).sum();
    6.0 * once - each(&sizes[..2])
}
