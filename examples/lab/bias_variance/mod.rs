//! The file that `bias_variance` writes and `reproduce report` reads: its estimators and its lines.

pub mod plan;
pub mod record;
