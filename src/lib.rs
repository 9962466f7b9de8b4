//! Gradients through discrete choices.

pub mod categorical;
pub mod data;
pub mod error;
pub mod estimators;
pub mod gemm;
pub mod gradcheck;
pub mod kernels;
pub mod mat;
pub mod nn;
pub mod optim;
mod par;
pub mod params;
pub mod rng;
pub mod scalar;
mod simd;
pub mod tape;
pub mod train;
pub mod vae;

pub use error::{Error, Result};
pub use mat::{Mat, MatMut, MatRef};
pub use params::{ParamGrads, ParamId, ParamStore};
pub use scalar::Scalar;
pub use tape::{CustomOp, Tape, Var, Workspace};
