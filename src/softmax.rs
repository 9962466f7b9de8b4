//! Softmax of one latent variable and its vector-Jacobian product. A
//! [`Formula`](crate::estimators::Formula) is written with these functions.

pub use crate::kernels::softmax::{log_softmax_row, max, softmax_in_place, softmax_row, vjp_row};
