//! Training the discrete VAE: a [`Trainer`] that can be stopped after any step and resumed to the
//! same bits.
//!
//! Terminal output and the layout of directories are left to the caller: see
//! `examples/train_vae/main.rs`.

mod checkpoint;
mod config;
mod config_text;
mod error;
mod evaluate;
mod loss;
mod record;
mod trainer;

pub use checkpoint::{Checkpoint, Newest};
pub use config::{OptimizerKind, TrainConfig};
pub use error::TrainError;
pub use evaluate::{ArgmaxLosses, Evaluation, EvaluationProgress, ImportanceBound};
pub use record::{EpochRecord, Loss, LossSum};
pub use trainer::{Advance, Progress, Trainer};
