//! Plans the paper's experiments, runs them on one machine or a cluster, and collects their
//! results.
//!
//! ```text
//! cargo run --release --example reproduce -- plan tables --configs 8x4 --seeds 3 --out runs/tables
//! cargo run --release --example reproduce -- run --out runs/tables      # may be stopped; this command then resumes it
//! cargo run --release --example reproduce -- status --out runs/tables
//! cargo run --release --example reproduce -- merge --out runs/tables    # → runs/tables/results.jsonl
//! cargo run --release --example reproduce -- report --out runs/tables   # → runs/tables/report/report.html
//! ```
//!
//! `plan field --methods mve:lambda=10,mve:lambda=1:tau_schedule=exponential:1000:160` plans runs
//! of any estimator, with any option of the training as KEY=VALUE. `plan mve-table` plans the table
//! of "Generalized and Optimal Straight-Through Estimators".
//!
//! `--out` holds `manifest.jsonl`, with one line per run; `runs/ID/`, with the files of `train_vae`
//! and, for a complete run, `result.json`; and `results.jsonl`, with all results of the last merge.
//! A run with a result in it is complete, even without its directory. The id of a run is a hash of
//! its data, its number of epochs and all options that differ from their defaults.
//!
//! Exit status:
//!
//! - 0: done.
//! - 1: a run failed, or (`status`) some runs are not complete, or (`merge`) a file is damaged.
//! - 2: an argument is wrong, or the data cannot be used.
//! - 75: stopped by SIGTERM, SIGHUP (unless it was ignored from the start, as by `nohup`), SIGUSR1, SIGUSR2 or SIGXCPU. All steps
//!   are saved, and a scheduler can start the command again.
//! - 130: stopped by SIGINT.
//! - 141: the reader of `status` closed the pipe. The other commands write files, so a closed or full output does not affect them.

mod board;
mod collect;
mod id;
mod jobs;
#[path = "../lab/mod.rs"]
mod lab;
mod manifest;
mod method;
mod plan;
mod report;
mod result;
mod shard;

use clap::{Args, Parser, Subcommand};
use collect::{Merged, State, state};
use hardgrad::data::Dataset;
use hardgrad::data::DatasetId;
use jobs::Jobs;
use lab::data::DatasetChoice;
use lab::error::RunError;
use lab::numbers::{positive, whole};
use lab::output::{answer, note, tell};
use lab::progress::clock;
use lab::run_dir::make_directory;
use lab::stop::Stop;
use lab::threads::with_threads;
use manifest::Manifest;
use plan::{Experiment, Selection};
use shard::Shard;
use signal_hook::consts::SIGINT;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Exit status EX_TEMPFAIL of sysexits.h: a temporary failure, after which the command can be
/// started again.
const TRY_AGAIN: u8 = 75;

/// Plan, run and collect the experiments of "Beyond ReinMax" (Wang and Bui, 2026).
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the manifest of the runs of an experiment; a directory can hold several experiments
    Plan(PlanArgs),
    /// Run all incomplete runs, resuming those that were started
    Run(RunArgs),
    /// Verify all results and collect them in results.jsonl, without duplicates
    Merge {
        #[command(flatten)]
        out: Out,
        /// Directories from other machines whose results are added
        #[arg(long, value_name = "DIR", num_args = 1..)]
        from: Vec<PathBuf>,
    },
    /// List the runs that are begun, missing, diverged or damaged, and count the complete ones
    Status {
        #[command(flatten)]
        out: Out,
    },
    /// Write the paper's tables and figures from results.jsonl, with the published numbers, to
    /// OUT/report
    Report {
        #[command(flatten)]
        out: Out,
        /// File bias_variance.jsonl of the program `bias_variance`
        #[arg(long, value_name = "FILE")]
        bias_variance: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Out {
    /// Directory of the experiment
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct Data {
    /// Data to train on
    #[arg(long, value_enum, default_value = "auto")]
    dataset: DatasetChoice,
    /// Directory with MNIST's four files, as in train_vae
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PlanArgs {
    /// Experiment to plan
    #[arg(value_enum)]
    experiment: Experiment,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    data: Data,
    /// Do not estimate the time of the runs
    #[arg(long)]
    no_estimate: bool,
    #[command(flatten)]
    out: Out,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    data: Data,
    /// Part I of N of the manifest, from 0 [default: from SLURM_ARRAY_TASK_ID, _MIN and _COUNT, or all runs]
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Number of concurrent runs [default: the number of cores (or SLURM_CPUS_PER_TASK) divided by --threads-per-job]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Threads per run; two concurrent runs with one thread each are faster than one run with two
    #[arg(long, value_name = "T", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads_per_job: u16,
    /// Save a checkpoint after every N steps, in addition to every epoch
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = positive::<u32>)]
    checkpoint_every: Option<u32>,
    /// Samples per test image for the importance-weighted bound at the end of each run; 0 skips it
    #[arg(long, value_name = "S", default_value_t = 64, allow_negative_numbers = true, value_parser = whole::<usize>)]
    importance_samples: usize,
    /// Milliseconds to sleep while a checkpoint is partly written; for tests that stop the program there
    #[arg(long, value_name = "MS", hide = true, default_value_t = 0)]
    slow_writes: u64,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Plan(args) => plan(&args),
        Command::Run(args) => run_all(&args),
        Command::Merge { out, from } => merge(&out.out, &from),
        Command::Status { out } => status(&out.out),
        Command::Report { out, bias_variance } => report(&out.out, bias_variance.as_deref()),
    };
    done.unwrap_or_else(|e| lab::exit::failure(&e))
}

