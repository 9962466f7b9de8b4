//! Gradient estimators for discrete latent variables.
//!
//! | estimator | ∂/∂θ of one latent variable | equation | bias | decoder passes |
//! |---|---|---|---|---|
//! | [`StraightThrough`] | (1/τ) J(π_τ) g | 3 | first order | 1 |
//! | [`StraightThroughGumbelSoftmax`] | (1/τ) J(softmax((θ+G)/τ)) g | 5 | first order, less at small τ | 1 |
//! | [`ReinMax`] | 2 J((π_τ+D)/2) g − ½ J(π) g | 12 | second order at τ = 1 | 1 |
//!
//! Notation: θ are the logits of one variable with C categories, π = softmax(θ), π_τ = softmax(θ/τ), D ~ π the one-hot
//! sample, G the Gumbel noise that drew it, g = ∂f/∂D the cotangent that reaches the sample, and
//! J(q) g = q ⊙ (g − ⟨q, g⟩) the softmax's vjp at a point q of the simplex ([`softmax::vjp_row`]). Equation numbers are those
//! of Wang and Bui, "Beyond ReinMax" (2026).
//!
//! Noise comes first, then everything is deterministic: [`Noise`] is drawn before the step, the sample is a function of
//! logits and noise, and an estimator's [`vjp`](SampleEstimator::vjp) a function of logits, sample, noise and g. So any
//! estimator can be given a sample or noise from outside, and at one seed all estimators see the same D.
//!
//! [`softmax::vjp_row`]: crate::kernels::softmax::vjp_row

mod config;
mod node;
pub mod reinmax;
pub mod straight_through;
pub mod straight_through_gumbel_softmax;

pub use config::{EstimatorConfig, EstimatorKind};
pub use node::{Noise, SampleNode};
pub use reinmax::ReinMax;
pub use straight_through::StraightThrough;
pub use straight_through_gumbel_softmax::StraightThroughGumbelSoftmax;

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// One latent variable, as an estimator's vjp sees it. All slices have C numbers.
#[derive(Clone, Copy, Debug)]
pub struct Latent<'a, T> {
    /// θ
    pub logits: &'a [T],
    /// D
    pub one_hot: &'a [T],
    /// G, the noise that drew D
    pub gumbel: &'a [T],
}

/// Temporary rows of C numbers each, of unspecified value.
pub type Work<'a, T> = [&'a mut [T]; 3];

/// An estimator that hooks onto the sample: linear in the cotangent g, one decoder pass.
///
/// Put it into a model with [`SampleNode`].
pub trait SampleEstimator<T: Scalar>: std::fmt::Debug + Send + Sync {
    /// Adds the estimate of ∂f/∂θ, given g = ∂f/∂D, to `dlogits`, for one latent variable. Shapes: g and dlogits `[C]`.
    fn vjp(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>);
}

/// The temperature, if it is one.
fn temperature(tau: f64) -> Result<f64> {
    if tau > 0.0 && tau.is_finite() {
        Ok(tau)
    } else {
        Err(Error::argument("tau", tau, "a finite number > 0"))
    }
}
