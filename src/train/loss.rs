//! The loss that a training step records, for each kind of estimator.

use crate::data::Images;
use crate::error::Result;
use crate::estimators::{
    AdaptiveWeight, Baseline, BaselineConfig, BuiltEstimator, Choice, Reinforce, RunningMean, WeightConfig,
};
use crate::tape::{Tape, Var};
use crate::vae::{LossVars, Vae};

/// Logits θ/τ_f of the distribution that codes are drawn from.
pub(super) fn law(tape: &mut Tape<'_, f32>, theta: Var, draw_tau: f64) -> Var {
    match draw_tau {
        1.0 => theta,
        tau => tape.affine(theta, (1.0 / tau) as f32, 0.0),
    }
}

/// The inputs of a step's loss, without the images.
pub(super) struct StepLoss<'a> {
    pub(super) vae: &'a Vae,
    pub(super) estimator: &'a BuiltEstimator<f32>,
    /// Noise of this step, with the estimator if it is one of the sample.
    pub(super) choice: &'a Choice<f32>,
    /// Temperature τ_f; `choice` has it too if the estimator is one of the sample.
    pub(super) draw_tau: f64,
    /// REINFORCE's running mean of earlier losses.
    pub(super) mean: &'a RunningMean,
    /// The double control variate's weight, from earlier steps.
    pub(super) weight: &'a AdaptiveWeight,
}

impl StepLoss<'_> {
    /// Records the loss of a batch of images.
    ///
    /// # Errors
    /// If leave-one-out has fewer than two samples.
    pub(super) fn record(
        &self,
        tape: &mut Tape<'_, f32>,
        images: &Images,
        batch: &[u32],
    ) -> Result<LossVars> {
        let (vae, choice) = (self.vae, self.choice);
        let x = tape.constant_with(batch.len(), images.pixels_per_image(), |x| images.fill(batch, x));
        let theta = vae.encode(tape, x);
        let logits = law(tape, theta, self.draw_tau);
        Ok(match self.estimator {
            BuiltEstimator::Sample(_) => {
                let z = tape.sample(choice, theta); // the gradient is the estimator's at θ
                vae.loss(tape, x, logits, z)
            }
            &BuiltEstimator::Reinforce(baseline) => {
                let (baseline, samples) = match baseline {
                    BaselineConfig::None => (Baseline::Constant(0.0), 1),
                    BaselineConfig::RunningMean => (Baseline::Constant(self.mean.get()), 1),
                    BaselineConfig::LeaveOneOut { samples } => (Baseline::leave_one_out(samples)?, samples),
                };
                let (x, logits) = match samples {
                    1 => (x, logits),
                    n => (tape.repeat_rows(x, n), tape.repeat_rows(logits, n)),
                };
                let bce = Reinforce::new(baseline).loss(tape, logits, choice, |tape, z| vae.bce(tape, x, z));
                vae.total(tape, bce, logits)
            }
            BuiltEstimator::Rebar(rebar) => {
                let bce = rebar.loss(tape, logits, choice, |tape, z| vae.bce(tape, x, z));
                vae.total(tape, bce, logits)
            }
            BuiltEstimator::DoubleControlVariate(estimator, weight) => {
                let estimator = match weight {
                    WeightConfig::Fixed(_) => estimator.clone(),
                    WeightConfig::Adapted => estimator.with_alpha(self.weight.get())?,
                };
                let n = estimator.samples();
                let (x, repeated) = (tape.repeat_rows(x, n), tape.repeat_rows(logits, n));
                let bce = estimator.loss(tape, logits, choice, |tape, z| vae.bce(tape, x, z));
                vae.total(tape, bce, repeated)
            }
            BuiltEstimator::Vimco(vimco) => {
                let n = vimco.samples();
                let (x, repeated) = (tape.repeat_rows(x, n), tape.repeat_rows(logits, n));
                let mut bce = x;
                let bound = vimco.loss(tape, logits, choice, |tape, z| {
                    bce = vae.bce(tape, x, z);
                    vae.log_weight(tape, bce, repeated, z)
                });
                // Training minimises the bound of all samples. The reported parts are those of the
                // bound with one sample.
                LossVars { total: tape.mean(bound), ..vae.total(tape, bce, repeated) }
            }
            BuiltEstimator::LocalExpectation => {
                let bce = vae.local_expectation(tape, x, logits, choice);
                vae.total(tape, bce, logits)
            }
            BuiltEstimator::Exact => {
                let bce = vae.expected_bce(tape, x, logits);
                vae.total(tape, bce, logits)
            }
        })
    }
}
