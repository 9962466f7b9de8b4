//! Chart of the losses of a run.

use super::error::RunError;
use super::svg::{Chart, Mark, Series};
use hardgrad::files::write_atomically;
use hardgrad::train::Trainer;
use std::path::Path;

/// Writes the train and test loss of every epoch so far to `path`, as SVG.
pub fn save(trainer: &Trainer<'_>, path: &Path) -> Result<(), RunError> {
    let history = trainer.history();
    let points = |loss: fn(&hardgrad::train::EpochRecord) -> f64| {
        history.iter().map(|r| (r.epoch as f64, loss(r))).collect()
    };
    let config = trainer.config();
    let series = vec![
        Series { name: "train, during the epoch".into(), points: points(|r| r.train.loss) },
        Series { name: "test, at its end".into(), points: points(|r| r.test.loss) },
    ];
    let title =
        format!("{} latent, {}, learning rate {}", config.vae.latent, config.estimator.kind(), config.lr);
    let chart = Chart::linear(title, ["epoch", "loss, nats per image"], Mark::Line, series);
    Ok(write_atomically(path, chart.to_svg().as_bytes())?)
}
