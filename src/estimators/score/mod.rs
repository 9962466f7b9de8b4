//! Estimators at the loss: a score times D − π for the logits.

mod node;
mod rebar;
mod reinforce;

pub use node::{LossEstimator, score_loss};
pub use rebar::Rebar;
pub use reinforce::{Baseline, Reinforce, RunningMean};
