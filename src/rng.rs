//! Random number generation: one generator per (seed, purpose, epoch, step). A function draws
//! random numbers only if a generator is one of its arguments.
//!
//! A run has one [`Streams`]. Each use obtains a generator of its own from it, so no draw depends
//! on how many numbers another part of the program has drawn. A run that is stopped and resumed at
//! any step, or computed by any number of threads, therefore uses identical random numbers. PCG
//! generators that share a key and differ in the stream are correlated, so each generator gets its
//! own *seed* instead, hashed from all four parts.
//!
//! Raw integers are drawn and converted in this module, by rules that are part of the library's
//! guarantee of reproducible values.

use crate::scalar::Scalar;
use crate::simd::{self, LANES, vectorized};
pub use rand_pcg::Pcg64;

/// The purpose of a generator. Two purposes never share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights.
    Init = 1,
    /// The order of the training examples in an epoch.
    Shuffle = 2,
    /// Samples of the latent variables during training.
    Train = 3,
    /// Samples of the latent variables during evaluation on the test set.
    Test = 4,
    /// Codes drawn from the prior to generate images.
    Prior = 5,
    /// The built-in synthetic digits.
    Digits = 6,
    /// Checks, certificates and examples.
    Check = 7,
    /// Samples of the training images' latent variables during evaluation.
    Evaluate = 8,
    /// Samples for the importance-weighted bound.
    Importance = 9,
}

/// All random streams of one run.
///
/// ```
/// use hardgrad::rng::{Purpose, Streams, uniform};
/// let a: f64 = uniform(&mut Streams::new(0).rng(Purpose::Train, 1, 2));
/// let b: f64 = uniform(&mut Streams::new(0).rng(Purpose::Train, 1, 2));
/// let c: f64 = uniform(&mut Streams::new(0).rng(Purpose::Train, 1, 3));
/// assert_eq!(a, b);
/// assert_ne!(a, c);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// Creates the streams of the run with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The generator for one purpose at one epoch and step. Calling the method again returns the
    /// generator in its initial state.
    pub fn rng(&self, purpose: Purpose, epoch: u64, step: u64) -> Pcg64 {
        let mut h = mix(self.seed);
        for part in [purpose as u64, epoch, step] {
            h = mix(h ^ part);
        }
        from_key(h)
    }
}

