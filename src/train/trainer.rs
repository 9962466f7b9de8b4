//! The training loop.

use super::checkpoint::Checkpoint;
use super::config::TrainConfig;
use super::error::TrainError;
use super::evaluate::Pass;
use super::loss::{StepLoss, law};
use super::record::{EpochRecord, Loss, LossSum};
use crate::data::{Batches, Dataset};
use crate::error::Error;
use crate::estimators::{AdaptiveWeight, BaselineConfig, BuiltEstimator, Choice, RunningMean, WeightConfig};
use crate::mat::Mat;
use crate::optim::{self, Optimizer};
use crate::par;
use crate::params::{ParamGrads, ParamStore};
use crate::rng::{Purpose, Streams, below};
use crate::tape::Workspace;
use crate::vae::Vae;

/// Progress within an epoch.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of updates made in this epoch.
    pub step: usize,
    /// Number of updates per epoch.
    pub steps: usize,
    /// Number of images seen in this epoch.
    pub images: usize,
    /// Mean loss of this epoch so far.
    pub loss: Loss,
}

/// The work of one call of [`Trainer::advance`].
#[derive(Clone, Debug)]
pub enum Advance {
    /// One update.
    Step(Progress),
    /// The last update of an epoch, and its test pass.
    Epoch(Progress, EpochRecord),
}

/// A VAE in training, with the state that continues from step to step and from epoch to epoch.
///
/// ```
/// use hardgrad::data::digits;
/// use hardgrad::train::{TrainConfig, Trainer};
/// let data = digits(0, 200, 100);
/// let mut config = TrainConfig { batch_size: 20, ..TrainConfig::default() };
/// config.vae.hidden = vec![16];
/// let mut trainer = Trainer::new(config, &data)?;
/// let first = trainer.epoch(&mut |_| {})?;
/// let second = trainer.epoch(&mut |_| {})?;
/// assert!(second.train.loss < first.train.loss);
/// # Ok::<(), hardgrad::train::TrainError>(())
/// ```
#[derive(Debug)]
pub struct Trainer<'d> {
    pub(super) config: TrainConfig,
    pub(super) data: &'d Dataset,
    data_crc32: u32,
    streams: Streams,
    /// Noise for codes that need no gradient.
    pub(super) sampler: Choice<f32>,
    pub(super) vae: Vae,
    estimator: BuiltEstimator<f32>,
    /// Noise of a training step, with the estimator if it is one of the sample.
    choice: Choice<f32>,
    baseline: RunningMean,
    /// Weight of the double control variate, where it is adapted.
    weight: AdaptiveWeight,
    optimizer: Box<dyn Optimizer<f32>>,
    pub(super) params: ParamStore<f32>,
    pub(super) history: Vec<EpochRecord>,
    /// Number of updates made in the current epoch, which follows those of `history`.
    step: usize,
    /// Losses of these updates.
    losses: LossSum,
    /// Epoch for which the learning rate, `estimator` and the order of `train_batches` are set.
    prepared: Option<usize>,
    // Reused buffers.
    grads: ParamGrads<f32>,
    pub(super) workspace: Workspace<f32>,
    train_batches: Batches,
}

