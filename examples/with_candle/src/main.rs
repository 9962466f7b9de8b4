//! Trains a categorical VAE written in candle on the built-in digits, with ReinMax and with
//! Gumbel-Rao, and writes a picture of test digits above their reconstructions.
//!
//! ```text
//! cargo run --release              ten epochs of 10,000 digits with each estimator
//! cargo run --release -- --smoke   two epochs of 1,000 digits
//! ```

#[path = "../../lab/pictures.rs"]
mod pictures;

use hardgrad::data::{DIGITS_TEST, DIGITS_TRAIN, digits};
use hardgrad::estimators::{Estimator, GumbelRao, ReinMax};
use hardgrad::rng::{Purpose, Streams};
use hardgrad_with_candle::vae::{Vae, tensor};
use pictures::Grid;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let (epochs, count) = if smoke { (2, DIGITS_TRAIN / 10) } else { (10, DIGITS_TRAIN) };
    let data = digits(0, count, DIGITS_TEST);
    let (train, test) = (data.train.images(), data.test.images());
    let estimators: [(&str, Arc<dyn Estimator<f32>>); 2] =
        [("reinmax", Arc::new(ReinMax::new(1.0)?)), ("gumbel-rao", Arc::new(GumbelRao::new(1.0, 100)?))];
    for (name, estimator) in estimators {
        let streams = Streams::new(0);
        let vae = Vae::new(train.pixels_per_image(), estimator, &mut streams.rng(Purpose::Init, 0, 0))?;
        let start = Instant::now();
        vae.train(train, epochs, streams, |epoch, loss| {
            let seconds = start.elapsed().as_secs_f64();
            println!("{name}: epoch {epoch} of {epochs}, {loss:.2} nats per image, {seconds:.1} s");
        })?;
        let x = tensor(test, &std::array::from_fn::<u32, 20, _>(|i| i as u32))?;
        let rebuilt = vae.reconstruct(&x, &mut streams.rng(Purpose::Test, 0, 0))?;
        let (x, rebuilt) = (x.to_vec2::<f32>()?, rebuilt.to_vec2::<f32>()?);
        let rows = [&x, &rebuilt].map(|images| images.iter().map(Vec::as_slice).collect());
        let path = PathBuf::from("runs").join(format!("{name}.png"));
        std::fs::create_dir_all("runs")?;
        Grid { height: test.rows(), width: test.cols(), rows: rows.into() }.save(&path)?;
        println!("{name}: {}", path.display());
    }
    Ok(())
}
