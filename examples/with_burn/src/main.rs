//! Trains a categorical VAE written in burn on the built-in digits, with ReinMax and with
//! Gumbel-Rao, and writes a picture of test digits above their reconstructions.
//!
//! ```text
//! cargo run --release              ten epochs of 10,000 digits with each estimator
//! cargo run --release -- --smoke   two epochs of 1,000 digits
//! ```

#[path = "../../lab/pictures.rs"]
mod pictures;

use burn::tensor::{Device, Tensor};
use hardgrad::data::{DIGITS_TEST, DIGITS_TRAIN, digits};
use hardgrad::estimators::{Estimator, GumbelRao, ReinMax};
use hardgrad::rng::{Purpose, Streams};
use hardgrad_with_burn::vae::{Vae, tensor};
use pictures::Grid;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (epochs, count) = if smoke { (2, DIGITS_TRAIN / 10) } else { (10, DIGITS_TRAIN) };
    let data = digits(0, count, DIGITS_TEST);
    let (train, test) = (data.train.images(), data.test.images());
    let device = Device::flex().autodiff();
    let estimators: [(&str, &dyn Estimator<f32>); 2] =
        [("reinmax", &ReinMax::new(1.0)?), ("gumbel-rao", &GumbelRao::new(1.0, 100)?)];
    for (name, estimator) in estimators {
        device.seed(0);
        let vae = Vae::new(train.pixels_per_image(), &device);
        let start = Instant::now();
        let (vae, _) = vae.train(train, epochs, estimator, &device, |epoch, loss| {
            let seconds = start.elapsed().as_secs_f64();
            println!("{name}: epoch {epoch} of {epochs}, {loss:.2} nats per image, {seconds:.1} s");
        })?;
        let x = tensor(test, &std::array::from_fn::<u32, 20, _>(|i| i as u32), &device);
        let mut noise = Streams::new(0).rng(Purpose::Test, 0, 0);
        let rebuilt = vae.reconstruct(x.clone(), estimator, &mut noise)?;
        let numbers =
            |tensor: Tensor<2>| tensor.into_data().try_into_vec::<f32>().map_err(|e| format!("{e:?}"));
        let (x, rebuilt) = (numbers(x)?, numbers(rebuilt)?);
        let rows = [&x, &rebuilt].map(|images| images.chunks(test.pixels_per_image()).collect());
        let path = PathBuf::from("runs").join(format!("{name}.png"));
        std::fs::create_dir_all("runs")?;
        Grid { height: test.rows(), width: test.cols(), rows: rows.into() }.save(&path)?;
        println!("{name}: {}", path.display());
    }
    Ok(())
}