impl<'d> Trainer<'d> {
    /// Creates a run before its first step.
    ///
    /// # Errors
    /// If an option is outside its range, the size of the images differs from the network's input,
    /// or there are no training or no test images.
    pub fn new(config: TrainConfig, data: &'d Dataset) -> Result<Self, Error> {
        let config = config.validated()?;
        for (name, split) in [("training images", &data.train), ("test images", &data.test)] {
            if split.is_empty() {
                return Err(Error::argument(name, 0, "at least 1"));
            }
            let pixels = split.images().pixels_per_image();
            if pixels != config.vae.pixels {
                let expected = format!("{}, the network's input", config.vae.pixels);
                return Err(Error::argument("pixels of an image", pixels, expected));
            }
        }
        let streams = Streams::new(config.seed);
        let mut params = ParamStore::new();
        let vae = Vae::new(&mut params, &config.vae, &mut streams.rng(Purpose::Init, 0, 0));
        Ok(Self {
            data_crc32: data.train.images().crc32(),
            streams,
            sampler: Choice::without_gradient(vae.latent().categories),
            choice: Choice::without_gradient(vae.latent().categories),
            estimator: config.estimator.build()?,
            vae,
            baseline: RunningMean::default(),
            weight: AdaptiveWeight::default(),
            optimizer: config.build_optimizer()?,
            grads: ParamGrads::zeros(&params),
            params,
            history: Vec::new(),
            step: 0,
            losses: LossSum::default(),
            prepared: None,
            workspace: Workspace::new(),
            train_batches: Batches::in_order(data.train.len(), config.batch_size)?,
            config,
            data,
        })
    }

    /// Continues a run from a checkpoint.
    ///
    /// # Errors
    /// As [`new`](Self::new). Also if the sizes in the checkpoint differ from those of the network,
    /// its numbers are inconsistent, or the run was trained on other data.
    pub fn resume(checkpoint: Checkpoint, data: &'d Dataset) -> Result<Self, Error> {
        let crc = data.train.images().crc32();
        if checkpoint.data_crc32 != crc {
            let expected = format!("{:08x}, that of the data of the run", checkpoint.data_crc32);
            return Err(Error::argument("checksum of the training images", format!("{crc:08x}"), expected));
        }
        checkpoint.check_sizes()?;
        let mut trainer = Self::new(checkpoint.config, data)?;
        trainer.params.flat_mut().copy_from_slice(&checkpoint.params);
        *trainer.optimizer.moments_mut() = checkpoint.moments;
        trainer.history = checkpoint.history;
        trainer.baseline = checkpoint.baseline;
        trainer.weight = checkpoint.weight;
        trainer.step = checkpoint.step;
        trainer.losses = checkpoint.losses;
        trainer.check_place()?;
        Ok(trainer)
    }

    /// Checks that the counts of steps, samples and epochs in the checkpoint are consistent.
    fn check_place(&self) -> Result<(), Error> {
        let steps = self.train_batches.len();
        if self.step > steps {
            let expected = format!("at most {steps}, an epoch of these images");
            return Err(Error::argument("step in the checkpoint", self.step, expected));
        }
        let samples = self.images_seen() * self.samples_of_an_image();
        if self.losses.samples() != samples {
            let expected = format!("{samples}, as after step {}", self.step);
            return Err(Error::argument("losses in the checkpoint", self.losses.samples(), expected));
        }
        let epochs_are_in_order = self.history.iter().map(|record| record.epoch).eq(1..=self.history.len());
        if !epochs_are_in_order {
            return Err(Error::argument("epochs in the checkpoint", "others", "1, 2, 3 and so on"));
        }
        let updates = (self.history.len() * steps + self.step) as u64;
        if self.optimizer.moments().step != updates {
            let expected =
                format!("{updates}, as after {} epochs and {} steps", self.history.len(), self.step);
            return Err(Error::argument(
                "updates in the checkpoint",
                self.optimizer.moments().step,
                expected,
            ));
        }
        Ok(())
    }

