//! A categorical VAE written in candle: nothing but the sample is hardgrad's.

use candle_core::{D, Device, Result, Tensor, Var};
use candle_nn::ops::{log_softmax, sigmoid};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW};
use hardgrad::data::{Batches, Images};
use hardgrad::estimators::Estimator;
use hardgrad::rng::{Pcg64, Purpose, Streams, uniform};
use std::sync::Arc;

/// Number L of categorical variables of a code.
pub const VARIABLES: usize = 4;
/// Number C of categories of a variable.
pub const CATEGORIES: usize = 8;
/// Hidden sizes of the encoder; the decoder has them in reverse.
const HIDDEN: [usize; 2] = [512, 256];
const BATCH: usize = 100;

/// Linear layers with ReLU between them.
struct Mlp(Vec<Linear>);

impl Mlp {
    /// Weights and biases are uniform in ±1/√inputs. They come from hardgrad's generator, because
    /// candle's generator on the CPU cannot be seeded.
    fn new(sizes: &[usize], vars: &mut Vec<Var>, rng: &mut Pcg64) -> Result<Self> {
        let mut tensor = |shape: &[usize], inputs: usize| -> Result<Tensor> {
            let bound = 1.0 / (inputs as f32).sqrt();
            let numbers = (0..shape.iter().product()).map(|_| bound * (2.0 * uniform::<f32>(rng) - 1.0));
            let var = Var::from_vec(numbers.collect(), shape, &Device::Cpu)?;
            vars.push(var.clone());
            Ok(var.into_inner())
        };
        let layer = |pair: &[usize]| {
            let (inputs, outputs) = (pair[0], pair[1]);
            Ok(Linear::new(tensor(&[outputs, inputs], inputs)?, Some(tensor(&[outputs], inputs)?)))
        };
        sizes.windows(2).map(layer).collect::<Result<_>>().map(Self)
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut layers = self.0.iter();
        let first = layers.next().map_or_else(|| Ok(x.clone()), |layer| layer.forward(x));
        layers.try_fold(first?, |x, layer| layer.forward(&x.relu()?))
    }
}

/// Encoder, sample and decoder.
pub struct Vae {
    encoder: Mlp,
    decoder: Mlp,
    vars: Vec<Var>,
    estimator: Arc<dyn Estimator<f32>>,
}

impl Vae {
    /// A VAE of images with `pixels` pixels, with random weights, that trains with `estimator`.
    ///
    /// # Errors
    /// If candle has one.
    pub fn new(pixels: usize, estimator: Arc<dyn Estimator<f32>>, rng: &mut Pcg64) -> Result<Self> {
        let (mut vars, code) = (Vec::new(), VARIABLES * CATEGORIES);
        let encoder = Mlp::new(&[pixels, HIDDEN[0], HIDDEN[1], code], &mut vars, rng)?;
        let decoder = Mlp::new(&[code, HIDDEN[1], HIDDEN[0], pixels], &mut vars, rng)?;
        Ok(Self { encoder, decoder, vars, estimator })
    }

    /// The logits of the code `[N, L, C]` and those of the pixels `[N, pixels]`, for one sample
    /// of each code.
    fn forward(&self, x: &Tensor, rng: &mut Pcg64) -> Result<(Tensor, Tensor)> {
        let logits = self.encoder.forward(x)?.reshape(((), VARIABLES, CATEGORIES))?;
        let code = crate::sample(&logits, &self.estimator, rng)?;
        let pixels = self.decoder.forward(&code.flatten_from(1)?)?;
        Ok((logits, pixels))
    }

    /// Negative evidence lower bound in nats per image, for images x `[N, pixels]` from 0 to 1.
    ///
    /// # Errors
    /// If candle has one, for example because a shape does not fit.
    pub fn loss(&self, x: &Tensor, rng: &mut Pcg64) -> Result<Tensor> {
        let (logits, pixels) = self.forward(x, rng)?;
        // Cross-entropy of the pixels from logits ℓ: max(ℓ, 0) − ℓ x + log(1 + e^−|ℓ|).
        let rest = (pixels.abs()?.neg()?.exp()? + 1.0)?.log()?;
        let bce = ((pixels.relu()? - (&pixels * x)?)? + rest)?.sum_all()?;
        // KL divergence of each variable to the uniform law: Σ π log π + log C.
        let log_pi = log_softmax(&logits, D::Minus1)?;
        let kl = (log_pi.exp()? * log_pi)?.sum_all()?;
        let images = x.dim(0)? as f64;
        ((bce + kl)? / images)? + VARIABLES as f64 * (CATEGORIES as f64).ln()
    }

    /// Images decoded from one sample of each code, `[N, pixels]`.
    ///
    /// # Errors
    /// If candle has one.
    pub fn reconstruct(&self, x: &Tensor, rng: &mut Pcg64) -> Result<Tensor> {
        sigmoid(&self.forward(x, rng)?.1)
    }

    /// Trains on the images and calls `after_epoch` with the epoch, from 1, and its mean loss in
    /// nats per image. Returns these losses.
    ///
    /// # Errors
    /// If candle has one.
    pub fn train(
        &self,
        images: &Images,
        epochs: u64,
        streams: Streams,
        after_epoch: impl Fn(u64, f64),
    ) -> Result<Vec<f64>> {
        let adam = ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..ParamsAdamW::default() };
        let mut adam = AdamW::new(self.vars.clone(), adam)?;
        let mut losses = Vec::new();
        for epoch in 1..=epochs {
            let mut order = streams.rng(Purpose::Shuffle, epoch, 0);
            let batches =
                Batches::shuffled(images.len(), BATCH, &mut order).map_err(candle_core::Error::wrap)?;
            let mut noise = streams.rng(Purpose::Train, epoch, 0);
            let mut sum = 0.0;
            for batch in batches.iter() {
                let loss = self.loss(&tensor(images, batch)?, &mut noise)?;
                adam.backward_step(&loss)?;
                sum += f64::from(loss.to_scalar::<f32>()?);
            }
            losses.push(sum / batches.len() as f64);
            after_epoch(epoch, sum / batches.len() as f64);
        }
        Ok(losses)
    }
}

/// Images as a tensor `[N, pixels]` with numbers from 0 to 1.
///
/// # Errors
/// If candle has one.
pub fn tensor(images: &Images, indices: &[u32]) -> Result<Tensor> {
    let mut numbers = vec![0.0_f32; indices.len() * images.pixels_per_image()];
    images.fill(indices, &mut numbers);
    Tensor::from_vec(numbers, (indices.len(), images.pixels_per_image()), &Device::Cpu)
}