/// A generator from a 64-bit key, for example one drawn from another generator. Different keys give
/// independent generators.
///
/// ```
/// use hardgrad::rng::{from_key, uniform};
/// let first = |key| uniform::<f64>(&mut from_key(key));
/// assert_eq!(first(1), first(1));
/// assert_ne!(first(1), first(2));
/// ```
pub fn from_key(key: u64) -> Pcg64 {
    let state = (u128::from(mix(key)) << 64) | u128::from(mix(!key));
    Pcg64::new(state, 0x0a02_bdbf_7bb3_c0a7_ac28_fa16_a64a_bf96)
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64-bit integers in
/// which flipping any input bit flips about half of the output bits.
fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A uniform number in the *open* interval (0, 1): the midpoint of one of 2²³ (f32) or 2⁵² (f64)
/// equal cells, which the type represents exactly. `ln u` and `ln(−ln u)` are therefore finite
/// without an epsilon.
///
/// ```
/// use hardgrad::rng::{from_key, uniform};
/// let mut rng = from_key(3);
/// let mean = (0..10_000).map(|_| uniform::<f64>(&mut rng)).sum::<f64>() / 1e4;
/// // The tolerance is five standard errors.
/// assert!((mean - 0.5).abs() < 5.0 * (1.0_f64 / 12.0 / 1e4).sqrt());
/// ```
pub fn uniform<T: Scalar>(rng: &mut impl rand::Rng) -> T {
    T::open_unit(rng.next_u64())
}

/// The state of the generator after `numbers` further calls of [`uniform`].
pub(crate) fn after(rng: &Pcg64, numbers: usize) -> Pcg64 {
    let mut rng = rng.clone();
    rng.advance(numbers as u128);
    rng
}

/// Sixteen xoshiro128++ generators (Blackman and Vigna, 2021), one per SIMD lane, for kernels that
/// draw hundreds of numbers. A number takes a tenth of the time that [`Pcg64`] needs.
#[derive(Clone, Debug)]
pub(crate) struct LaneRng {
    /// Word w of lane l's state is `state[w][l]`.
    state: [[u32; LANES]; 4],
}

impl LaneRng {
    /// Creates generators from a 64-bit key, seeded with SplitMix64 as the authors recommend.
    /// Different keys give independent generators, which are also independent of those of
    /// [`from_key`].
    pub(crate) fn from_key(key: u64) -> Self {
        let key = mix(!key);
        let word = |i: usize| mix(key.wrapping_add((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let mut state = [[0; LANES]; 4];
        for (w, pair) in state.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let [low, high] = pair;
            for (l, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let bits = word(w * LANES + l);
                (*low, *high) = (bits as u32, (bits >> 32) as u32);
            }
        }
        Self { state }
    }

    /// Fills `out` with standard exponential numbers, −ln u with u as in [`uniform`], all of them
    /// finite and > 0. Numbers are taken from the lanes in turn. If the length is not a multiple of
    /// sixteen, the remaining numbers of the last row are discarded.
    pub(crate) fn fill_exponential<T: Scalar>(&mut self, out: &mut [T]) {
        let (rows, rest) = out.split_at_mut(out.len() / LANES * LANES);
        self.fill_rows(rows);
        if !rest.is_empty() {
            let mut row = [T::ZERO; LANES];
            self.fill_rows(&mut row);
            rest.copy_from_slice(&row[..rest.len()]);
        }
    }

    fn fill_rows<T: Scalar>(&mut self, out: &mut [T]) {
        if simd::plain_without_fused() {
            fill_exponential_emulated(&mut self.state, out);
        } else {
            fill_exponential(&mut self.state, out);
        }
    }
}

vectorized! {
    fn fill_exponential<T: Scalar>(state: &mut [[u32; LANES]; 4], out: &mut [T]) {
        let minus_ln_2 = T::of(-std::f64::consts::LN_2);
        for row in out.as_chunks_mut::<LANES>().0 {
            let [a, b, c, d] = state;
            for l in 0..LANES {
                let mut lane = [a[l], b[l], c[l], d[l]];
                let high = xoshiro128_next(&mut lane);
                let u = T::open_unit_of_halves(high, || xoshiro128_next(&mut lane));
                [a[l], b[l], c[l], d[l]] = lane;
                row[l] = minus_ln_2 * u.log2_normal();
            }
        }
    }
}

/// The variant of `fill_exponential` for CPUs without fused multiply-adds. It computes the
/// logarithms of sixteen numbers together. Both variants return identical bits.
fn fill_exponential_emulated<T: Scalar>(state: &mut [[u32; LANES]; 4], out: &mut [T]) {
    let minus_ln_2 = T::of(-std::f64::consts::LN_2);
    for row in out.as_chunks_mut::<LANES>().0 {
        let [a, b, c, d] = state;
        for l in 0..LANES {
            let mut lane = [a[l], b[l], c[l], d[l]];
            let high = xoshiro128_next(&mut lane);
            row[l] = T::open_unit_of_halves(high, || xoshiro128_next(&mut lane));
            [a[l], b[l], c[l], d[l]] = lane;
        }
        *row = T::each_log2_normal(*row);
        for x in row {
            *x = minus_ln_2 * *x;
        }
    }
}

/// The next output of xoshiro128++.
#[inline(always)]
fn xoshiro128_next(s: &mut [u32; 4]) -> u32 {
    let result = s[0].wrapping_add(s[3]).rotate_left(7).wrapping_add(s[0]);
    let t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3].rotate_left(11);
    result
}

/// A uniform integer in `0..bound`, by Lemire's multiply-and-reject (unbiased).
///
/// ```
/// use hardgrad::rng::{below, from_key};
/// let mut rng = from_key(3);
/// assert!((0..100).all(|_| below(&mut rng, 6) < 6));
/// assert_eq!(below(&mut rng, 1), 0);
/// ```
///
/// # Panics
/// If `bound` is 0.
pub fn below(rng: &mut impl rand::Rng, bound: u64) -> u64 {
    assert!(bound > 0, "below: the bound must be at least 1");
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let wide = u128::from(rng.next_u64()) * u128::from(bound);
        if wide as u64 >= threshold {
            return (wide >> 64) as u64;
        }
    }
}

/// Shuffles in place (Fisher–Yates): every order is equally likely.
///
/// ```
/// use hardgrad::rng::{from_key, shuffle};
/// let mut order = [0, 1, 2, 3];
/// shuffle(&mut from_key(3), &mut order);
/// assert_eq!(order.iter().sum::<i32>(), 6); // a permutation keeps the sum
/// ```
pub fn shuffle<V>(rng: &mut impl rand::Rng, values: &mut [V]) {
    for i in (1..values.len()).rev() {
        let j = below(rng, i as u64 + 1) as usize;
        values.swap(i, j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::sealed::Number;

    /// The values on which the results of every seed depend. A change of these values is a change
    /// of the random streams and must be recorded in the CHANGELOG.
    #[test]
    fn streams_have_their_stored_values() {
        let mut rng = Streams::new(0).rng(Purpose::Train, 1, 2);
        let drawn: [u64; 2] = std::array::from_fn(|_| rand::Rng::next_u64(&mut rng));
        assert_eq!(drawn, [6_546_741_913_780_831_770, 15_457_200_524_957_727_412]);
        let mut order: Vec<u8> = (0..8).collect();
        shuffle(&mut Streams::new(0).rng(Purpose::Shuffle, 1, 0), &mut order);
        assert_eq!(order, [7, 0, 5, 4, 3, 1, 6, 2]);
    }

    /// The values of the generators of Gumbel-Rao: the first lanes of two rows, compared bit by
    /// bit.
    #[test]
    fn lane_generators_have_their_stored_values() {
        let mut drawn = [0.0_f32; 2 * LANES];
        LaneRng::from_key(1).fill_exponential(&mut drawn);
        let bits = [drawn[0], drawn[1], drawn[LANES]].map(f32::to_bits);
        assert_eq!(bits, [1_076_175_721, 1_064_359_850, 1_063_804_930]);
        let mut wide = [0.0_f64; LANES];
        LaneRng::from_key(1).fill_exponential(&mut wide);
        // The `f64` numbers are made from the same high halves; the low halves change them only
        // slightly.
        assert!((wide[0] - f64::from(drawn[0])).abs() < 1e-5 * wide[0]);
        let mut many = vec![0.0_f64; 64_000];
        LaneRng::from_key(2).fill_exponential(&mut many);
        let mean = many.iter().sum::<f64>() / many.len() as f64;
        assert!((mean - 1.0).abs() < 5.0 / (many.len() as f64).sqrt()); // five standard errors
    }

    /// The first outputs from the state 1, 2, 3, 4, as printed by the authors' C program.
    #[test]
    fn xoshiro_matches_the_published_outputs() {
        let mut state = [1, 2, 3, 4];
        let drawn: [u32; 5] = std::array::from_fn(|_| xoshiro128_next(&mut state));
        assert_eq!(drawn, [641, 1_573_767, 3_222_811_527, 3_517_856_514, 836_907_274]);
    }

    #[test]
    fn uniforms_stay_inside_the_open_interval() {
        for raw in [0, u64::MAX] {
            assert!(f32::open_unit(raw) > 0.0 && f32::open_unit(raw) < 1.0);
            assert!(f64::open_unit(raw) > 0.0 && f64::open_unit(raw) < 1.0);
            let half = raw as u32;
            assert_eq!(
                f32::open_unit_of_halves(half, || unreachable!("23 bits are enough")),
                f32::open_unit(raw)
            );
            assert_eq!(f64::open_unit_of_halves(half, || half), f64::open_unit(raw));
        }
    }

    #[test]
    fn below_reaches_every_value() {
        let mut rng = from_key(1);
        let mut seen = [0u32; 5];
        (0..5000).for_each(|_| seen[below(&mut rng, 5) as usize] += 1);
        // Binomial(5000, 1/5) has standard deviation 28; the tolerance is five of them.
        assert!(seen.iter().all(|&n| n.abs_diff(1000) < 142), "{seen:?}");
    }
}
