//! Softmax of one latent variable and its vector-Jacobian product, the building blocks of a
//! [`Formula`](crate::estimators::Formula).

pub use crate::kernels::softmax::{log_softmax_row, max, softmax_in_place, softmax_row, vjp_row};