fn load(data: &Data) -> Result<Dataset, RunError> {
    lab::data::load(data.dataset, data.data.as_deref())
}

fn plan(args: &PlanArgs) -> Result<ExitCode, RunError> {
    let (out, data) = (&args.out.out, load(&args.data)?);
    let pixels = data.train.images().pixels_per_image();
    let runs = plan::runs(args.experiment, &args.selection, &DatasetId::of(&data), pixels)?;
    let mut manifest = Manifest::load_or_new(out)?;
    let planned = runs.clone();
    let new = manifest.add(runs)?;
    make_directory(out)?;
    manifest.save(out)?;
    tell!(
        "{} runs on {}, {new} of them new: {} in {}",
        planned.len(),
        data.name,
        manifest.runs.len(),
        out.join("manifest.jsonl").display()
    );
    if !args.no_estimate {
        let seconds = with_threads(Some(1), || plan::estimate(&planned, &data));
        let seconds = seconds??;
        let cores = cores();
        tell!(
            "about {} on one thread, {} with {cores} runs at once on this machine",
            clock(seconds),
            clock(seconds / cores as f64)
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn run_all(args: &RunArgs) -> Result<ExitCode, RunError> {
    let stop = Stop::watch()?;
    let manifest = Manifest::load(&args.out.out)?;
    let shard = match args.shard {
        Some(shard) => shard,
        None => Shard::from_environment()?,
    };
    let runs = manifest.shard(shard.index, shard.count);
    let threads = args.threads_per_job;
    let jobs = args.jobs.map_or_else(|| (cores() / usize::from(threads)).max(1), usize::from);
    let jobs = jobs.min(runs.len().max(1));
    note!(
        "shard {shard}: {} of {} runs, {jobs} at once, {threads} threads each",
        runs.len(),
        manifest.runs.len()
    );
    let jobs = Jobs {
        out: &args.out.out,
        collected: &collected(&manifest, &args.out.out),
        data: &load(&args.data)?,
        jobs,
        threads,
        checkpoint_every: args.checkpoint_every.map(|n| n as usize),
        importance_samples: args.importance_samples,
        slow_writes: Duration::from_millis(args.slow_writes),
        stop: &stop,
    };
    let summary = jobs.work(&runs)?;
    tell!(
        "{} of {} runs complete, {} diverged, {} running in other processes, {} failed",
        summary.complete,
        runs.len(),
        summary.diverged,
        summary.held,
        summary.failed.len()
    );
    Ok(ExitCode::from(match stop.signal() {
        _ if !summary.failed.is_empty() => 1,
        Some(SIGINT) => 128 + SIGINT as u8,
        Some(_) => TRY_AGAIN,
        None => 0,
    }))
}

fn merge(out: &Path, from: &[PathBuf]) -> Result<ExitCode, RunError> {
    let manifest = Manifest::load(out)?;
    let merged = Merged::collect(&manifest, out, from);
    warn(&merged);
    for run in &manifest.runs {
        match merged.get(run) {
            None => tell!("missing   {} {}", run.id, run.name),
            Some(result) if result.diverged.is_some() => {
                tell!("diverged  {} {}: {}", run.id, run.name, result.summary());
            }
            Some(_) => {}
        }
    }
    let file = merged.save(&manifest, out)?;
    tell!(
        "{} of {} runs in {}; {} duplicates and {} results of unplanned runs left out, {} problems",
        merged.len(),
        manifest.runs.len(),
        file.display(),
        merged.duplicates,
        merged.strangers,
        merged.problems.len()
    );
    Ok(ExitCode::from(u8::from(!merged.problems.is_empty())))
}

fn report(out: &Path, bias_variance: Option<&Path>) -> Result<ExitCode, RunError> {
    let page = report::write(out, bias_variance).map_err(RunError::argument)?;
    tell!("{}", page.display());
    Ok(ExitCode::SUCCESS)
}

fn status(out: &Path) -> Result<ExitCode, RunError> {
    let manifest = Manifest::load(out)?;
    let collected = collected(&manifest, out);
    let [mut complete, mut diverged, mut begun, mut missing, mut damaged] = [0; 5];
    for run in &manifest.runs {
        let (count, text) = match state(run, out, &collected) {
            State::Complete => {
                complete += 1;
                continue;
            }
            State::Diverged(result) => (&mut diverged, format!("diverged  {}", result.summary())),
            State::Begun(epochs, step) => {
                (&mut begun, format!("begun     {epochs} of {} epochs and {step} steps", run.epochs))
            }
            State::Missing => (&mut missing, "missing".into()),
            State::Damaged(why) => (&mut damaged, format!("damaged   {why}")),
        };
        *count += 1;
        answer!("{} {}: {text}", run.id, run.name);
    }
    answer!("{complete} complete, {diverged} diverged, {begun} begun, {missing} missing, {damaged} damaged");
    Ok(ExitCode::from(u8::from(begun + missing + damaged > 0)))
}

/// Results of an earlier merge. A line that cannot be read is reported, and its run counts as not
/// complete.
fn collected(manifest: &Manifest, out: &Path) -> Merged {
    let collected = Merged::of_file(manifest, out);
    warn(&collected);
    collected
}

fn warn(merged: &Merged) {
    for problem in &merged.problems {
        note!("warning: {problem}");
    }
}

/// Number of cores that this process may use.
fn cores() -> usize {
    let slurm = std::env::var("SLURM_CPUS_PER_TASK").ok().and_then(|text| text.parse().ok());
    slurm
        .filter(|&n| n > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}
