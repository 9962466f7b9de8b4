//! Training the discrete VAE: a [`Trainer`] that can be stopped after any epoch and resumed to the same bits.
//!
//! Nothing here touches a terminal or a directory's layout: that is the caller's. See `examples/train_vae.rs`.

mod checkpoint;
mod config;
mod objective;
mod params_file;
mod preset;
mod record;
mod trainer;

pub use checkpoint::{Checkpoint, write_atomically};
pub use config::{OptimizerKind, TrainConfig};
pub use preset::{Preset, PresetRun, TABLE_LATENTS};
pub use record::{EpochRecord, Loss};
pub use trainer::{Progress, Trainer};
