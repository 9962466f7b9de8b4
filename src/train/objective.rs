//! What a step records, by the estimator's kind.

use crate::data::Images;
use crate::estimators::{GumbelGivenSample, LossNode, Rebar, SampleNode};
use crate::tape::Tape;
use crate::vae::{LossVars, Vae};

/// The nodes of one step. They outlive its tape.
#[derive(Debug)]
pub(super) enum Objective<'a> {
    /// The estimator is the sample's backward.
    Sample(SampleNode<'a, f32>),
    /// The sample has no backward; the loss has.
    Score {
        /// Draws.
        sample: SampleNode<'a, f32>,
        /// Adds the score.
        loss: LossNode<'a, f32>,
        /// Samples of each image.
        samples: usize,
    },
    /// The same, with two relaxed passes.
    Rebar {
        /// Draws.
        sample: SampleNode<'a, f32>,
        /// Adds the score.
        loss: LossNode<'a, f32>,
        /// The estimator.
        rebar: &'a Rebar,
        /// Its conditional draw.
        given: GumbelGivenSample<'a, f32>,
    },
    /// No sample: the expectation over all codes.
    Exact,
}

impl Objective<'_> {
    /// Records the loss of a batch of images.
    pub(super) fn record<'t>(
        &'t self,
        tape: &mut Tape<'t, f32>,
        vae: &Vae,
        images: &Images,
        batch: &[u32],
    ) -> LossVars {
        let x = tape.constant_with(batch.len(), images.pixels_per_image(), |x| images.fill(batch, x));
        let logits = vae.encode(tape, x);
        match self {
            Self::Sample(node) => {
                let z = tape.custom(node, &[logits]);
                vae.loss(tape, x, logits, z)
            }
            Self::Score { sample, loss, samples } => {
                let (x, logits) = match samples {
                    1 => (x, logits),
                    &n => (tape.repeat_rows(x, n), tape.repeat_rows(logits, n)),
                };
                let detached = tape.detach(logits);
                let z = tape.custom(sample, &[detached]);
                let bce = vae.bce(tape, x, z);
                let bce = tape.custom(loss, &[logits, z, bce]);
                vae.total(tape, bce, logits)
            }
            Self::Rebar { sample, loss, rebar, given } => {
                let detached = tape.detach(logits);
                let z = tape.custom(sample, &[detached]);
                let relaxed = rebar.relaxed(tape, logits, z, given);
                let hard = vae.bce(tape, x, z);
                let [free, tied] = relaxed.map(|z| vae.bce(tape, x, z));
                let bce = tape.custom(loss, &[logits, z, hard, free, tied]);
                vae.total(tape, bce, logits)
            }
            Self::Exact => {
                let bce = vae.expected_bce(tape, x, logits);
                vae.total(tape, bce, logits)
            }
        }
    }
}
