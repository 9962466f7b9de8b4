//! A categorical VAE written in burn: nothing but the sample is hardgrad's.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::{log_softmax, relu, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};
use hardgrad::data::{Batches, Images};
use hardgrad::estimators::Estimator;
use hardgrad::rng::{Pcg64, Purpose, Streams};

/// Number L of categorical variables of a code.
pub const VARIABLES: usize = 4;
/// Number C of categories of a variable.
pub const CATEGORIES: usize = 8;
/// Hidden sizes of the encoder; the decoder has them in reverse.
const HIDDEN: [usize; 2] = [512, 256];
const BATCH: usize = 100;
const LEARNING_RATE: f64 = 1e-3;

/// Encoder and decoder: linear layers with ReLU between them.
#[derive(Module, Debug)]
pub struct Vae {
    encoder: Vec<Linear>,
    decoder: Vec<Linear>,
}

fn mlp(sizes: &[usize], device: &Device) -> Vec<Linear> {
    sizes.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(device)).collect()
}

fn forward(layers: &[Linear], x: Tensor<2>) -> Tensor<2> {
    layers.iter().enumerate().fold(x, |x, (i, layer)| layer.forward(if i == 0 { x } else { relu(x) }))
}

impl Vae {
    /// A VAE of images with `pixels` pixels. Its random weights are those of the device's seed.
    pub fn new(pixels: usize, device: &Device) -> Self {
        let code = VARIABLES * CATEGORIES;
        Self {
            encoder: mlp(&[pixels, HIDDEN[0], HIDDEN[1], code], device),
            decoder: mlp(&[code, HIDDEN[1], HIDDEN[0], pixels], device),
        }
    }

    /// The logits of the code `[N, L, C]` and those of the pixels `[N, pixels]`, for one sample
    /// of each code.
    fn forward(
        &self,
        x: Tensor<2>,
        estimator: &dyn Estimator<f32>,
        rng: &mut Pcg64,
    ) -> hardgrad::Result<(Tensor<3>, Tensor<2>)> {
        let logits = forward(&self.encoder, x).reshape([-1, VARIABLES as i32, CATEGORIES as i32]);
        let code = crate::sample::<f32, 3>(logits.clone(), estimator, rng)?;
        let pixels = forward(&self.decoder, code.flatten(1, 2));
        Ok((logits, pixels))
    }

    /// Negative evidence lower bound in nats per image, for images x `[N, pixels]` from 0 to 1.
    ///
    /// # Errors
    /// If [`sample`](crate::sample) has one.
    pub fn loss(
        &self,
        x: Tensor<2>,
        estimator: &dyn Estimator<f32>,
        rng: &mut Pcg64,
    ) -> hardgrad::Result<Tensor<1>> {
        let images = x.dims()[0] as f32;
        let (logits, pixels) = self.forward(x.clone(), estimator, rng)?;
        // Cross-entropy of the pixels from logits ℓ: max(ℓ, 0) − ℓ x + log(1 + e^−|ℓ|).
        let rest = pixels.clone().abs().neg().exp().log1p();
        let bce = (relu(pixels.clone()) - pixels * x + rest).sum();
        // KL divergence of each variable to the uniform law: Σ π log π + log C.
        let log_pi = log_softmax(logits, 2);
        let kl = (log_pi.clone().exp() * log_pi).sum();
        Ok((bce + kl) / images + VARIABLES as f32 * (CATEGORIES as f32).ln())
    }

    /// Images decoded from one sample of each code, `[N, pixels]`.
    ///
    /// # Errors
    /// If [`sample`](crate::sample) has one.
    pub fn reconstruct(
        &self,
        x: Tensor<2>,
        estimator: &dyn Estimator<f32>,
        rng: &mut Pcg64,
    ) -> hardgrad::Result<Tensor<2>> {
        Ok(sigmoid(self.forward(x, estimator, rng)?.1))
    }

    /// Trains on the images and calls `after_epoch` with the epoch, from 1, and its mean loss in
    /// nats per image. Returns the trained VAE and these losses.
    ///
    /// # Errors
    /// If [`sample`](crate::sample) has one, or there are no images.
    pub fn train(
        mut self,
        images: &Images,
        epochs: u64,
        estimator: &dyn Estimator<f32>,
        device: &Device,
        after_epoch: impl Fn(u64, f64),
    ) -> hardgrad::Result<(Self, Vec<f64>)> {
        let (streams, mut adam) = (Streams::new(0), AdamConfig::new().with_epsilon(1e-8).init());
        let mut losses = Vec::new();
        for epoch in 1..=epochs {
            let batches =
                Batches::shuffled(images.len(), BATCH, &mut streams.rng(Purpose::Shuffle, epoch, 0))?;
            let mut noise = streams.rng(Purpose::Train, epoch, 0);
            let mut sum = 0.0;
            for batch in batches.iter() {
                let loss = self.loss(tensor(images, batch, device), estimator, &mut noise)?;
                let grads = GradientsParams::from_grads(loss.backward(), &self);
                self = adam.step(LEARNING_RATE, self, grads);
                sum += f64::from(loss.into_scalar::<f32>());
            }
            losses.push(sum / batches.len() as f64);
            after_epoch(epoch, sum / batches.len() as f64);
        }
        Ok((self, losses))
    }
}

/// Images as a tensor `[N, pixels]` with numbers from 0 to 1.
pub fn tensor(images: &Images, indices: &[u32], device: &Device) -> Tensor<2> {
    let mut numbers = vec![0.0_f32; indices.len() * images.pixels_per_image()];
    images.fill(indices, &mut numbers);
    Tensor::from_data(TensorData::new(numbers, [indices.len(), images.pixels_per_image()]), device)
}
