//! Evaluation of a VAE with fixed parameters: its losses, the importance-weighted bound of Burda,
//! Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (2016), and the exact likelihood
//! where the codes can be enumerated.

use super::error::TrainError;
use super::loss::law;
use super::record::{Loss, LossSum};
use super::trainer::Trainer;
use crate::data::{Batches, Images};
use crate::error::Error;
use crate::estimators::{Choice, Noise};
use crate::kernels::log_sum_exp::LogSumExp;
use crate::par;
use crate::rng::Purpose;
use crate::usage::CodeUsage;
use crate::vae::LOG_OF_ZERO;
use serde::{Deserialize, Serialize};
use std::result::Result as Outcome;

/// Images per batch in an evaluation. The values depend on it, because each batch has its own
/// noise.
const BATCH: usize = 500;

/// Codes per block for the exact likelihood. Their decoded images take 3 MB, and the
/// cross-entropies of a batch of images at these codes 2 MB.
const CODES: usize = 1024;

/// Images per block of parallel work, for sums over 1 to 1024 codes.
const BLOCK: usize = 32;

/// Results of an evaluation: means over images, in nats. Each but [`argmax`](Self::argmax) is a
/// negative log-likelihood or an upper bound of one, so lower is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Loss on the training images with one sample per image. The training loss in an
    /// [`EpochRecord`](super::EpochRecord), in contrast, is a mean over an epoch in which the
    /// parameters changed.
    pub train: Loss,
    /// Loss on the test images with one sample per image. It equals that of the last epoch's record
    /// if no step followed.
    pub test: Loss,
    /// The losses with the most probable code of each image. `None` in a file from a version that did not compute them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argmax: Option<ArgmaxLosses>,
    /// Importance-weighted bound on the test images, if requested.
    pub importance: Option<ImportanceBound>,
    /// Negative log-likelihood −log p(x) of the test images, summed over all codes. `None` if there
    /// are too many codes; see [`LatentShape::codes`](crate::vae::LatentShape::codes).
    pub exact: Option<f64>,
}

/// Losses with the most probable code of each image, onehot(argmax θ) for each variable, in place
/// of a sampled code.
///
/// Only the cross-entropy differs from that of the sampled codes, because the divergence is that of
/// q(z|x) in both. The gap is therefore the cross-entropy that sampling from q adds. It is negative
/// where the most probable codes are decoded worse than sampled ones, as after one epoch of MNIST
/// at 64×8. The loss with argmax codes is not a bound on −log p(x): the bound for a deterministic
/// code is the cross-entropy plus L ln C, the divergence of a one-hot distribution from the
/// uniform one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArgmaxLosses {
    /// Loss on the training images.
    pub train: Loss,
    /// Loss on the training images with sampled codes minus `train`, in nats.
    pub train_gap: f64,
    /// Loss on the test images.
    pub test: Loss,
    /// Loss on the test images with sampled codes minus `test`, in nats.
    pub test_gap: f64,
}

/// The importance-weighted bound −log (1/S) Σ_s p(x|z_s) p(z_s) / q(z_s|x) with z_s ~ q(z|x). Its
/// expectation is the loss for S = 1, decreases with S, and tends to −log p(x).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportanceBound {
    /// Number S of samples per image.
    pub samples: usize,
    /// Mean over the images, in nats.
    pub bound: f64,
    /// Standard error of the mean over the images: their standard deviation divided by the square
    /// root of their number. It is 0 for a single image.
    pub standard_error: f64,
}

/// Progress of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationProgress {
    /// Number of completed passes of a batch through the network.
    pub done: usize,
    /// Total number of passes.
    pub of: usize,
}

/// Reason why an evaluation ended early.
enum Ended {
    Failed(TrainError),
    Cancelled,
}

impl From<TrainError> for Ended {
    fn from(e: TrainError) -> Self {
        Self::Failed(e)
    }
}

impl From<Error> for Ended {
    fn from(e: Error) -> Self {
        Self::Failed(e.into())
    }
}

