//! The error type of training and evaluation.

use crate::error::Error;
use std::fmt;

/// An error of a training step or of an evaluation.
///
/// ```
/// use hardgrad::data::digits;
/// use hardgrad::train::{TrainConfig, TrainError, Trainer};
/// let data = digits(0, 40, 20);
/// let mut config = TrainConfig { batch_size: 20, lr: 1e30, ..TrainConfig::default() };
/// config.vae.hidden = vec![8];
/// let e = Trainer::new(config, &data)?.epoch(&mut |_| {}).unwrap_err();
/// assert!(matches!(e, TrainError::NotFinite { epoch: 1, .. }), "{e}");
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TrainError {
    /// A number became infinite or NaN.
    NotFinite {
        /// The name of the tensor, e.g. `the loss`, `the gradient of encoder.0.weight` or
        /// `encoder.0.weight`.
        what: String,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
    },
    /// An error of another part of the library.
    Library(Error),
}

impl From<Error> for TrainError {
    fn from(e: Error) -> Self {
        Self::Library(e)
    }
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { what, epoch, step } => {
                write!(f, "{what} is not finite at epoch {epoch}, step {step}")
            }
            Self::Library(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for TrainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotFinite { .. } => None,
            Self::Library(e) => e.source(),
        }
    }
}
