//! Fused multiply-add of `f32`, by the CPU's instruction or emulated.
//!
//! Without the instruction, `f32::mul_add` calls the C library for each number, which takes about
//! thirty times as long as the surrounding formula. A few `f64` operations give identical bits, and
//! the compiler vectorises them.

use std::cell::Cell;

/// A method for computing a · b + c with one rounding.
pub(crate) trait Fused {
    fn mul_add(&self, a: f32, b: f32, c: f32) -> f32;
}

/// Uses the CPU's instruction; on a CPU without it, the C library.
pub(crate) struct Instruction;

impl Fused for Instruction {
    #[inline(always)]
    fn mul_add(&self, a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// Uses [`mul_add_f32`].
pub(crate) struct ToOdd;

impl Fused for ToOdd {
    #[inline(always)]
    fn mul_add(&self, a: f32, b: f32, c: f32) -> f32 {
        mul_add_f32(a, b, c)
    }
}

/// Computes a · b + c with one rounding: identical bits to [`f32::mul_add`].
///
/// In `f64` the product is exact (48 of 53 bits), and the sum is rounded *to odd*: truncated, with
/// the last bit set if anything was cut off. A number rounded to odd with at least two more bits
/// than `f32`, subnormal or not, rounds to the `f32` to which the exact number rounds (Boldo and
/// Melquiond, 2008), because no midpoint between two `f32` is odd.
#[inline(always)]
pub(crate) fn mul_add_f32(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // The exact rounding error of the sum (Knuth's two-sum); NaN if the sum is not finite.
    let of_c = sum - product;
    let lost = (product - (sum - of_c)) + (c - of_c);
    let inexact = u64::from(lost.abs() > 0.0);
    let rounded_up = ((lost.to_bits() ^ sum.to_bits()) >> 63) & inexact;
    f64::from_bits((sum.to_bits() - rounded_up) | inexact) as f32
}

/// Rounds twice, to `f64` and then to `f32`, in half of the time. If the result is a normal `f32`
/// or exact, the second rounding is wrong only if the first ended at a midpoint between two `f32`.
/// This is rare; the caller checks for it afterwards and then repeats the whole computation.
#[derive(Default)]
pub(crate) struct Twice {
    doubtful: Cell<u32>,
}

impl Twice {
    /// Nonzero if one of the sums may be wrong.
    #[inline(always)]
    pub(crate) fn doubtful(&self) -> u32 {
        self.doubtful.get()
    }
}

impl Fused for Twice {
    #[inline(always)]
    fn mul_add(&self, a: f32, b: f32, c: f32) -> f32 {
        let sum = f64::from(a) * f64::from(b) + f64::from(c);
        // The 29 bits beyond the precision of an f32. At a midpoint only the first of them is set.
        let at_midpoint = u32::from(sum.to_bits() as u32 & 0x1fff_ffff == 0x1000_0000);
        self.doubtful.set(self.doubtful.get() | at_midpoint);
        sum as f32
    }
}

/// [`Twice`] for results that may be subnormal, whose midpoints are at other bits.
#[derive(Default)]
pub(crate) struct TwiceOrSmall {
    twice: Twice,
}

impl TwiceOrSmall {
    /// Nonzero if one of the sums may be wrong.
    #[inline(always)]
    pub(crate) fn doubtful(&self) -> u32 {
        self.twice.doubtful()
    }
}

impl Fused for TwiceOrSmall {
    #[inline(always)]
    fn mul_add(&self, a: f32, b: f32, c: f32) -> f32 {
        let sum = self.twice.mul_add(a, b, c);
        let small = u32::from(sum.abs() <= f32::MIN_POSITIVE) & u32::from(sum != 0.0 || a != 0.0 && b != 0.0);
        self.twice.doubtful.set(self.twice.doubtful.get() | small);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn same(got: f32, want: f32) -> bool {
        got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan()
    }

    /// Numbers whose product and sum are often at or next to a midpoint of two `f32`: numbers with
    /// few bits set, and powers of two near them.
    fn awkward(rng: &mut crate::rng::Pcg64) -> f32 {
        let raw = rng.next_u64();
        let (sign, kind) = ((raw & 1) as u32, raw >> 1 & 7);
        let mantissa = match kind {
            0 => 0,
            1 => 1,
            2 => 0x7f_ffff,
            3 => 1 << ((raw >> 8) % 23),
            _ => (raw >> 8) as u32 & 0x7f_ffff,
        };
        let exponent = match raw >> 40 & 7 {
            0 => (raw >> 43) as u32 & 0xff, // any number, including NaN, infinities and subnormal numbers
            1 => ((raw >> 43) as u32 & 0x1f) + 127 - 90, // products of two are subnormal
            _ => ((raw >> 43) as u32 & 0x3f) + 127 - 32,
        };
        f32::from_bits(sign << 31 | exponent << 23 | mantissa)
    }

    /// Compares with the instruction, or with the C library's function, which is correct too.
    #[test]
    fn the_emulation_has_the_bits_of_a_fused_multiply_add() {
        let mut rng = crate::rng::from_key(11);
        let (mut twice_rounded, mut doubtful) = (0, 0);
        for _ in 0..3_000_000 {
            let [a, b, c] = [(); 3].map(|()| awkward(&mut rng));
            // In half of the cases c is near the midpoint of the product, where rounding twice can
            // be wrong.
            let c = if c.to_bits() & 1 == 0 { -a * b * c.signum() + c * 1e-7 } else { c };
            let want = a.mul_add(b, c);
            let got = mul_add_f32(a, b, c);
            assert!(same(got, want), "{a:e} · {b:e} + {c:e}: {got:e} for {want:e}");
            let (twice, small) = (Twice::default(), TwiceOrSmall::default());
            assert!(same(small.mul_add(a, b, c), want) || small.doubtful() != 0, "{a:e} · {b:e} + {c:e}");
            assert!(same(twice.mul_add(a, b, c), want) || twice.doubtful() != 0 || !want.is_normal());
            doubtful += twice.doubtful();
            twice_rounded += usize::from(!same((f64::from(a) * f64::from(b) + f64::from(c)) as f32, want));
        }
        assert!(twice_rounded > 10, "only {twice_rounded} of the cases need the rounding to odd");
        assert!(doubtful > 10 && doubtful < 1_000_000, "{doubtful} are doubtful");
    }

    /// Cases by hand: 1 + 2⁻²⁴ is a midpoint. A slightly larger number rounds up and a slightly
    /// smaller one rounds down, although `f64` cannot represent the small difference.
    #[test]
    fn beside_a_midpoint_the_rounding_goes_the_right_way() {
        let (half, tiny) = (2f32.powi(-24), 2f32.powi(-80));
        assert_eq!(mul_add_f32(half, 1.0, 1.0), 1.0);
        // (2⁻¹² + 2⁻⁶⁸)² is slightly more than 2⁻²⁴, and both factors have only two bits set.
        let more = mul_add_f32(2f32.powi(-12) * (1.0 + 2f32.powi(-20)), 2f32.powi(-12), 1.0);
        assert_eq!(more, 1.0 + f32::EPSILON);
        for (sign, want) in [(1.0, 1.0 + f32::EPSILON), (-1.0, 1.0)] {
            let c = 1.0 + f32::EPSILON;
            // c − 2⁻²⁴ ± tiny rounds down to 1, or back up.
            let got = mul_add_f32(sign * tiny, 1.0, 1.0);
            assert_eq!(got, 1.0);
            let got = mul_add_f32(-half, 1.0 - sign * half, c);
            assert_eq!(got, want, "sign {sign}");
        }
        assert!(mul_add_f32(f32::INFINITY, 0.0, 1.0).is_nan() && mul_add_f32(1.0, 1.0, f32::NAN).is_nan());
        assert_eq!(mul_add_f32(f32::MAX, f32::MAX, -f32::MAX), f32::INFINITY);
        assert_eq!(mul_add_f32(-0.0, 1.0, -0.0).to_bits(), (-0.0_f32).to_bits());
    }
}
