//! Gradient estimators for discrete latent variables.
//!
//!
#![doc = include_str!("table.md")]
//!
//! [`GumbelSoftmax`] returns the relaxed sample instead of a one-hot sample, together with its
//! derivative: f is then evaluated at points inside the simplex.
//!
//! Notation: θ are the logits of one variable with C categories, π = softmax(θ), π_τ =
//! softmax(θ/τ), D ~ π is the one-hot sample, G the Gumbel noise from which it was drawn, g = ∂f/∂D
//! the cotangent of the sample, p = (π + D)/2 and θ_D = log p. J(q) g = q ⊙ (g − ⟨q, g⟩) is the vjp
//! of the softmax at a point q of the simplex ([`vjp_row`](crate::softmax::vjp_row)). Equation
//! numbers are those of Wang and Bui, "Beyond ReinMax" (2026).
//!
//! # Whole batches
//!
//! [`Estimator`] is the interface for callers: logits, noise and cotangents are slices `[N, L·C]`,
//! and threads and SIMD vectors are used internally. A [`Choice`] places an estimator on the
//! [tape](crate::tape) of a model. [`Formula`] is the interface for authors of estimators: it
//! computes one latent variable. Every formula is an estimator.
//!
//! [`Reinforce`] and [`Rebar`] use the loss itself, [`DoubleControlVariate`] the losses and
//! gradients of several samples of each input, and [`LocalExpectation`] those of the neighbouring
//! codes. [`Vimco`] trains on the importance-weighted bound. [`importance_loss`] records this bound
//! for samples that have an estimator of their own. [`PairWithoutReplacement`] and [`SumAndSample`]
//! are for a single choice. The method `loss` of each estimator records its evaluations of f.
//!
//! [`Noise`] is drawn before the step; everything after it is deterministic. The sample is a
//! function of logits and noise, and the gradient is a function of logits, sample, noise and g. A
//! caller can therefore supply a sample or noise, and with one seed all estimators have the same D.

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

/// The formula of an estimator, for one latent variable: linear in the cotangent g = ∂f/∂D.
///
/// A formula is written once, generic in [`Real`]. It implements [`Estimator`] for whole batches in
/// `f32` and `f64`, with threads and SIMD vectors: the library computes one latent variable per
/// lane, and the formula cannot distinguish a number from a vector.
///
/// ```
/// use hardgrad::estimators::{At, Estimator, Formula, Latent, Noise, Scratch, Work};
/// use hardgrad::{Real, softmax};
///
/// /// DARN: (g_D − ⟨π, g⟩)(D − π), REINFORCE with a first-order approximation of the loss.
/// #[derive(Debug)]
/// struct Darn;
///
/// impl Formula for Darn {
///     fn work_rows(&self) -> usize { 1 }
///
///     fn vjp<T: Real>(
///         &self,
///         at: &Latent<'_, T>,
///         g: &[T],
///         dlogits: &mut [T],
///         work: Work<'_, T>,
///     ) {
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
/// let logits = [0.0, 3.0_f64.ln()]; // π = (¼, ¾)
/// let noise = Noise::from_gumbel(vec![0.0; 2]);
/// let at = At { logits: &logits, one_hot: &[0.0, 1.0], noise: &noise, categories: 2 };
/// let mut dlogits = [0.0; 2];
/// Darn.add_vjp(at, &[0.0, 4.0], &mut dlogits, &mut Scratch::new());
/// assert!((dlogits[1] - 0.25).abs() < 1e-15); // (4 − 3) (1 − ¾)
/// ```
pub trait Formula: std::fmt::Debug + Send + Sync {
    /// Number of rows of C numbers that `vjp` takes from `work`.
    fn work_rows(&self) -> usize;

    /// Number of C × C matrices that `vjp` takes from `work` in addition to the rows.
    /// [`Work::take_together`] takes a matrix as C rows.
    fn work_matrices(&self) -> usize {
        0
    }

    /// Adds the estimate of ∂f/∂θ to `dlogits`, computed from g = ∂f/∂D, for one latent variable.
    /// Shapes: g and dlogits `[C]`.
    fn vjp<T: Real>(&self, at: &Latent<'_, T>, g: &[T], dlogits: &mut [T], work: Work<'_, T>);

    /// Computes the sample of one latent variable, `[C]`. The default is onehot(argmax(θ + G)), so
    /// that all estimators draw the same D from the same noise.
    fn draw<T: Real>(&self, logits: &[T], gumbel: &[T], sample: &mut [T]) {
        categorical::sample_row(logits, gumbel, sample);
    }
}

/// Returns `tau` if it is a valid temperature, whose reciprocal is finite in `f32` too.
fn temperature(tau: f64) -> Result<f64> {
    if !(tau > 0.0 && tau.is_finite()) {
        return Err(Error::argument("tau", tau, "a finite number > 0"));
    }
    if tau < 1e-30 {
        return Err(Error::argument("tau", format!("{tau:e}"), "at least 1e-30"));
    }
    Ok(tau)
}

/// Returns `draws` if it is a valid number of conditional draws.
fn draws(draws: usize) -> Result<usize> {
    if (1..=1_000_000).contains(&draws) {
        Ok(draws)
    } else {
        Err(Error::argument("draws", draws, "a number from 1 to 1000000"))
    }
}

/// Returns `value` if it is a valid coefficient, which is finite in `f32` too.
fn finite(name: &'static str, value: f64) -> Result<f64> {
    if !value.is_finite() {
        return Err(Error::argument(name, value, "a finite number"));
    }
    if value.abs() > 1e30 {
        return Err(Error::argument(name, format!("{value:e}"), "a number from -1e30 to 1e30"));
    }
    Ok(value)
}
