//! Draws by the Gumbel-max trick, with the library's sampler.

use super::noise::Stream;
use hardgrad::categorical::{argmax, sample};
use hardgrad::softmax::softmax_in_place;
use hardgrad::{Error, Result};
use serde::{Deserialize, Serialize};

/// What the panel of the Gumbel-max trick shows.
#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    /// θ, `[C]`; a masked category has none, which is −∞.
    theta: Vec<Option<f64>>,
    seed: u32,
    draws: usize,
}

/// The state after these draws.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    pi: Vec<f64>,
    /// How often each category was drawn, `[C]`.
    counts: Vec<usize>,
    /// G of the last draw, `[C]`.
    gumbel: Vec<f64>,
    /// The category of the last draw.
    hot: usize,
}

pub fn numbers(setting: &Setting) -> Result<Numbers> {
    let theta: Vec<f64> = setting.theta.iter().map(|theta| theta.unwrap_or(f64::NEG_INFINITY)).collect();
    if theta.iter().all(|theta| theta.is_infinite()) || setting.draws == 0 {
        let got = format!("{:?} and {} draws", setting.theta, setting.draws);
        return Err(Error::argument("theta and draws", got, "a category that is not masked, and a draw"));
    }
    let (c, mut stream) = (theta.len(), Stream::of(setting.seed, 2));
    let gumbel: Vec<f64> = (0..setting.draws * c).map(|_| -stream.exponential().ln()).collect();
    let mut one_hot = vec![0.0; gumbel.len()];
    sample(&theta.repeat(setting.draws), &gumbel, c, &mut one_hot);
    let mut counts = vec![0; c];
    let mut hot = 0;
    for d in one_hot.chunks(c) {
        hot = argmax(d.iter().copied());
        counts[hot] += 1;
    }
    let mut pi = theta;
    softmax_in_place(&mut pi, 1.0);
    Ok(Numbers { pi, counts, gumbel: gumbel[gumbel.len() - c..].to_vec(), hot })
}
