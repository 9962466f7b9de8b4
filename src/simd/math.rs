//! Exponentials, logarithms and reciprocals of `f32`, as branch-free scalar code that the compiler
//! vectorises inside loops.

use super::fused::Fused;

/// eˣ, within 1 unit in the last place; 0 below −103.98, +∞ above 88.73, NaN for NaN.
#[inline(always)]
pub(crate) fn exp_f32(x: f32) -> f32 {
    // These comparisons are false for a NaN, which therefore propagates.
    let clamped = if x > 89.0 { 89.0 } else { x };
    let clamped = if clamped < -104.0 { -104.0 } else { clamped };
    let (e, n) = exp_reduced(clamped);
    // 2ⁿ is split into two factors, each a normal number, so that subnormal results and the
    // overflow to +∞ are correct.
    let half = n >> 1;
    e * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// Returns (eʳ, n) with x = n ln 2 + r and |r| ≤ ½ ln 2, for −104 ≤ x ≤ 89. eʳ is a polynomial
/// (coefficients: Moshier, Cephes `expf`).
#[inline(always)]
#[allow(clippy::excessive_precision)] // digits as in the source
fn exp_reduced(x: f32) -> (f32, i32) {
    // Adding 1.5 · 2²³ rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let n_float = rounded - ROUND;
    // ln 2 is split into two parts. The first has so few bits that its product with n is exact.
    let r = x - n_float * 0.693_359_375 + n_float * 2.121_944_4e-4;
    let p = 1.987_569_15e-4;
    let p = p * r + 1.398_199_95e-3;
    let p = p * r + 8.333_451_91e-3;
    let p = p * r + 4.166_579_59e-2;
    let p = p * r + 1.666_666_55e-1;
    let p = p * r + 5.000_000_12e-1;
    (p * (r * r) + r + 1.0, n)
}

/// 2ⁿ for −126 ≤ n ≤ 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// ln x, within 1 unit in the last place for every positive x; −∞ at 0, NaN below, +∞ at +∞, NaN
/// for NaN.
#[inline(always)]
pub(crate) fn ln_f32(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let ln = ln_scaled(if tiny { x * 8_388_608.0 } else { x }, if tiny { 23.0 } else { 0.0 });
    if x > 0.0 && x < f32::INFINITY {
        ln
    } else if x == 0.0 {
        f32::NEG_INFINITY
    } else if x > 0.0 {
        x
    } else {
        f32::NAN
    }
}

/// ln x − n ln 2 for a normal number x > 0.
///
/// Decomposes x = 2ᵏ m with m in [√½, √2). ln m is a polynomial in m − 1 (coefficients: Moshier,
/// Cephes `logf`).
#[inline(always)]
#[allow(clippy::excessive_precision)] // digits as in the source
fn ln_scaled(x: f32, n: f32) -> f32 {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(SQRT_HALF);
    let k = ((bits as i32) >> 23) as f32 - n;
    let f = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF)) - 1.0;
    let p = 7.037_683_629_2e-2;
    let p = p * f - 1.151_461_031_0e-1;
    let p = p * f + 1.167_699_874_0e-1;
    let p = p * f - 1.242_014_084_6e-1;
    let p = p * f + 1.424_932_278_7e-1;
    let p = p * f - 1.666_805_766_5e-1;
    let p = p * f + 2.000_071_476_5e-1;
    let p = p * f - 2.499_999_399_3e-1;
    let p = p * f + 3.333_333_117_4e-1;
    let square = f * f;
    let tail = p * f * square - 2.121_944_4e-4 * k - 0.5 * square;
    f + tail + 0.693_359_375 * k
}

