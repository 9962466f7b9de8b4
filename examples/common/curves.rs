//! A run's losses as a picture.

use crate::run_dir::RunError;
use crate::svg::{Chart, Mark, Scale, Series};
use hardgrad::train::{Trainer, write_atomically};
use std::path::Path;

/// Writes the train and test loss of every epoch so far to `path`, as SVG.
pub fn save(trainer: &Trainer<'_>, path: &Path) -> Result<(), RunError> {
    let history = trainer.history();
    let least = history.iter().map(|r| r.train.loss.min(r.test.loss)).fold(f64::INFINITY, f64::min);
    let points = |loss: fn(&hardgrad::train::EpochRecord) -> f64| {
        history.iter().map(|r| (r.epoch as f64, loss(r))).collect()
    };
    let config = trainer.config();
    let chart = Chart {
        title: format!(
            "{} latent, {}, learning rate {}",
            config.vae.latent,
            config.estimator.kind(),
            config.lr
        ),
        x_label: "epoch".into(),
        y_label: "loss, nats an image".into(),
        x: Scale::Linear { low: 1.0 },
        y: Scale::Linear { low: least },
        mark: Mark::Line,
        series: vec![
            Series { name: "train, during the epoch".into(), points: points(|r| r.train.loss) },
            Series { name: "test, at its end".into(), points: points(|r| r.test.loss) },
        ],
    };
    Ok(write_atomically(path, chart.to_svg().as_bytes())?)
}
