//! Estimators at the loss, whose gradient for the logits is a score times D − π.

mod double_control_variate;
mod local_expectation;
mod node;
mod one_choice;
mod rebar;
mod reinforce;
mod samples;
mod vimco;

pub use double_control_variate::{AdaptiveWeight, DoubleControlVariate, WeightConfig, WeightMoments};
pub use local_expectation::{LocalExpectation, local_expectation};
pub use node::{LossEstimator, score_loss};
pub use one_choice::{PairWithoutReplacement, SumAndSample};
pub use rebar::Rebar;
pub use reinforce::{Baseline, BaselineConfig, Reinforce, RunningMean};
pub use samples::{Samples, SamplesEstimator, samples_loss};
pub use vimco::{Vimco, importance_loss};