/// Images to measure with the parameters fixed, with one sampled code per image.
pub(super) struct Pass<'a> {
    pub(super) images: &'a Images,
    /// Purpose and epoch of the noise.
    pub(super) noise: (Purpose, usize),
    /// Whether to compute the loss with the most probable codes too.
    pub(super) argmax: bool,
    /// Name of the loss in an error.
    pub(super) what: &'static str,
}

/// Result of a [`Pass`].
pub(super) struct Measured {
    pub(super) loss: Loss,
    /// Usage of the sampled codes.
    pub(super) usage: CodeUsage,
    /// The loss with the most probable codes, if the pass asks for it.
    argmax: Option<Loss>,
}

/// Called after every pass of the network over a batch.
type PassDone<'a, E> = &'a mut dyn FnMut() -> Outcome<(), E>;

impl Trainer<'_> {
    /// Evaluates the current parameters, with `samples` samples per image for the
    /// importance-weighted bound, or without this bound for 0. Each sample takes one pass of the
    /// decoder over the test images.
    ///
    /// The noise has its own streams. An evaluation therefore does not change the bits of the run
    /// that continues after it, and a second evaluation at the same epoch gives the same bits. An
    /// evaluation with more samples begins with the samples of one with fewer.
    ///
    /// ```
    /// use hardgrad::data::digits;
    /// use hardgrad::train::{TrainConfig, Trainer};
    /// let data = digits(0, 100, 50);
    /// let mut config = TrainConfig { batch_size: 20, ..TrainConfig::default() };
    /// config.vae.hidden = vec![16];
    /// config.vae.latent = "4x2".parse()?;
    /// let mut trainer = Trainer::new(config, &data)?;
    /// let record = trainer.epoch(&mut |_| {})?;
    /// let evaluation = trainer.evaluate(100)?;
    /// assert_eq!(evaluation.test, record.test);
    /// let argmax = evaluation.argmax.unwrap();
    /// assert!(argmax.test.kl == record.test.kl && argmax.test_gap == record.test.loss - argmax.test.loss);
    /// let (bound, exact) = (evaluation.importance.unwrap().bound, evaluation.exact.unwrap());
    /// assert!((bound - exact).abs() < 0.2 && exact < evaluation.test.loss);
    /// # Ok::<(), hardgrad::train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] with the name of the first number that is not finite.
    pub fn evaluate(&mut self, samples: usize) -> Outcome<Evaluation, TrainError> {
        Ok(self.evaluate_while(samples, &mut |_| true)?.expect("the callback never cancels"))
    }

    /// As [`evaluate`](Self::evaluate), but cancellable: `go_on` is called after every pass of a
    /// batch through the network. Returns `None` once it returns false.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_while(
        &mut self,
        samples: usize,
        go_on: &mut dyn FnMut(EvaluationProgress) -> bool,
    ) -> Outcome<Option<Evaluation>, TrainError> {
        let (train, test) = (self.data.train.len().div_ceil(BATCH), self.data.test.len().div_ceil(BATCH));
        let code_blocks = self.vae.latent().codes().map_or(0, |codes| codes.div_ceil(CODES));
        let mut progress = EvaluationProgress { done: 0, of: train + test * (1 + samples + code_blocks) };
        let mut pass_done = || {
            progress.done += 1;
            if go_on(progress) { Ok(()) } else { Err(Ended::Cancelled) }
        };
        match self.measure(samples, &mut pass_done) {
            Ok(evaluation) => Ok(Some(evaluation)),
            Err(Ended::Cancelled) => Ok(None),
            Err(Ended::Failed(e)) => Err(e),
        }
    }

    fn measure(&mut self, samples: usize, pass_done: PassDone<'_, Ended>) -> Outcome<Evaluation, Ended> {
        let (data, epoch) = (self.data, self.history().len());
        let train = Pass {
            images: data.train.images(),
            noise: (Purpose::Evaluate, epoch),
            argmax: true,
            what: "the training loss",
        };
        let test = Pass {
            images: data.test.images(),
            noise: (Purpose::Test, epoch),
            what: "the test loss",
            ..train
        };
        let (train, test) = (self.pass(&train, pass_done)?, self.pass(&test, pass_done)?);
        let argmax = ArgmaxLosses::of(&train, &test);
        let importance = match samples {
            0 => None,
            _ => Some(ImportanceBound::of(samples, &self.importance(samples, pass_done)?)),
        };
        let exact = self.exact(pass_done)?.map(|each| mean(&each));
        let bound = importance.map(|i| i.bound);
        for (what, number) in [("the importance-weighted bound", bound), ("the exact likelihood", exact)] {
            if number.is_some_and(|x| !x.is_finite()) {
                return Err(TrainError::NotFinite { what: what.into(), epoch, step: self.step().0 }.into());
            }
        }
        Ok(Evaluation { train: train.loss, test: test.loss, argmax, importance, exact })
    }

    /// The loss with the current parameters, and the usage of the codes.
    pub(super) fn pass<E: From<TrainError>>(
        &mut self,
        pass: &Pass<'_>,
        pass_done: PassDone<'_, E>,
    ) -> Outcome<Measured, E> {
        let &Pass { images, noise: (purpose, epoch), argmax, what } = pass;
        let latent = self.vae.latent();
        let mut usage = CodeUsage::new(latent.variables, latent.categories);
        let (mut sum, mut argmax_sum) = (LossSum::default(), LossSum::default());
        let batches = Batches::in_order(images.len(), BATCH).map_err(TrainError::from)?;
        for (step, batch) in batches.iter().enumerate() {
            self.draw(purpose, epoch, step, batch.len());
            let mut tape = self.workspace.tape(&self.params);
            let x = tape.constant_with(batch.len(), images.pixels_per_image(), |x| images.fill(batch, x));
            let theta = self.vae.encode(&mut tape, x);
            let logits = law(&mut tape, theta, self.config.draw_tau);
            let z = tape.sample(&self.sampler, logits);
            let loss = self.vae.loss(&mut tape, x, logits, z);
            if !tape.scalar(loss.total).is_finite() {
                return Err(TrainError::NotFinite { what: what.into(), epoch, step: step + 1 }.into());
            }
            sum.add(tape.value(loss.bce).data, tape.value(loss.kl).data);
            usage.add(tape.value(z).data).map_err(TrainError::from)?;
            if argmax {
                // Without noise the sample is the largest logit.
                let noise = Noise::from_gumbel(vec![0.0; batch.len() * latent.width()]);
                let most_probable = Choice::without_gradient(latent.categories).with_noise(noise);
                let z = tape.sample(&most_probable, logits);
                let bce = self.vae.bce(&mut tape, x, z);
                if tape.value(bce).data.iter().any(|bce| !bce.is_finite()) {
                    let what = format!("{what} with argmax codes");
                    return Err(TrainError::NotFinite { what, epoch, step: step + 1 }.into());
                }
                argmax_sum.add(tape.value(bce).data, tape.value(loss.kl).data);
            }
            pass_done()?;
        }
        Ok(Measured { loss: sum.mean(), usage, argmax: argmax.then(|| argmax_sum.mean()) })
    }

    /// The importance-weighted bound of each test image, in nats.
    fn importance(&mut self, samples: usize, pass_done: PassDone<'_, Ended>) -> Outcome<Vec<f64>, Ended> {
        let (latent, images, epoch) = (self.vae.latent(), self.data.test.images(), self.history.len());
        let batches = Batches::in_order(images.len(), BATCH)?;
        // Σ_s p(x|z_s) p(z_s) / q(z_s|x) of each image.
        let mut weights = vec![LogSumExp::default(); images.len()];
        for (i, batch) in batches.iter().enumerate() {
            let mut tape = self.workspace.tape(&self.params);
            let x = tape.constant_with(batch.len(), images.pixels_per_image(), |x| images.fill(batch, x));
            let theta = self.vae.encode(&mut tape, x);
            let logits = law(&mut tape, theta, self.config.draw_tau);
            let log_pi = tape.log_softmax(logits, latent.categories);
            // A masked category's −∞ times 0 would be NaN.
            let log_pi = tape.at_least(log_pi, LOG_OF_ZERO as f32);
            let log_pi = tape.value(log_pi).to_mat();
            let weights = &mut weights[i * BATCH..][..batch.len()];
            for s in 0..samples {
                let step = s * batches.len() + i;
                self.draw(Purpose::Importance, epoch, step, batch.len());
                let mut tape = self.workspace.tape(&self.params);
                let x = tape.constant_with(batch.len(), images.pixels_per_image(), |x| images.fill(batch, x));
                // Serves as logits, because softmax is shift-invariant.
                let log_pi = tape.constant(log_pi.view());
                let z = tape.sample(&self.sampler, log_pi);
                let bce = self.vae.bce(&mut tape, x, z);
                let log_q = tape.mul(z, log_pi);
                let log_q = tape.row_sum(log_q);
                let terms = tape.value(bce).data.iter().zip(tape.value(log_q).data);
                for (weight, (&bce, &log_q)) in weights.iter_mut().zip(terms) {
                    weight.add(std::iter::once(latent.log_prior() - f64::from(bce) - f64::from(log_q)));
                }
                pass_done()?;
            }
        }
        Ok(weights.iter().map(|weight| (samples as f64).ln() - weight.value()).collect())
    }

    /// −log p(x) of each test image in nats, where the codes can be enumerated.
    fn exact(&mut self, pass_done: PassDone<'_, Ended>) -> Outcome<Option<Vec<f64>>, Ended> {
        let (latent, images) = (self.vae.latent(), self.data.test.images());
        let Ok(codes) = latent.codes() else { return Ok(None) };
        let batches = Batches::in_order(images.len(), BATCH)?;
        let mut sums = vec![LogSumExp::default(); images.len()]; // Σ_z p(x|z)
        for first in (0..codes).step_by(CODES) {
            let tape = self.workspace.tape(&self.params);
            let decoded = self.vae.decoded_codes(tape, first, CODES.min(codes - first));
            for (i, batch) in batches.iter().enumerate() {
                let mut tape = self.workspace.tape(&self.params);
                let x = tape.constant_with(batch.len(), images.pixels_per_image(), |x| images.fill(batch, x));
                let bce = decoded.bce(&mut tape, x);
                let bce = tape.value(bce);
                let sums = &mut sums[i * BATCH..][..batch.len()];
                par::for_each_block(sums, BLOCK, |start, sums: &mut [LogSumExp]| {
                    for (k, sum) in sums.iter_mut().enumerate() {
                        sum.add(bce.row(start + k).iter().map(|&b| -f64::from(b)));
                    }
                });
                pass_done()?;
            }
        }
        Ok(Some(sums.iter().map(|sum| -(sum.value() + latent.log_prior())).collect()))
    }
}

impl ArgmaxLosses {
    /// `None` if one of the passes did not compute them.
    fn of(train: &Measured, test: &Measured) -> Option<Self> {
        let gap = |measured: &Measured| Some(measured.loss.loss - measured.argmax?.loss);
        Some(Self { train: train.argmax?, train_gap: gap(train)?, test: test.argmax?, test_gap: gap(test)? })
    }
}

impl ImportanceBound {
    /// The bound from those of the single images.
    fn of(samples: usize, each: &[f64]) -> Self {
        let (bound, n) = (mean(each), each.len() as f64);
        let squares: f64 = each.iter().map(|x| (x - bound).powi(2)).sum();
        Self { samples, bound, standard_error: (squares / (n - 1.0).max(1.0) / n).sqrt() }
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

#[cfg(test)]
mod tests;
