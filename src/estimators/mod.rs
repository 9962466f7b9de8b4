//! Gradient estimators for discrete latent variables.
//!
//! | estimator | ∂/∂θ of one latent variable | equation | bias | decoder passes |
//! |---|---|---|---|---|
//! | [`StraightThrough`] | (1/τ) J(π_τ) g | 3 | first order | 1 |
//! | [`StraightThroughGumbelSoftmax`] | (1/τ) J(softmax((θ+G)/τ)) g | 5 | first order, less at small τ | 1 |
//! | [`GumbelRao`] | (1/(Kτ)) Σ_k J(softmax(Y_k/τ)) g, Y_k ~ θ+G given D | 6 | as STGS, less variance | 1 |
//! | [`GappedStraightThrough`] | (1/τ) J(softmax(θ'/τ)) g, θ' = θ with D's logit moved to the top | – | first order | 1 |
//! | [`ReinMax`] | 2 J((π_τ+D)/2) g − ½ J(π) g | 12 | second order at τ = 1 | 1 |
//! | [`ReinMaxArgmax`] | the same with onehot(argmax θ) for D | table 1 | large: a probe, not for training | 1 |
//! | [`ReinMaxRk2`] | 2 (p ⊙ g − ⟨βπ+(1−β)D, g⟩ p) − β J(π) g | 27 | second order at β = ½ | 1 |
//! | [`ReinMaxRao`] | 2 GR(θ_D; D) − ½ J(π) g | 17 | more than ReinMax, less variance | 1 |
//! | [`ReinMaxCv`] | 2 (J(p) g − η S + η GR(θ_D; D)) − ½ J(π) g | 18 | by form | 1 |
//! | [`Blend`] | λ · one + (1 − λ) · another | – | between the two | 1 |
//! | [`Reinforce`] | (f(D) − b)(D − π) | section 2.5 | none | 1, or one a sample |
//! | [`Rebar`] | see there | 15 | none | 3 |
//! | [`GumbelSoftmax`] | the relaxed sample itself and its derivative | – | f sees points inside the simplex | 1 |
//!
//! Notation: θ are the logits of one variable with C categories, π = softmax(θ), π_τ = softmax(θ/τ), D ~ π the one-hot
//! sample, G the Gumbel noise that drew it, g = ∂f/∂D the cotangent that reaches the sample, and
//! J(q) g = q ⊙ (g − ⟨q, g⟩) the softmax's vjp at a point q of the simplex ([`softmax::vjp_row`]), p = (π + D)/2 and θ_D = log p. Equation numbers are those
//! of Wang and Bui, "Beyond ReinMax" (2026).
//!
//! Noise comes first, then everything is deterministic: [`Noise`] is drawn before the step, the sample is a function of
//! logits and noise, and an estimator's [`vjp`](SampleEstimator::vjp) a function of logits, sample, noise and g. So any
//! estimator can be given a sample or noise from outside, and at one seed all estimators see the same D.
//!
//! [`softmax::vjp_row`]: crate::kernels::softmax::vjp_row

mod config;
mod latent;
mod loss_node;
mod node;
mod schedule;

pub mod blend;
pub mod gapped_straight_through;
pub mod gumbel_rao;
pub mod gumbel_softmax;
pub mod rebar;
pub mod reinforce;
pub mod reinmax;
pub mod reinmax_cv;
pub mod reinmax_rao;
pub mod reinmax_rk2;
pub mod straight_through;
pub mod straight_through_gumbel_softmax;

pub use blend::Blend;
pub use config::{BaselineConfig, Estimator, EstimatorConfig, EstimatorKind};
pub use gapped_straight_through::{Gap, GappedStraightThrough};
pub use gumbel_rao::GumbelRao;
pub use gumbel_softmax::GumbelSoftmax;
pub use latent::{Conditional, Exponentials, Latent, Work};
pub use loss_node::LossNode;
pub use node::{Noise, SampleNode};
pub use rebar::{GumbelGivenSample, Rebar};
pub use reinforce::{Baseline, Reinforce, RunningMean};
pub use reinmax::{ReinMax, ReinMaxArgmax};
pub use reinmax_cv::{CvForm, ReinMaxCv};
pub use reinmax_rao::ReinMaxRao;
pub use reinmax_rk2::{ReinMaxRk2, Rk2Form};
pub use schedule::{ScheduleShape, TemperatureSchedule};
pub use straight_through::StraightThrough;
pub use straight_through_gumbel_softmax::StraightThroughGumbelSoftmax;

use crate::categorical;
use crate::error::{Error, Result};
use crate::scalar::{Real, Scalar};
use crate::simd::lanes::Lanes;

/// An estimator that hooks onto the sample: linear in the cotangent g, one decoder pass.
///
/// Put it into a model with [`SampleNode`].
///
/// `T` is a [`Scalar`], or [`Real`] for an estimator that never asks *which* category was drawn: then its
/// [`side_by_side`](Self::side_by_side) takes sixteen latent variables at once, by the same formula.
pub trait SampleEstimator<T: Real>: std::fmt::Debug + Send + Sync {
    /// Adds the estimate of ∂f/∂θ, given g = ∂f/∂D, to `dlogits`, for one latent variable. Shapes: g and dlogits `[C]`.
    fn vjp(&self, latent: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>);

    /// How many rows of C numbers `vjp` takes from its `work`.
    fn work_rows(&self) -> usize;

    /// The sample of one latent variable, `[C]`: onehot(argmax(θ + G)) unless an estimator says otherwise, so that all
    /// estimators draw the same D from the same noise.
    fn draw(&self, logits: &[T], gumbel: &[T], sample: &mut [T]) {
        categorical::sample_row(logits, gumbel, sample);
    }

    /// This estimator for sixteen variables side by side: `Some(self)` where it is implemented for every [`Real`].
    fn side_by_side(&self) -> Option<&dyn SampleEstimator<Lanes<T::Scalar>>> {
        None
    }
}

/// An estimator that needs the loss itself: a score times D − π for the logits, and pathwise gradients of the losses.
///
/// Put it into a model with [`LossNode`].
pub trait LossEstimator<T: Scalar>: std::fmt::Debug + Send + Sync {
    /// The weight of each loss's own gradient: first f(D)'s, then those of the further losses the estimator asks for.
    fn weights(&self) -> &[f64];

    /// What multiplies D − π in row `row`. `losses(k)` are all rows of loss k, in the order of the weights.
    fn score<'f>(&self, losses: &dyn Fn(usize) -> &'f [T], row: usize) -> T;
}

/// The temperature, if it is one whose reciprocal is a number in `f32` too.
fn temperature(tau: f64) -> Result<f64> {
    if !(tau > 0.0 && tau.is_finite()) {
        return Err(Error::argument("tau", tau, "a finite number > 0"));
    }
    if tau < 1e-30 {
        return Err(Error::argument("tau", format!("{tau:e}"), "at least 1e-30"));
    }
    Ok(tau)
}

/// The number of conditional draws, if it is one.
fn draws(draws: usize) -> Result<usize> {
    if (1..=1_000_000).contains(&draws) {
        Ok(draws)
    } else {
        Err(Error::argument("draws", draws, "a number from 1 to 1000000"))
    }
}

/// A coefficient, if it is one, and a number in `f32` too.
fn finite(name: &'static str, value: f64) -> Result<f64> {
    if !value.is_finite() {
        return Err(Error::argument(name, value, "a finite number"));
    }
    if value.abs() > 1e30 {
        return Err(Error::argument(name, format!("{value:e}"), "a number from -1e30 to 1e30"));
    }
    Ok(value)
}
