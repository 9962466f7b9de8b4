//! The loop.

use super::checkpoint::Checkpoint;
use super::config::TrainConfig;
use super::objective::Objective;
use super::record::{EpochRecord, Loss, LossSum};
use crate::data::{Batches, Dataset};
use crate::error::{Error, Result};
use crate::estimators::{
    Baseline, BaselineConfig, Estimator, GumbelGivenSample, LossNode, Noise, Reinforce, RunningMean,
    SampleNode, StraightThrough,
};
use crate::mat::Mat;
use crate::optim::Optimizer;
use crate::par;
use crate::params::{ParamGrads, ParamStore};
use crate::rng::{Purpose, Streams, below};
use crate::tape::Workspace;
use crate::vae::Vae;

/// Images to a batch when nothing is learned. Part of the promise of stable values: each batch has its own noise.
const TEST_BATCH: usize = 500;

/// Where an epoch stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// From 1.
    pub epoch: usize,
    /// Updates done in this epoch.
    pub step: usize,
    /// Updates in an epoch.
    pub steps: usize,
    /// Images seen in this epoch.
    pub images: usize,
    /// Mean loss of this epoch so far.
    pub loss: Loss,
}

/// A VAE in training, with all that goes on from epoch to epoch.
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
/// # Ok::<(), hardgrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer<'d> {
    config: TrainConfig,
    data: &'d Dataset,
    data_crc32: u32,
    streams: Streams,
    vae: Vae,
    estimator: Estimator<f32>,
    /// Draws where the estimator itself does not; every estimator draws alike.
    sampler: StraightThrough,
    baseline: RunningMean,
    optimizer: Box<dyn Optimizer<f32>>,
    params: ParamStore<f32>,
    history: Vec<EpochRecord>,
    // Memory that is reused.
    grads: ParamGrads<f32>,
    workspace: Workspace<f32>,
    noise: Noise<f32>,
    train_batches: Batches,
    test_batches: Batches,
}

