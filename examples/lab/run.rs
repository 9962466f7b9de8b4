//! The training loop: resuming, saving, stopping.

use super::curves;
use super::error::RunError;
use super::progress::Report;
use super::run_dir::RunDir;
use super::stop::Stop;
use hardgrad::data::Dataset;
use hardgrad::train::{Advance, Checkpoint, TrainConfig, TrainError, Trainer};
use std::time::Instant;

/// Number of epochs to train, and when to save and to stop.
pub struct Plan<'a> {
    /// Total number of epochs.
    pub epochs: usize,
    /// Number of steps between checkpoints, in addition to those after every epoch.
    pub checkpoint_every: Option<usize>,
    /// Signal flag, checked after every step.
    pub stop: &'a Stop,
    /// Receives every step and epoch.
    pub report: &'a dyn Report,
}

/// Outcome of the training loop.
pub enum End {
    /// All epochs are done.
    Done,
    /// The program received this signal. The run is saved.
    Stopped(i32),
}

/// The run in the directory, or a new one if there is none, with the information which of the two
/// it is.
pub fn begin<'d>(
    dir: &mut RunDir,
    config: &TrainConfig,
    data: &'d Dataset,
) -> Result<(Trainer<'d>, Begun), RunError> {
    if let Some(checkpoint) = dir.checkpoint()? {
        let trainer = resume(checkpoint, config, data).map_err(|e| {
            RunError::machine(format!("{}: the checkpoint cannot be used: {e}; to start the run again, remove this directory or give another --out", dir.path().display()))
        })?;
        dir.resume(&trainer)?;
        return Ok((trainer, Begun::Earlier));
    }
    let trainer = Trainer::new(config.clone(), data)?;
    dir.remove_derived()?;
    Ok((trainer, Begun::Here))
}

/// Process that started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The run was started by this process.
    Here,
    /// The run was started by an earlier process.
    Earlier,
}

fn resume<'d>(
    checkpoint: Checkpoint,
    config: &TrainConfig,
    data: &'d Dataset,
) -> hardgrad::Result<Trainer<'d>> {
    let trainer = Trainer::resume(checkpoint, data)?;
    if trainer.config() != config {
        return Err(hardgrad::Error::argument("config", "another", "that of config.json"));
    }
    Ok(trainer)
}

/// Trains until all epochs are done or a signal arrives. In both cases the last state is saved as a
/// checkpoint.
pub fn train(
    dir: &mut RunDir,
    trainer: &mut Trainer<'_>,
    data: &Dataset,
    plan: &Plan<'_>,
) -> Result<End, RunError> {
    let report = plan.report;
    // The wall time of an epoch is known if it began in this process.
    let mut start = (trainer.step().0 == 0).then(Instant::now);
    while trainer.history().len() < plan.epochs {
        match trainer.advance().map_err(|e| diverged(e, dir))? {
            Advance::Step(progress) => {
                report.step(progress);
                if plan.checkpoint_every.is_some_and(|n| progress.step.is_multiple_of(n)) {
                    dir.save_checkpoint(trainer)?;
                }
            }
            Advance::Epoch(progress, record) => {
                report.step(progress);
                let seconds = start.map(|start| start.elapsed().as_secs_f64());
                dir.save(trainer, seconds)?;
                curves::save(trainer, &dir.file("curves.svg"))?;
                report.epoch(&record, seconds);
                report.show(trainer, data);
                if record.epoch.is_multiple_of(5) && record.epoch != plan.epochs {
                    dir.save_pictures(trainer, data)?;
                }
                start = Some(Instant::now());
            }
        }
        if let Some(signal) = plan.stop.signal() {
            dir.save_checkpoint(trainer)?;
            report.finish();
            return Ok(End::Stopped(signal));
        }
    }
    dir.save_pictures(trainer, data)?;
    report.finish();
    Ok(End::Done)
}

/// State of the run for messages: "epoch 3", or "epoch 3 and 120 of 600 steps".
pub fn place(trainer: &Trainer<'_>) -> String {
    let epochs = trainer.history().len();
    match trainer.step() {
        (0, _) => format!("epoch {epochs}"),
        (step, steps) => format!("epoch {epochs} and {step} of {steps} steps"),
    }
}

fn diverged(e: TrainError, dir: &RunDir) -> RunError {
    let kept = dir.saved().unwrap_or_else(|| "no epoch was finished, so there is no checkpoint".into());
    let message = format!("{e}: try a smaller --lr, a larger --tau or --clip-norm; {kept}");
    RunError { message, ..RunError::from(e) }
}
