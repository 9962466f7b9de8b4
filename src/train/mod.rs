//! Training the discrete VAE: a [`Trainer`] that can be stopped after any step and resumed to the same bits.
//!
//! Nothing here touches a terminal or a directory's layout: that is the caller's. See `examples/train_vae/main.rs`.

mod checkpoint;
mod config;
mod config_text;
mod evaluate;
mod loss;
mod record;
mod trainer;

pub use checkpoint::{Checkpoint, Newest};
pub use config::{OptimizerKind, TrainConfig};
pub use evaluate::{ArgmaxLosses, Evaluation, EvaluationProgress, ImportanceBound};
pub use record::{EpochRecord, Loss, LossSum};
pub use trainer::{Advance, Progress, Trainer};
