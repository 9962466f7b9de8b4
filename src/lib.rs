//! Gradients through discrete choices.

pub mod data;
pub mod error;
pub mod rng;
pub mod scalar;

pub use error::{Error, Result};
pub use scalar::Scalar;
