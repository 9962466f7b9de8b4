//! Gradients through discrete choices.

pub mod error;
pub mod gemm;
pub mod gradcheck;
pub mod kernels;
pub mod mat;
mod par;
pub mod params;
pub mod rng;
pub mod scalar;
mod simd;
pub mod tape;

pub use error::{Error, Result};
pub use mat::{Mat, MatMut, MatRef};
pub use params::{ParamGrads, ParamId, ParamStore};
pub use scalar::Scalar;
pub use tape::{CustomOp, Tape, Var, Workspace};
