//! Execution of the incomplete runs, several at once.

use crate::board::Board;
use crate::collect::{Merged, result_of};
use crate::lab::error::{Fault, RunError};
use crate::lab::run::{self, End, Plan};
use crate::lab::run_dir::{Intent, RunDir};
use crate::lab::stop::Stop;
use crate::lab::threads::with_threads;
use crate::manifest::Run;
use crate::result::{Provenance, RunResult};
use hardgrad::data::Dataset;
use hardgrad::data::DatasetId;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Settings of the runs of a shard.
pub struct Jobs<'a> {
    /// Directory of the experiment.
    pub out: &'a Path,
    /// Results in the directory's `results.jsonl`.
    pub collected: &'a Merged,
    /// Data to train on.
    pub data: &'a Dataset,
    /// Number of concurrent runs.
    pub jobs: usize,
    /// Threads per run.
    pub threads: u16,
    /// Number of steps between checkpoints, in addition to those after every epoch.
    pub checkpoint_every: Option<usize>,
    /// Samples of the importance-weighted bound at the end of a run.
    pub importance_samples: usize,
    /// For tests that stop the program while it writes.
    pub slow_writes: Duration,
    /// Signal flag, checked after every step.
    pub stop: &'a Stop,
}

/// Outcome of the runs.
#[derive(Default)]
pub struct Summary {
    /// Runs completed by this process or earlier.
    pub complete: usize,
    /// Runs that diverged in this process or earlier: a number was not finite.
    pub diverged: usize,
    /// Runs that another process is running.
    pub held: usize,
    /// Name and error of each run that failed.
    pub failed: Vec<(String, String)>,
}

/// Outcome of one run.
enum Ended {
    Over { diverged: bool },
    Stopped,
}

impl Jobs<'_> {
    /// Executes the incomplete runs in order.
    pub fn work(&self, runs: &[Run]) -> Result<Summary, RunError> {
        let dataset = DatasetId::of(self.data);
        if let Some(other) = runs.iter().find(|run| !run.dataset.is_of_same_images(&dataset)) {
            let message = format!(
                "--data: got {dataset}, but the run {} is planned on {}; give the directory of those images",
                other.name, other.dataset
            );
            return Err(RunError::argument(message));
        }
        let board = Board::new(runs);
        let (next, summary) = (AtomicUsize::new(0), Mutex::new(Summary::default()));
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    while self.stop.signal().is_none() {
                        let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                        let ended = with_threads(Some(self.threads), || self.one(run, &board));
                        let ended = ended.unwrap_or_else(Err);
                        // A panic in another thread must not lose the summary.
                        let mut summary = summary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        summary.add(run, ended, &board);
                    }
                });
            }
        });
        board.finish();
        Ok(summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn one(&self, run: &Run, board: &Board) -> Result<Ended, RunError> {
        let directory = run.directory(self.out);
        // A damaged result is made again from the checkpoint.
        if let Ok(Some(result)) = result_of(run, self.out, self.collected) {
            board.found_complete(run);
            return Ok(Ended::Over { diverged: result.diverged.is_some() });
        }
        let mut dir = RunDir::open(&directory, &run.config, self.data, run.epochs, Intent::Resume)?;
        dir.slow_writes(self.slow_writes);
        let (mut trainer, _) = run::begin(&mut dir, &run.config, self.data)?;
        let report = board.begin(run, &trainer);
        let checkpoint_every = self.checkpoint_every;
        let plan = Plan { epochs: run.epochs, checkpoint_every, stop: self.stop, report: &report };
        let diverged = match run::train(&mut dir, &mut trainer, self.data, &plan) {
            Ok(End::Done) => None,
            Ok(End::Stopped(signal)) => {
                let place = run::place(&trainer);
                board.line(&format!("{} {}: stopped by signal {signal} after {place}", run.id, run.name));
                return Ok(Ended::Stopped);
            }
            Err(e) if e.fault == Fault::Diverged => Some(e.message),
            Err(e) => return Err(e),
        };
        let evaluation = if diverged.is_none() {
            let go_on = || self.stop.signal().is_none();
            let measured = trainer.evaluate_while(self.importance_samples, &mut |_| go_on())?;
            if measured.is_none() {
                return Ok(Ended::Stopped);
            }
            measured
        } else {
            None
        };
        let provenance = Provenance::here(self.threads, dir.seconds.iter().copied().sum());
        let result = RunResult::new(run, &trainer, diverged, evaluation, provenance);
        result.save(&directory)?;
        board.end(run, &result.summary());
        Ok(Ended::Over { diverged: result.diverged.is_some() })
    }
}

impl Summary {
    fn add(&mut self, run: &Run, ended: Result<Ended, RunError>, board: &Board) {
        match ended {
            Ok(Ended::Over { diverged: false }) => self.complete += 1,
            Ok(Ended::Over { diverged: true }) => self.diverged += 1,
            Ok(Ended::Stopped) => {}
            Err(e) if e.fault == Fault::Held => {
                self.held += 1;
                board.line(&format!("{} {}: {}", run.id, run.name, e.message));
            }
            Err(e) => {
                board.line(&format!("{} {}: error: {}", run.id, run.name, e.message));
                self.failed.push((run.name.clone(), e.message));
            }
        }
    }
}

impl Provenance {
    /// Of a run that ended in this process.
    fn here(threads: u16, seconds: Option<f64>) -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let cpu = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_string();
        let (version, commit) = (env!("CARGO_PKG_VERSION").into(), option_env!("HARDGRAD_COMMIT"));
        Self { version, commit: commit.map(Into::into), cpu, threads, seconds }
    }
}