/// log₂ x within 2 units in the last place, for a normal number x > 0. Decomposes x = 2ᵏ (1 + f)
/// with 1 + f in [√½, √2); log₂(1 + f) / f is the polynomial of degree 8 with the smallest maximal
/// relative error there, 2.6e-8 (Remez's algorithm).
///
/// This function, [`exp2_nonpositive_f32`] and [`recip_normal_f32`] are for the kernels that draw
/// hundreds of numbers. They use fused multiply-adds, by the instruction or emulated (`by`), with
/// identical bits. They evaluate polynomials in pairs (Estrin's scheme), which halves the chain of
/// dependent multiply-adds.
#[inline(always)]
#[allow(clippy::excessive_precision)] // digits of the fit
pub(crate) fn log2_normal_f32<F: Fused>(x: f32, by: &F) -> f32 {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(SQRT_HALF);
    let k = ((bits as i32) >> 23) as f32;
    let f = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF)) - 1.0;
    let square = f * f;
    let fourth = square * square;
    let a = by.mul_add(f, 0.480_910_643, -0.721_347_347);
    let b = by.mul_add(f, 0.287_916_248, -0.360_703_683);
    let c = by.mul_add(f, 0.215_715_609, -0.238_944_823);
    let d = by.mul_add(f, 0.125_837_001, -0.207_269_738);
    let p = by.mul_add(fourth, by.mul_add(d, square, c), by.mul_add(b, square, a));
    by.mul_add(f, 1.442_695_004, by.mul_add(square, p, k)) // largest term last: only its rounding is large
}

/// 2ˣ for x ≤ 0 within 2 units in the last place. Below −126.5, where 2ˣ would be subnormal and
/// slow all following operations, the result is 0. The polynomial has degree 6 for |r| ≤ ½ and a
/// relative error below 3e-9 (Remez's algorithm).
#[inline(always)]
#[allow(clippy::excessive_precision)] // digits of the fit
pub(crate) fn exp2_nonpositive_f32<F: Fused>(x: f32, by: &F) -> f32 {
    // As in `exp_reduced`, but the low bits contain n + 127. Shifted into the exponent they give
    // 2ⁿ, and 0 for n = −127.
    const ROUND: f32 = 12_582_912.0 + 127.0;
    let clamped = if x < -127.0 { -127.0 } else { x };
    let rounded = clamped + ROUND;
    let power = f32::from_bits(rounded.to_bits() << 23);
    let r = clamped - (rounded - ROUND);
    let square = r * r;
    let a = by.mul_add(r, 0.693_147_206, 1.0);
    let b = by.mul_add(r, 0.055_503_287_8, 0.240_226_469);
    let c = by.mul_add(r, 0.001_339_993_12, 0.009_618_488_96);
    let e = by.mul_add(square, by.mul_add(square, by.mul_add(square, 0.000_153_458_122, c), b), a);
    e * power
}

/// 1/x within 2 units in the last place, for a normal x > 0 whose reciprocal is normal too.
///
/// The bits of 1/x are about a constant minus the bits of x, within 12 %. Each Newton step y ← y (2
/// − x y) squares the error: 1.5e-2, 2.1e-4, 4.4e-8. This takes four cycles; a vector division
/// takes 16.
#[inline(always)]
pub(crate) fn recip_normal_f32<F: Fused>(x: f32, by: &F) -> f32 {
    let y = f32::from_bits(0x7ef3_11c7_u32.wrapping_sub(x.to_bits()));
    let y = y * by.mul_add(-y, x, 2.0);
    let y = y * by.mul_add(-y, x, 2.0);
    y * by.mul_add(-y, x, 2.0)
}

/// The three functions with the CPU's instruction.
pub(crate) mod instruction {
    use crate::simd::fused::Instruction;

    #[inline(always)]
    pub(crate) fn log2_normal(x: f32) -> f32 {
        super::log2_normal_f32(x, &Instruction)
    }
    #[inline(always)]
    pub(crate) fn exp2_nonpositive(x: f32) -> f32 {
        super::exp2_nonpositive_f32(x, &Instruction)
    }
    #[inline(always)]
    pub(crate) fn recip_normal(x: f32) -> f32 {
        super::recip_normal_f32(x, &Instruction)
    }
}

