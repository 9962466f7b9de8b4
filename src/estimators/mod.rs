//! Gradient estimators for discrete latent variables.
//!
//!
#![doc = include_str!("table.md")]
//!
//! [`GumbelSoftmax`] is the relaxed sample itself with its derivative: f then sees points inside the simplex.
//!
//! Notation: θ are the logits of one variable with C categories, π = softmax(θ), π_τ = softmax(θ/τ), D ~ π the one-hot
//! sample, G the Gumbel noise that drew it, g = ∂f/∂D the cotangent that reaches the sample, and
//! J(q) g = q ⊙ (g − ⟨q, g⟩) the softmax's vjp at a point q of the simplex ([`vjp_row`](crate::softmax::vjp_row)), p = (π + D)/2 and θ_D = log p. Equation numbers are those
//! of Wang and Bui, "Beyond ReinMax" (2026).
//!
//! # Whole batches
//!
//! [`Estimator`] is what everybody calls: logits, noise and cotangents `[N, L·C]` in slices, threads and SIMD vectors inside. [`Choice`]
//! puts an estimator into a model on the [tape](crate::tape). [`Formula`] is what the author of an estimator writes, for one latent
//! variable; every formula is an estimator.
//!
//! [`Reinforce`] and [`Rebar`] need the loss itself, [`DoubleControlVariate`] the losses and gradients of several samples of each input,
//! [`LocalExpectation`] those of the neighbouring codes; [`Vimco`] trains on the importance-weighted bound, on which samples with an
//! estimator of their own train with [`importance_loss`]; [`PairWithoutReplacement`] and [`SumAndSample`] are for one choice. Each records its
//! passes with a method `loss`.
//!
//! Noise comes first, then everything is deterministic: [`Noise`] is drawn before the step, the sample is a function of logits and
//! noise, and the gradient a function of logits, sample, noise and g. So an estimator can be given a sample or noise of the caller's,
//! and at one seed all estimators see the same D.

mod batch;
mod choice;
mod formulas;
mod latent;
mod noise;
mod rao;
mod registry;
mod schedule;
mod score;
mod value;

pub use batch::{At, Estimator, Scratch};
pub use choice::Choice;
pub use formulas::*;
pub use latent::{Exponentials, Latent, Work};
pub use noise::Noise;
pub use registry::{BuiltEstimator, Entry, EstimatorConfig, EstimatorKind, Parameter};
pub use schedule::{ScheduleShape, TemperatureSchedule};
pub use score::{
    AdaptiveWeight, Baseline, BaselineConfig, DoubleControlVariate, LocalExpectation, LossEstimator,
    PairWithoutReplacement, Rebar, Reinforce, RunningMean, Samples, SamplesEstimator, SumAndSample, Vimco,
    WeightConfig, WeightMoments, importance_loss, local_expectation, samples_loss, score_loss,
};

use crate::categorical;
use crate::error::{Error, Result};
use crate::scalar::Real;

/// An estimator as its author writes it: for one latent variable, linear in the cotangent g = ∂f/∂D.
///
/// Written once, generic in [`Real`], it is an [`Estimator`] of whole batches in `f32` and `f64`, on threads and SIMD vectors: the
/// library computes one latent variable in each lane, and the formula cannot tell.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Formula, Latent, Noise, Scratch, Work};
/// use hardgrad::{Real, softmax};
///
/// /// DARN: (g_D − ⟨π, g⟩)(D − π), REINFORCE with the loss replaced by its first-order part.
/// #[derive(Debug)]
/// struct Darn;
///
/// impl Formula for Darn {
///     fn work_rows(&self) -> usize { 1 }
///
///     fn vjp<T: Real>(&self, at: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>) {
///         let ([pi], _) = work.take();
///         softmax::softmax_row(at.logits, T::ONE, pi);
///         let mean = pi.iter().zip(g).fold(T::ZERO, |sum, (&pi, &g)| sum + pi * g);
///         let score = at.at_sample(g) - mean; // g_D − ⟨π, g⟩
///         for ((to, &d), &pi) in dlogits.iter_mut().zip(at.one_hot).zip(&*pi) {
///             *to += score * (d - pi);
///         }
///     }
/// }
///
/// let (logits, noise) = ([0.0, 3.0_f64.ln()], Noise::from_gumbel(vec![0.0; 2])); // π = (¼, ¾)
/// let at = At { logits: &logits, one_hot: &[0.0, 1.0], noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// Darn.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 0.25).abs() < 1e-15); // (4 − 3) (1 − ¾)
/// ```
pub trait Formula: std::fmt::Debug + Send + Sync {
    /// Number of rows of C numbers that `vjp` takes from its `work`.
    fn work_rows(&self) -> usize;

    /// Number of matrices of C² numbers that `vjp` takes from its `work` besides the rows, each as C rows at once with
    /// [`Work::take_together`].
    fn work_matrices(&self) -> usize {
        0
    }

    /// Adds the estimate of ∂f/∂θ, given g = ∂f/∂D, to `dlogits`, for one latent variable. Shapes: g and dlogits `[C]`.
    fn vjp<T: Real>(&self, at: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>);

    /// The sample of one latent variable, `[C]`: onehot(argmax(θ + G)) unless a formula says otherwise, so that all estimators draw the
    /// same D from the same noise.
    fn draw<T: Real>(&self, logits: &[T], gumbel: &[T], sample: &mut [T]) {
        categorical::sample_row(logits, gumbel, sample);
    }
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
