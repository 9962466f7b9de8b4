//! The file that `bias_variance` writes and `reproduce report` reads: which estimators it holds, and what of each.

pub mod plan;
pub mod record;