    /// The state from which [`resume`](Self::resume) continues.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            config: self.config.clone(),
            data_crc32: self.data_crc32,
            params: self.params.flat().to_vec(),
            moments: self.optimizer.moments().clone(),
            history: self.history.clone(),
            baseline: self.baseline,
            weight: self.weight,
            step: self.step,
            losses: self.losses,
        }
    }

    /// Losses of the completed epochs.
    pub fn history(&self) -> &[EpochRecord] {
        &self.history
    }

    /// The epoch with the lowest test loss so far, and the first such epoch of several.
    pub fn best(&self) -> Option<&EpochRecord> {
        self.history.iter().min_by(|a, b| a.test.loss.total_cmp(&b.test.loss))
    }

    /// Number of updates made in the current epoch, which follows the [`history`](Self::history),
    /// and number of updates per epoch.
    pub fn step(&self) -> (usize, usize) {
        (self.step, self.train_batches.len())
    }

    /// Options of the run.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Current parameters.
    pub fn params(&self) -> &ParamStore<f32> {
        &self.params
    }

    /// Trains to the end of the epoch and then measures the test loss. `observe` is called after
    /// every update.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn epoch(&mut self, observe: &mut dyn FnMut(Progress)) -> Result<EpochRecord, TrainError> {
        loop {
            match self.advance()? {
                Advance::Step(progress) => observe(progress),
                Advance::Epoch(progress, record) => {
                    observe(progress);
                    return Ok(record);
                }
            }
        }
    }

    /// Makes one update, and after the last update of an epoch measures the test loss. The caller
    /// may take a [`checkpoint`](Self::checkpoint) after every call.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] with the name of the number, if the loss, a gradient or its mean
    /// square, a parameter or the test loss is not finite. The trainer cannot continue then. A
    /// checkpoint taken before remains valid.
    pub fn advance(&mut self) -> Result<Advance, TrainError> {
        let epoch = self.history.len() + 1;
        if self.prepared != Some(epoch) {
            self.optimizer.set_lr(self.config.lr_at(epoch))?;
            self.estimator = self.config.estimator_at(epoch).build()?;
            if let BuiltEstimator::Sample(estimator) = &self.estimator {
                let choice = Choice::shared(estimator.clone(), self.vae.latent().categories);
                self.choice = choice.with_draw_temperature(self.config.draw_tau)?;
            }
            self.train_batches.reshuffle(&mut self.streams.rng(Purpose::Shuffle, epoch as u64, 0));
            self.prepared = Some(epoch);
        }
        let steps = self.train_batches.len();
        if self.step < steps {
            par::with_busy_waiting(|| self.update(epoch))?;
        }
        let loss = self.losses.mean();
        let progress = Progress { epoch, step: self.step, steps, images: self.images_seen(), loss };
        if self.step < steps {
            return Ok(Advance::Step(progress));
        }
        let images = self.data.test.images();
        let pass = Pass { images, noise: (Purpose::Test, epoch), argmax: false, what: "the test loss" };
        let test = self.pass(&pass, &mut || Ok::<_, TrainError>(()))?;
        let record = EpochRecord { epoch, train: loss, test: test.loss, usage: Some(test.usage.summary()) };
        self.history.push(record.clone());
        (self.step, self.losses) = (0, LossSum::default());
        Ok(Advance::Epoch(progress, record))
    }

    /// Number of images seen in the current epoch.
    fn images_seen(&self) -> usize {
        self.data.train.len().min(self.step.saturating_mul(self.config.batch_size))
    }

    fn samples_of_an_image(&self) -> usize {
        self.config.estimator.samples()
    }

    /// Draws the noise of `sampler` for the codes of this number of images.
    pub(super) fn draw(&mut self, purpose: Purpose, epoch: usize, step: usize, images: usize) {
        let mut rng = self.streams.rng(purpose, epoch as u64, step as u64);
        self.sampler.draw(&mut rng, images * self.vae.latent().variables);
    }

    /// Makes the next update of this epoch.
    fn update(&mut self, epoch: usize) -> Result<(), TrainError> {
        let step = self.step + 1;
        let batch = self.train_batches.get(self.step).expect("the caller counts the batches");
        let mut rng = self.streams.rng(Purpose::Train, epoch as u64, step as u64);
        self.choice.draw(&mut rng, batch.len() * self.vae.latent().variables * self.samples_of_an_image());
        let (vae, estimator) = (&self.vae, &self.estimator);
        let (choice, draw_tau) = (&self.choice, self.config.draw_tau);
        let loss = StepLoss { vae, estimator, choice, draw_tau, mean: &self.baseline, weight: &self.weight };
        let mut tape = self.workspace.tape(&self.params);
        let loss = loss.record(&mut tape, self.data.train.images(), batch)?;
        if !tape.scalar(loss.total).is_finite() {
            return Err(TrainError::NotFinite { what: "the loss".into(), epoch, step });
        }
        let (mut losses, mut baseline) = (self.losses, self.baseline);
        let bce = tape.value(loss.bce).data;
        losses.add(bce, tape.value(loss.kl).data);
        if let BuiltEstimator::Reinforce(BaselineConfig::RunningMean) = self.estimator {
            baseline.add(bce.iter().map(|&b| f64::from(b)).sum::<f64>() / bce.len() as f64);
        }
        tape.backward(loss.total, &mut self.grads);
        if let Some(max) = self.config.clip_norm {
            optim::clip_norm(&mut self.grads, max);
        }
        if !self.optimizer.step(&mut self.params, &self.grads) {
            return Err(TrainError::NotFinite { what: self.what_is_not_finite(), epoch, step });
        }
        (self.step, self.losses, self.baseline) = (step, losses, baseline);
        if let BuiltEstimator::DoubleControlVariate(estimator, WeightConfig::Adapted) = &self.estimator {
            self.weight.add(estimator.take_moments());
        }
        Ok(())
    }

    /// Name of the number that is not finite. Gradients are searched first, then their mean
    /// squares, then parameters, because each is computed from the one before.
    fn what_is_not_finite(&self) -> String {
        let mean_square = &self.optimizer.moments().mean_square;
        let places = [
            ("the gradient of ", self.grads.flat()),
            ("the mean squared gradient of ", &mean_square[..]),
            ("", self.params.flat()),
        ];
        let found = places.iter().find_map(|(what, numbers)| {
            let index = numbers.iter().position(|x| !x.is_finite())?;
            Some(format!("{what}{}", self.params.name_at(index)))
        });
        found.unwrap_or_else(|| "a parameter".into())
    }

    /// The first `count` test images, and their reconstructions from one sampled code each, as
    /// probabilities of ink. Both have the shape `[count, pixels]`.
    pub fn reconstructions(&mut self, count: usize) -> (Mat<f32>, Mat<f32>) {
        let images = self.data.test.images();
        let indices: Vec<u32> = (0..count.min(images.len()) as u32).collect();
        let mut inputs = Mat::zeros(indices.len(), images.pixels_per_image());
        images.fill(&indices, inputs.as_mut_slice());
        // This is the noise of the last test pass, so the codes are those that it measured.
        self.draw(Purpose::Test, self.history.len(), 0, indices.len());
        let mut tape = self.workspace.tape(&self.params);
        let x = tape.constant(inputs.view());
        let theta = self.vae.encode(&mut tape, x);
        let logits = law(&mut tape, theta, self.config.draw_tau);
        let z = tape.sample(&self.sampler, logits);
        let pixels = self.vae.decode(&mut tape, z);
        let probs = tape.sigmoid(pixels);
        let probs = tape.value(probs).to_mat();
        (inputs, probs)
    }

    /// Images decoded from codes of the uniform prior, as probabilities of ink, `[count, pixels]`.
    pub fn samples(&mut self, count: usize) -> Mat<f32> {
        let latent = self.vae.latent();
        let mut rng = self.streams.rng(Purpose::Prior, self.history.len() as u64, 0);
        let mut codes = Mat::zeros(count, latent.width());
        for variable in codes.as_mut_slice().chunks_mut(latent.categories) {
            variable[below(&mut rng, latent.categories as u64) as usize] = 1.0;
        }
        let mut tape = self.workspace.tape(&self.params);
        let z = tape.constant(codes.view());
        let pixels = self.vae.decode(&mut tape, z);
        let probs = tape.sigmoid(pixels);
        tape.value(probs).to_mat()
    }
}
