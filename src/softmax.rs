//! Softmax of one latent variable, and its vector-Jacobian product: what a [`Formula`](crate::estimators::Formula) is built from.

pub use crate::kernels::softmax::{log_softmax_row, max, softmax_in_place, softmax_row, vjp_row};
