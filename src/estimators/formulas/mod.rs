//! The estimators at the sample, one per file. Each file has, in this order, the citation, the
//! formula, its symbols, the deviations from the paper, the type, and the vjp with the terms of the
//! formula beside its lines.

mod blend;
mod darn;
mod gapped_straight_through;
mod gumbel_rao;
mod gumbel_softmax;
mod mve;
mod reinmax;
mod reinmax_cv;
mod reinmax_rao;
mod reinmax_rk2;
mod straight_through;
mod straight_through_gumbel_softmax;

pub use blend::Blend;
pub use darn::Darn;
pub use gapped_straight_through::{Gap, GappedStraightThrough};
pub use gumbel_rao::GumbelRao;
pub use gumbel_softmax::GumbelSoftmax;
pub use mve::Mve;
pub use reinmax::{ReinMax, ReinMaxArgmax};
pub use reinmax_cv::{CvForm, ReinMaxCv};
pub use reinmax_rao::ReinMaxRao;
pub use reinmax_rk2::{ReinMaxRk2, Rk2Form};
pub use straight_through::StraightThrough;
pub use straight_through_gumbel_softmax::StraightThroughGumbelSoftmax;
