//! The page's losses on the tape, and their constants. The page gets the constants as JSON; its own
//! functions are in `losses.js`.

use hardgrad::nn::Activation;
use hardgrad::{Mat, Tape, Var};
use serde::{Deserialize, Serialize};

/// The most categories of the page's variable; with fewer, the first numbers of each table are
/// used.
pub const MOST_CATEGORIES: usize = 8;

/// w of the polynomials: signs and sizes that differ, so that the categories do.
pub const WEIGHTS: [f64; MOST_CATEGORIES] = [1.2, -0.8, 0.6, -1.4, 0.9, -0.5, 1.1, -0.7];
/// c of the polynomials, away from 0, ½ and 1, so that no power is alike at both ends.
pub const CENTERS: [f64; MOST_CATEGORIES] = [0.2, 0.35, 0.6, 0.15, 0.45, 0.75, 0.3, 0.55];

/// The decoder's W, `[C, 4]`.
pub const FIRST: [[f64; 4]; MOST_CATEGORIES] = [
    [2.1, -1.4, 0.7, -2.6],
    [-1.8, 2.4, -0.3, 1.1],
    [0.4, -2.2, 2.9, 0.8],
    [-2.7, 0.6, -1.5, 2.3],
    [1.3, 1.9, -2.8, -0.5],
    [-0.9, -0.7, 1.6, -1.2],
    [2.6, 0.2, 1.0, 1.7],
    [-1.1, 2.8, 0.9, -2.0],
];
/// The decoder's a, `[4]`.
pub const FIRST_BIAS: [f64; 4] = [0.3, -0.2, 0.1, -0.4];
/// The decoder's V, `[4, 6]`.
pub const SECOND: [[f64; 6]; 4] = [
    [3.1, -2.4, 1.2, -0.6, 2.2, -1.9],
    [-1.7, 2.6, -2.9, 1.4, 0.5, 2.3],
    [0.8, 1.5, 2.7, -3.2, -1.3, 0.4],
    [-2.5, 0.9, -0.7, 2.8, 1.8, -2.1],
];
/// The decoder's b, `[6]`.
pub const SECOND_BIAS: [f64; 6] = [-0.5, 0.4, 0.2, -0.3, -0.8, 0.6];
/// The pixels t that the decoder should draw, `[6]`.
pub const TARGET: [f64; 6] = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0];

/// A function of a point of the simplex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Σ w (x − c)
    Linear,
    /// Σ w (x − c)²
    Quadratic,
    /// Σ w (x − c)³
    Cubic,
    /// −Σ |w| (x − c)²
    Concave,
    /// BCE(t, σ(V σ(W x + a) + b))
    Decoder,
}

impl Loss {
    /// f of each row, of the weighted mean of its L points. Shapes: x `[N, L·C]` → `[N, 1]`.
    pub fn record(self, tape: &mut Tape<'_, f64>, x: Var, categories: usize) -> Var {
        let x = mixed(tape, x, categories);
        match self {
            Self::Linear => polynomial(tape, x, 1),
            Self::Quadratic => polynomial(tape, x, 2),
            Self::Cubic => polynomial(tape, x, 3),
            Self::Concave => concave(tape, x),
            Self::Decoder => decoder(tape, x),
        }
    }
}

/// Σ_l a_l x^l with a ∝ L, L − 1, …, 1 and Σ a = 1. Shapes: x `[N, L·C]` → `[N, C]`.
fn mixed(tape: &mut Tape<'_, f64>, x: Var, categories: usize) -> Var {
    let latents = tape.shape(x).1 / categories;
    if latents == 1 {
        return x;
    }
    let weight = |l: usize| 2.0 * (latents - l) as f64 / (latents * (latents + 1)) as f64;
    let weights = Mat::from_fn(latents * categories, categories, |i, j| {
        if i % categories == j { weight(i / categories) } else { 0.0 }
    });
    let weights = tape.constant(&weights);
    tape.matmul(x, weights)
}

/// Σ w (x − c)^power of each row.
fn polynomial(tape: &mut Tape<'_, f64>, x: Var, power: u32) -> Var {
    let c = tape.shape(x).1;
    let minus_centers =
        tape.constant_with(1, c, |out| out.iter_mut().zip(CENTERS).for_each(|(o, c)| *o = -c));
    let weights = tape.constant_with(c, 1, |out| out.copy_from_slice(&WEIGHTS[..c]));
    let away = tape.add_bias(x, minus_centers);
    let powers = (1..power).fold(away, |product, _| tape.mul(product, away));
    tape.matmul(powers, weights)
}

/// −Σ |w| (x − c)² of each row.
fn concave(tape: &mut Tape<'_, f64>, x: Var) -> Var {
    let c = tape.shape(x).1;
    let minus_centers =
        tape.constant_with(1, c, |out| out.iter_mut().zip(CENTERS).for_each(|(o, c)| *o = -c));
    let weights =
        tape.constant_with(c, 1, |out| out.iter_mut().zip(WEIGHTS).for_each(|(o, w)| *o = -w.abs()));
    let away = tape.add_bias(x, minus_centers);
    let squares = tape.mul(away, away);
    tape.matmul(squares, weights)
}

fn decoder(tape: &mut Tape<'_, f64>, x: Var) -> Var {
    let (rows, c) = tape.shape(x);
    let first = tape.constant(Mat::from_rows(&FIRST[..c]).view());
    let first_bias = tape.constant(Mat::from_rows(&[FIRST_BIAS]).view());
    let second = tape.constant(Mat::from_rows(&SECOND).view());
    let second_bias = tape.constant(Mat::from_rows(&[SECOND_BIAS]).view());
    let hidden = tape.linear(x, first, first_bias, Activation::Identity);
    let hidden = tape.sigmoid(hidden);
    let logits = tape.linear(hidden, second, second_bias, Activation::Identity);
    let targets = tape.constant_with(rows, TARGET.len(), |out| {
        out.chunks_mut(TARGET.len()).for_each(|row| row.copy_from_slice(&TARGET));
    });
    tape.bce_with_logits(logits, targets)
}
