//! The page's random numbers, as `noise.js` makes them.

use hardgrad::certify::gumbel_given;
use rand::rngs::Xoshiro128PlusPlus;
use rand::{Rng, SeedableRng};

/// The state that the page's xoshiro128++ starts with: the first bits of e.
pub const SEED: [u32; 4] = [0xb7e1_5162, 0x8aed_2a6a, 0xbf71_5880, 0x9cf4_f3c7];
/// Rows of noise to a draw: one for the Gumbel noise, 100 for draws given D, one for the control
/// variate.
pub const ROWS: usize = 102;
/// (C, draws for each D): about as many in all.
pub const DRAWS_GIVEN: [(usize, usize); 3] = [(2, 1200), (3, 800), (8, 300)];

/// A stream of random numbers.
#[derive(Debug)]
pub struct Stream(Xoshiro128PlusPlus);

impl Stream {
    pub fn new(state: [u32; 4]) -> Self {
        let mut seed = [0; 16];
        seed.chunks_mut(4).zip(state).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        Self(Xoshiro128PlusPlus::from_seed(seed))
    }

    /// The stream with this number of a seed.
    pub fn of(seed: u32, number: u32) -> Self {
        let mut state = SEED;
        for (k, word) in (0..).zip(&mut state) {
            let offset = seed.wrapping_mul(16).wrapping_add(4 * number + k).wrapping_mul(0x9e37_79b9);
            *word = mix(word.wrapping_add(offset));
        }
        Self::new(state)
    }

    /// A uniform number in the open interval (0, 1).
    pub fn uniform(&mut self) -> f64 {
        let (high, low) = (self.0.next_u32() >> 6, self.0.next_u32() >> 6);
        (f64::from(high) * f64::from(1 << 26) + f64::from(low) + 0.5) / 2f64.powi(52)
    }

    /// A standard exponential number.
    pub fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// A category with these probabilities.
    pub fn category(&mut self, probabilities: &[f64]) -> usize {
        let (u, mut total) = (self.uniform(), 0.0);
        let found = probabilities.iter().position(|p| {
            total += p;
            u < total
        });
        // A sum that rounding left below u belongs to the last category that can be drawn.
        found.or_else(|| probabilities.iter().rposition(|&p| p > 0.0)).unwrap_or(0)
    }
}

/// The finalizer of MurmurHash3.
fn mix(mut h: u32) -> u32 {
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

/// Standard exponential numbers for one C.
#[derive(Debug)]
pub struct NoiseTable {
    pub categories: usize,
    pub draws: usize,
    values: Vec<f64>,
}

impl NoiseTable {
    pub fn new(categories: usize, draws: usize) -> Self {
        let mut stream = Stream::new(SEED);
        let values = (0..categories * draws * ROWS * categories).map(|_| stream.exponential()).collect();
        Self { categories, draws, values }
    }

    /// Row k of draw i given D = `hot`.
    pub fn row(&self, hot: usize, i: usize, k: usize) -> &[f64] {
        let first = ((hot * self.draws + i) * ROWS + k) * self.categories;
        &self.values[first..first + self.categories]
    }

    /// The Gumbel noise of draw i given D = `hot`.
    pub fn gumbel(&self, theta: &[f64], hot: usize, i: usize) -> Vec<f64> {
        let mut gumbel = vec![0.0; self.categories];
        gumbel_given(theta, hot, self.row(hot, i, 0), &mut gumbel);
        gumbel
    }
}
