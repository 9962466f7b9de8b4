//! The checkpoints: a run of ReinMax, and copies of its checkpoint after every so many epochs.

use crate::Schedule;
use crate::lab::error::RunError;
use crate::lab::output::note;
use crate::lab::reporter::Reporter;
use crate::lab::run::{self, End, Plan};
use crate::lab::run_dir::{Intent, RunDir};
use crate::lab::stop::Stop;
use hardgrad::data::Dataset;
use hardgrad::train::{Checkpoint, TrainConfig, Trainer};
use std::path::{Path, PathBuf};

/// Path of the checkpoint after this epoch.
fn file(dir: &Path, epoch: usize) -> PathBuf {
    dir.join(format!("epoch-{epoch:03}.bin"))
}

/// Trains until the checkpoints of all epochs are in `dir`. Existing checkpoints are kept.
pub fn checkpoints(
    dir: &Path,
    config: &TrainConfig,
    data: &Dataset,
    schedule: &Schedule,
    stop: &Stop,
) -> Result<End, RunError> {
    let mut run_dir = RunDir::open(dir, config, data, schedule.epochs, Intent::Resume)?;
    if schedule.kept().all(|epoch| file(dir, epoch).exists()) {
        return Ok(End::Done);
    }
    let (mut trainer, _) = run::begin(&mut run_dir, config, data)?;
    let report = Reporter::new(schedule.quiet, schedule.epochs, &trainer);
    for epoch in schedule.kept() {
        let file = file(dir, epoch);
        if file.exists() {
            continue;
        }
        if trainer.history().len() < epoch {
            let plan = Plan { epochs: epoch, checkpoint_every: None, stop, report: &report };
            if let End::Stopped(signal) = run::train(&mut run_dir, &mut trainer, data, &plan)? {
                let place = run::place(&trainer);
                note!("stopped by a signal after {place}: saved in {}", dir.display());
                return Ok(End::Stopped(signal));
            }
        }
        if (trainer.history().len(), trainer.step().0) != (epoch, 0) {
            let message = format!(
                "{} is missing, and the run has continued to epoch {}: remove {} to train it again",
                file.display(),
                trainer.history().len(),
                dir.display()
            );
            return Err(RunError::argument(message));
        }
        trainer.checkpoint().save(&file)?;
    }
    Ok(End::Done)
}

/// The parameters after this epoch.
pub fn params(dir: &Path, epoch: usize, config: &TrainConfig, data: &Dataset) -> Result<Vec<f32>, RunError> {
    if epoch == 0 {
        return Ok(Trainer::new(config.clone(), data)?.params().flat().to_vec());
    }
    let checkpoint = Checkpoint::load(&file(dir, epoch))?;
    if &checkpoint.config != config || checkpoint.history.len() != epoch {
        let message = format!(
            "{}: the checkpoint is of another run; remove it, or give another --out",
            file(dir, epoch).display()
        );
        return Err(RunError::argument(message));
    }
    Ok(checkpoint.params)
}