/// ln(1 + x) for x > −1. The rounding error of 1 + x is corrected to first order, so small x keep
/// their precision.
#[inline(always)]
pub(crate) fn ln_1p_f32(x: f32) -> f32 {
    let u = 1.0 + x;
    let lost = x - (u - 1.0);
    let ln = ln_f32(u) + lost / u;
    if x < f32::INFINITY { ln } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::fused::Instruction;

    /// The error in units in the last place of the true value.
    fn ulps(got: f32, want: f64) -> f64 {
        let exponent = (want.abs().to_bits() >> 52) as i32 - 1023;
        let ulp = 2f64.powi(exponent.max(-126) - 23);
        (f64::from(got) - want).abs() / ulp
    }

    /// Every 997th of the 2³² bit patterns: 4 million finite numbers of all magnitudes and both
    /// signs.
    fn floats() -> impl Iterator<Item = f32> {
        (0..=u32::MAX).step_by(997).map(f32::from_bits).filter(|x| x.is_finite())
    }

    #[test]
    fn exp_is_within_one_ulp() {
        for x in floats() {
            let want = f64::from(x).exp();
            if x > 88.72 {
                assert!(exp_f32(x) > 3.3e38);
            } else {
                assert!(ulps(exp_f32(x), want) <= 1.0, "exp({x}): {} for {want}", exp_f32(x));
            }
        }
        assert_eq!(exp_f32(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_f32(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp_f32(0.0), 1.0);
        assert!(exp_f32(f32::NAN).is_nan());
    }

    #[test]
    fn base_2_is_within_two_ulps() {
        for x in floats() {
            if x >= f32::MIN_POSITIVE {
                let error = ulps(log2_normal_f32(x, &Instruction), f64::from(x).log2());
                assert!(error <= 2.0, "log2({x}) = {}: {error}", log2_normal_f32(x, &Instruction));
            }
            if (-126.0..=0.0).contains(&x) {
                let error = ulps(exp2_nonpositive_f32(x, &Instruction), f64::from(x).exp2());
                assert!(error <= 2.0, "exp2({x}) = {}: {error}", exp2_nonpositive_f32(x, &Instruction));
            }
        }
        assert_eq!(exp2_nonpositive_f32(f32::NEG_INFINITY, &Instruction), 0.0);
        assert!(exp2_nonpositive_f32(f32::NAN, &Instruction).is_nan());
    }

    #[test]
    fn reciprocal_is_within_two_ulps() {
        for x in floats().filter(|&x| x > 1.2e-38 && x < 8.5e37) {
            let error = ulps(recip_normal_f32(x, &Instruction), 1.0 / f64::from(x));
            assert!(error <= 2.0, "1/{x} = {}: {error} ulps", recip_normal_f32(x, &Instruction));
        }
    }

    #[test]
    fn ln_is_within_one_ulp() {
        for x in floats().filter(|&x| x > 0.0) {
            assert!(ulps(ln_f32(x), f64::from(x).ln()) <= 1.0, "ln({x}) = {}", ln_f32(x));
        }
        assert_eq!(ln_f32(0.0), f32::NEG_INFINITY);
        assert_eq!(ln_f32(f32::INFINITY), f32::INFINITY);
        assert_eq!(ln_f32(1.0), 0.0);
        assert!(ln_f32(-1.0).is_nan() && ln_f32(f32::NAN).is_nan());
    }

    #[test]
    fn ln_1p_keeps_small_arguments() {
        for x in floats().filter(|&x| x > -0.9 && x < 1e30) {
            // Rounding 1 + x and lost / u adds up to two roundings to the error of ln itself.
            assert!(ulps(ln_1p_f32(x), f64::from(x).ln_1p()) <= 3.0, "ln_1p({x}) = {}", ln_1p_f32(x));
        }
    }
}