impl<'d> Trainer<'d> {
    /// A run at its beginning.
    ///
    /// # Errors
    /// If a hyper-parameter is outside its range, the images are of another size than the network's input, or one of the
    /// splits is empty.
    pub fn new(config: TrainConfig, data: &'d Dataset) -> Result<Self> {
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
            vae,
            estimator: config.estimator.build()?,
            sampler: StraightThrough::new(1.0)?,
            baseline: RunningMean::default(),
            optimizer: config.build_optimizer()?,
            grads: ParamGrads::zeros(&params),
            params,
            history: Vec::new(),
            workspace: Workspace::new(),
            noise: Noise::new(),
            train_batches: Batches::in_order(data.train.len(), config.batch_size)?,
            test_batches: Batches::in_order(data.test.len(), TEST_BATCH)?,
            config,
            data,
        })
    }

    /// A run as a checkpoint holds it.
    ///
    /// # Errors
    /// As [`new`](Self::new); or if the checkpoint's numbers are not of this network's size, or the data are not those it
    /// was trained on.
    pub fn resume(checkpoint: Checkpoint, data: &'d Dataset) -> Result<Self> {
        let mut trainer = Self::new(checkpoint.config, data)?;
        let crc = trainer.data_crc32;
        if checkpoint.data_crc32 != crc {
            let expected = format!("{:08x}, the data the run was begun with", checkpoint.data_crc32);
            return Err(Error::argument("checksum of the training images", format!("{crc:08x}"), expected));
        }
        let size = trainer.params.flat().len();
        let moments = &checkpoint.moments;
        for (name, len) in [
            ("parameters in the checkpoint", checkpoint.params.len()),
            ("moments in the checkpoint", moments.mean.len()),
            ("squared moments in the checkpoint", moments.mean_square.len()),
        ] {
            // Before the first update there are no moments.
            if len != size && !(len == 0 && moments.step == 0) {
                return Err(Error::argument(name, len, format!("{size}, as the network has")));
            }
        }
        trainer.params.flat_mut().copy_from_slice(&checkpoint.params);
        *trainer.optimizer.moments_mut() = checkpoint.moments;
        trainer.history = checkpoint.history;
        trainer.baseline = checkpoint.baseline;
        Ok(trainer)
    }

    /// All that [`resume`](Self::resume) needs.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            config: self.config.clone(),
            data_crc32: self.data_crc32,
            params: self.params.flat().to_vec(),
            moments: self.optimizer.moments().clone(),
            history: self.history.clone(),
            baseline: self.baseline,
        }
    }

    /// The epochs done.
    pub fn history(&self) -> &[EpochRecord] {
        &self.history
    }

    /// The config.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The parameters.
    pub fn params(&self) -> &ParamStore<f32> {
        &self.params
    }

    /// Trains one epoch and then measures the test loss. `observe` is called after every update.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a loss is not finite. The run cannot go on then; the caller's last checkpoint is good.
    pub fn epoch(&mut self, observe: &mut dyn FnMut(Progress)) -> Result<EpochRecord> {
        let epoch = self.history.len() + 1;
        self.estimator = self.config.estimator_at(epoch).build()?;
        self.train_batches.reshuffle(&mut self.streams.rng(Purpose::Shuffle, epoch as u64, 0));
        let mut sum = LossSum::default();
        let steps = self.train_batches.len();
        let mut images = 0;
        for step in 1..=steps {
            let batch = self.train_batches.get(step - 1).expect("step counts the batches");
            images += batch.len();
            par::keep_awake(|| self.update(epoch, step, &mut sum))?;
            observe(Progress { epoch, step, steps, images, loss: sum.mean() });
        }
        let test = self.test_loss(epoch)?;
        let record = EpochRecord { epoch, train: sum.mean(), test };
        self.history.push(record);
        Ok(record)
    }

    /// One update from batch `step` (from 1) of this epoch's order.
    fn update(&mut self, epoch: usize, step: usize, sum: &mut LossSum) -> Result<()> {
        let batch = self.train_batches.get(step - 1).expect("step counts the batches");
        let (width, c) = (self.vae.latent().width(), self.vae.latent().categories);
        let samples = match self.estimator {
            Estimator::Reinforce(BaselineConfig::LeaveOneOut { samples }) => samples,
            _ => 1,
        };
        let mut rng = self.streams.rng(Purpose::Train, epoch as u64, step as u64);
        self.noise.draw(&mut rng, batch.len() * width * samples);
        // The nodes borrow what they need and are made before the tape, which borrows them.
        let reinforce = Reinforce::new(match samples {
            1 => Baseline::Constant(self.baseline.get()),
            _ => Baseline::leave_one_out(samples)?,
        });
        let sample = SampleNode::new(&self.sampler, &self.noise, c);
        let objective = match &self.estimator {
            Estimator::Sample(estimator) => Objective::Sample(SampleNode::new(&**estimator, &self.noise, c)),
            Estimator::Reinforce(_) => {
                Objective::Score { sample, loss: LossNode::new(&reinforce, c), samples }
            }
            Estimator::Rebar(rebar) => {
                let given = GumbelGivenSample::new(&self.noise, c);
                Objective::Rebar { sample, loss: LossNode::new(rebar, c), rebar, given }
            }
            Estimator::Exact => Objective::Exact,
        };
        let mut tape = self.workspace.tape(&self.params);
        let loss = objective.record(&mut tape, &self.vae, self.data.train.images(), batch);
        if !tape.scalar(loss.total).is_finite() {
            return Err(Error::NotFinite { what: "the loss".into(), epoch, step });
        }
        let bce = tape.value(loss.bce).data;
        sum.add(bce, tape.value(loss.kl).data);
        if let Estimator::Reinforce(BaselineConfig::RunningMean) = self.estimator {
            self.baseline.add(bce.iter().map(|&b| f64::from(b)).sum::<f64>() / bce.len() as f64);
        }
        tape.backward(loss.total, &mut self.grads);
        self.optimizer.step(&mut self.params, &self.grads);
        Ok(())
    }

    /// The test loss with the present parameters: one sample an image.
    fn test_loss(&mut self, epoch: usize) -> Result<Loss> {
        let latent = self.vae.latent();
        let mut sum = LossSum::default();
        for (step, batch) in self.test_batches.iter().enumerate() {
            let mut rng = self.streams.rng(Purpose::Test, epoch as u64, step as u64);
            self.noise.draw(&mut rng, batch.len() * latent.width());
            let node = SampleNode::new(&self.sampler, &self.noise, latent.categories);
            let objective = Objective::Sample(node);
            let mut tape = self.workspace.tape(&self.params);
            let loss = objective.record(&mut tape, &self.vae, self.data.test.images(), batch);
            if !tape.scalar(loss.total).is_finite() {
                return Err(Error::NotFinite { what: "the test loss".into(), epoch, step: step + 1 });
            }
            sum.add(tape.value(loss.bce).data, tape.value(loss.kl).data);
        }
        Ok(sum.mean())
    }

    /// The first `count` test images and their reconstructions from one sampled code each: probabilities of ink, both
    /// `[count, pixels]`.
    pub fn reconstructions(&mut self, count: usize) -> (Mat<f32>, Mat<f32>) {
        let images = self.data.test.images();
        let indices: Vec<u32> = (0..count.min(images.len()) as u32).collect();
        let mut inputs = Mat::zeros(indices.len(), images.pixels_per_image());
        images.fill(&indices, inputs.as_mut_slice());
        let latent = self.vae.latent();
        // The noise of the last test pass, so that these are the codes it measured.
        let mut rng = self.streams.rng(Purpose::Test, self.history.len() as u64, 0);
        self.noise.draw(&mut rng, indices.len() * latent.width());
        let node = SampleNode::new(&self.sampler, &self.noise, latent.categories);
        let mut tape = self.workspace.tape(&self.params);
        let x = tape.constant(inputs.view());
        let logits = self.vae.encode(&mut tape, x);
        let z = tape.custom(&node, &[logits]);
        let pixels = self.vae.decode(&mut tape, z);
        let probs = tape.sigmoid(pixels);
        let probs = tape.value(probs).to_mat();
        (inputs, probs)
    }

    /// Decoded codes drawn from the uniform prior: probabilities of ink, `[count, pixels]`.
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
