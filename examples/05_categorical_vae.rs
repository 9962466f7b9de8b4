//! A discrete VAE written by hand: encoder, one ReinMax node, decoder and evidence lower bound; and
//! the gap between the bound and the exact log-likelihood, which is a sum over 8^4 = 4096 codes. It
//! writes `metrics.jsonl` and `curves.svg` to `runs/05_categorical_vae`.
//!
//! ```text
//! cargo run --release --example 05_categorical_vae              MNIST where it is found, else the built-in digits; half a minute
//! cargo run --release --example 05_categorical_vae -- --smoke   one epoch of the built-in digits, and checks; two seconds
//!
//! epoch 1: 212.83 nats per image
//! …
//! epoch 5: 149.55 nats per image
//! 100 test images: exact bound 144.59, exact -log p(x) 137.94 nats; the gap is the KL to the true posterior
//! ```
//!
//! `train_vae` trains this model with checkpoints, every estimator, pictures and more options.

#[path = "lab/mod.rs"]
mod lab;

use clap::Parser;
use hardgrad::data::Batches;
use hardgrad::estimators::{Choice, ReinMax};
use hardgrad::files::write_atomically;
use hardgrad::optim::{Adam, AdamConfig, Optimizer};
use hardgrad::rng::{Purpose, Streams};
use hardgrad::vae::{Vae, VaeConfig};
use hardgrad::{ParamGrads, ParamStore, Workspace};
use lab::data::DatasetChoice;
use lab::output::tell as println; // unlike std's, it does not panic if the pipe is closed
use lab::svg::{Chart, Mark, Series};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
struct Args {
    /// Directory with the four files of MNIST or of a data set in its format [default: $MNIST_DIR,
    /// data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// One epoch of the built-in digits, and checks
    #[arg(long)]
    smoke: bool,
}

fn main() -> ExitCode {
    lab::exit::of(run())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let Args { data, smoke } = Args::parse();
    let (choice, epochs) = if smoke { (DatasetChoice::Digits, 1) } else { (DatasetChoice::Auto, 5) };
    let data = lab::data::load(choice, data.as_deref())?;
    let (images, latent) = (data.train.images(), "8x4".parse()?);
    let (streams, mut params) = (Streams::new(0), ParamStore::<f32>::new());
    let config = VaeConfig { pixels: images.pixels_per_image(), ..VaeConfig::paper(latent) };
    let vae = Vae::new(&mut params, &config, &mut streams.rng(Purpose::Init, 0, 0));
    let mut choice = Choice::new(ReinMax::new(1.3)?, latent.categories);
    let mut adam = Adam::new(AdamConfig { lr: 5e-4, ..AdamConfig::default() })?;
    let (mut workspace, mut grads) = (Workspace::new(), ParamGrads::zeros(&params));
    let (mut curve, mut lines, mut last, mut step) = (Vec::new(), String::new(), f64::NAN, 0);
    for epoch in 1..=epochs {
        let batches = Batches::shuffled(images.len(), 100, &mut streams.rng(Purpose::Shuffle, epoch, 0))?;
        let mut sum = 0.0;
        for batch in batches.iter() {
            step += 1;
            choice.draw(&mut streams.rng(Purpose::Train, epoch, step), batch.len() * latent.variables);
            let mut tape = workspace.tape(&params);
            let x = tape.constant_with(batch.len(), config.pixels, |x| images.fill(batch, x));
            let logits = vae.encode(&mut tape, x);
            let z = tape.sample(&choice, logits); // one-hot; its backward is ReinMax
            let loss = vae.loss(&mut tape, x, logits, z);
            sum += f64::from(tape.scalar(loss.total));
            tape.backward(loss.total, &mut grads);
            adam.step(&mut params, &grads);
        }
        last = sum / batches.len() as f64;
        println!("epoch {epoch}: {last:.2} nats per image");
        curve.push((epoch as f64, last));
        lines += &format!("{{\"epoch\":{epoch},\"loss\":{last}}}\n");
    }
    let [bound, exact] = bound_and_likelihood(&vae, &params, &data)?;
    println!(
        "100 test images: exact bound {bound:.2}, exact -log p(x) {exact:.2} nats; the gap is the KL to the true posterior"
    );
    // Both are exact, so this is Jensen's inequality for each image, up to rounding in f32.
    assert!(bound >= exact - 1e-2, "the bound {bound} must not be below {exact}");
    assert!(last < 0.6 * 784.0 * 2f64.ln() || !smoke, "{last} nats after one epoch");
    let series = vec![Series { name: "train".into(), points: curve }];
    let title = format!("8x4 VAE with ReinMax on {}", data.name);
    let out = Path::new("runs/05_categorical_vae");
    Chart::linear(title, ["epoch", "loss, nats per image"], Mark::Line, series)
        .save(&out.join("curves.svg"))?;
    Ok(write_atomically(&out.join("metrics.jsonl"), lines.as_bytes())?)
}

/// Means over 100 test images of the negative evidence lower bound, its expectation over q enumerated, and of −log p(x).
fn bound_and_likelihood(
    vae: &Vae,
    params: &ParamStore<f32>,
    data: &hardgrad::data::Dataset,
) -> hardgrad::Result<[f64; 2]> {
    let batches = Batches::in_order(data.test.len(), 100)?;
    let Some(batch) = batches.get(0) else { return Ok([0.0; 2]) };
    let (mut workspace, images) = (Workspace::new(), data.test.images());
    let mut tape = workspace.tape(params);
    let x = tape.constant_with(batch.len(), images.pixels_per_image(), |x| images.fill(batch, x));
    let logits = vae.encode(&mut tape, x);
    let bce = vae.expected_bce(&mut tape, x, logits);
    let bound = vae.total(&mut tape, bce, logits);
    let exact = vae.exact_log_likelihood(&mut tape, x);
    let mean = exact.iter().sum::<f64>() / exact.len() as f64;
    Ok([f64::from(tape.scalar(bound.total)), -mean])
}
