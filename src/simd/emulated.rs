//! Fused multiply-adds on a CPU that has no instruction for them.
//!
//! `f32::mul_add` is then a call of the C library for each number, which takes some thirty times as long as the formula around it. A few
//! operations of `f64` give the same bits, and the compiler vectorises them.

use super::lanes::{LANES, Lanes};
use super::math;
use crate::scalar::sealed::{Emulate, Sealed};
use crate::scalar::{Real, Scalar};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// a · b + c with one rounding: the bits of [`f32::mul_add`].
///
/// In `f64` the product is exact, 48 bits of 53, and the sum is rounded *to odd*: truncated, with the last bit set where something
/// was cut off. A number rounded so to at least two more bits than `f32` has, subnormal or not, rounds to the same `f32` as
/// the exact number does (Boldo and Melquiond, 2008): no midpoint between two `f32` is odd.
#[inline(always)]
pub(crate) fn mul_add_f32(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // What the sum's rounding lost, exactly (Knuth's two-sum); NaN where the sum is not finite.
    let of_c = sum - product;
    let lost = (product - (sum - of_c)) + (c - of_c);
    let inexact = u64::from(lost.abs() > 0.0);
    let rounded_up = ((lost.to_bits() ^ sum.to_bits()) >> 63) & inexact;
    f64::from_bits((sum.to_bits() - rounded_up) | inexact) as f32
}

impl Emulate for f32 {
    #[inline(always)]
    fn emulated_mul_add(self, a: Self, b: Self) -> Self {
        mul_add_f32(self, a, b)
    }
    #[inline(always)]
    fn emulated_exp2_nonpositive(self) -> Self {
        math::exp2_nonpositive_f32::<false>(self)
    }
    #[inline(always)]
    fn emulated_log2_normal(self) -> Self {
        math::log2_normal_f32::<false>(self)
    }
    #[inline(always)]
    fn emulated_recip_normal(self) -> Self {
        math::recip_normal_f32::<false>(self)
    }
}

/// No wider type is at hand: these stay the C library's. Training is in `f32`.
impl Emulate for f64 {
    #[inline(always)]
    fn emulated_mul_add(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
    #[inline(always)]
    fn emulated_exp2_nonpositive(self) -> Self {
        self.exp2_nonpositive()
    }
    #[inline(always)]
    fn emulated_log2_normal(self) -> Self {
        self.log2_normal()
    }
    #[inline(always)]
    fn emulated_recip_normal(self) -> Self {
        self.recip_normal()
    }
}

macro_rules! lane_by_lane {
    ($($method:ident),*) => { $(
        #[inline(always)]
        fn $method(mut self) -> Self {
            for l in 0..LANES {
                self.0[l] = self.0[l].$method();
            }
            self
        }
    )* };
}

impl<T: Scalar> Emulate for Lanes<T> {
    #[inline(always)]
    fn emulated_mul_add(mut self, a: Self, b: Self) -> Self {
        for l in 0..LANES {
            self.0[l] = self.0[l].emulated_mul_add(a.0[l], b.0[l]);
        }
        self
    }
    lane_by_lane!(emulated_exp2_nonpositive, emulated_log2_normal, emulated_recip_normal);
}

/// A number that is computed with as `R` is, to the bit, but without fused instructions. Kernels declared with `vectorized! { fused … }`
/// are compiled with it for CPUs that have none; a formula cannot tell.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct Emulated<R>(R);

/// What a kernel takes for `R`, as the same kernel takes it for `Emulated<R>`.
pub(crate) trait IntoEmulated {
    /// The same with `Emulated<R>` in place of `R`.
    type Into;
    fn into_emulated(self) -> Self::Into;
}

impl<'a, R: Real> IntoEmulated for &'a [R] {
    type Into = &'a [Emulated<R>];
    fn into_emulated(self) -> Self::Into {
        // SAFETY: `Emulated` is transparent.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len()) }
    }
}

impl<'a, R: Real> IntoEmulated for &'a mut [R] {
    type Into = &'a mut [Emulated<R>];
    fn into_emulated(self) -> Self::Into {
        // SAFETY: `Emulated` is transparent, and the borrow lives on in the result.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len()) }
    }
}

/// What a kernel returns for `Emulated<R>`, as it returns it for `R`.
pub(crate) trait IntoInner {
    /// The same with `R` in place of `Emulated<R>`.
    type Inner;
    fn into_inner(self) -> Self::Inner;
}

/// Passed on as it is: a generator's state.
impl<const W: usize, const L: usize> IntoEmulated for &mut [[u32; L]; W] {
    type Into = Self;
    fn into_emulated(self) -> Self {
        self
    }
}

impl IntoInner for () {
    type Inner = ();
    fn into_inner(self) {}
}

impl<R: Real> IntoInner for Emulated<R> {
    type Inner = R;
    fn into_inner(self) -> R {
        self.0
    }
}

/// The numbers inside.
#[inline(always)]
fn inside<R>(x: &[Emulated<R>]) -> &[R] {
    // SAFETY: `Emulated` is transparent.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// The numbers inside.
#[inline(always)]
fn inside_mut<R>(x: &mut [Emulated<R>]) -> &mut [R] {
    // SAFETY: `Emulated` is transparent, and the borrow lives on in the result.
    unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

macro_rules! operators {
    ($($trait:ident::$method:ident, $assign:ident::$assign_method:ident;)*) => { $(
        impl<R: Real> $trait for Emulated<R> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self($trait::$method(self.0, other.0))
            }
        }
        impl<R: Real> $assign for Emulated<R> {
            #[inline(always)]
            fn $assign_method(&mut self, other: Self) {
                *self = $trait::$method(*self, other);
            }
        }
    )* };
}
operators! {
    Add::add, AddAssign::add_assign;
    Sub::sub, SubAssign::sub_assign;
    Mul::mul, MulAssign::mul_assign;
    Div::div, DivAssign::div_assign;
}

impl<R: Real> Neg for Emulated<R> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

/// As it is already.
impl<R: Real> Emulate for Emulated<R> {
    #[inline(always)]
    fn emulated_mul_add(self, a: Self, b: Self) -> Self {
        Self(self.0.emulated_mul_add(a.0, b.0))
    }
    #[inline(always)]
    fn emulated_exp2_nonpositive(self) -> Self {
        Self(self.0.emulated_exp2_nonpositive())
    }
    #[inline(always)]
    fn emulated_log2_normal(self) -> Self {
        Self(self.0.emulated_log2_normal())
    }
    #[inline(always)]
    fn emulated_recip_normal(self) -> Self {
        Self(self.0.emulated_recip_normal())
    }
}

impl<R: Real> Sealed for Emulated<R> {
    type Number = R::Scalar;
    fn numbers(row: &mut [Self]) -> &mut [R::Scalar] {
        R::numbers(inside_mut(row))
    }
}

impl<R: Real> Real for Emulated<R> {
    type Scalar = R::Scalar;
    const ZERO: Self = Self(R::ZERO);
    const ONE: Self = Self(R::ONE);
    const NEG_INFINITY: Self = Self(R::NEG_INFINITY);

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.emulated_mul_add(a, b)
    }
    #[inline(always)]
    fn exp2_nonpositive(self) -> Self {
        self.emulated_exp2_nonpositive()
    }
    #[inline(always)]
    fn log2_normal(self) -> Self {
        self.emulated_log2_normal()
    }
    #[inline(always)]
    fn recip_normal(self) -> Self {
        self.emulated_recip_normal()
    }

    // All others are those of the number inside.
    #[inline(always)]
    fn of(x: f64) -> Self {
        Self(R::of(x))
    }
    #[inline(always)]
    fn exp(self) -> Self {
        Self(self.0.exp())
    }
    #[inline(always)]
    fn ln(self) -> Self {
        Self(self.0.ln())
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        Self(self.0.ln_1p())
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
    #[inline(always)]
    fn if_above(self, bound: Self, yes: Self, no: Self) -> Self {
        Self(self.0.if_above(bound.0, yes.0, no.0))
    }
    #[inline(always)]
    fn any_below(self, bound: Self) -> bool {
        self.0.any_below(bound.0)
    }
    fn exp_all(x: &mut [Self]) {
        R::exp_all(inside_mut(x));
    }
    fn total(x: &[Self]) -> Self {
        Self(R::total(inside(x)))
    }
    fn total_exp(x: &[Self]) -> Self {
        Self(R::total_exp(inside(x)))
    }
    fn one_hot_of_largest(x: &mut [Self]) {
        R::one_hot_of_largest(inside_mut(x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn same(got: f32, want: f32) -> bool {
        got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan()
    }

    /// Numbers whose product and sum often lie near a midpoint of two `f32`, or just beside it: few bits, and powers of two around them.
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
            0 => (raw >> 43) as u32 & 0xff, // any, NaN and infinities and subnormal numbers too
            1 => ((raw >> 43) as u32 & 0x1f) + 127 - 90, // products of two are subnormal
            _ => ((raw >> 43) as u32 & 0x3f) + 127 - 32,
        };
        f32::from_bits(sign << 31 | exponent << 23 | mantissa)
    }

    /// Against the instruction, or the C library's function, which is right too.
    #[test]
    fn the_emulation_has_the_bits_of_a_fused_multiply_add() {
        let mut rng = crate::rng::from_key(11);
        let mut twice_rounded = 0;
        for _ in 0..3_000_000 {
            let [a, b, c] = [(); 3].map(|()| awkward(&mut rng));
            // Half of the time c is near the product's midpoint, where rounding twice goes wrong.
            let c = if c.to_bits() & 1 == 0 { -a * b * c.signum() + c * 1e-7 } else { c };
            let want = a.mul_add(b, c);
            let got = mul_add_f32(a, b, c);
            assert!(same(got, want), "{a:e} · {b:e} + {c:e}: {got:e} for {want:e}");
            twice_rounded += usize::from(!same((f64::from(a) * f64::from(b) + f64::from(c)) as f32, want));
        }
        assert!(twice_rounded > 10, "only {twice_rounded} of the cases need the rounding to odd");
    }

    /// By hand: 1 + 2⁻²⁴ is a midpoint; a little more goes up, a little less down, though `f64` cannot hold that little.
    #[test]
    fn beside_a_midpoint_the_rounding_goes_the_right_way() {
        let (half, tiny) = (2f32.powi(-24), 2f32.powi(-80));
        assert_eq!(mul_add_f32(half, 1.0, 1.0), 1.0);
        // (2⁻¹² + 2⁻⁶⁸)² is 2⁻²⁴ and a little: both factors have two bits.
        let more = mul_add_f32(2f32.powi(-12) * (1.0 + 2f32.powi(-20)), 2f32.powi(-12), 1.0);
        assert_eq!(more, 1.0 + f32::EPSILON);
        for (sign, want) in [(1.0, 1.0 + f32::EPSILON), (-1.0, 1.0)] {
            let c = 1.0 + f32::EPSILON;
            // c − 2⁻²⁴ ± tiny: down to 1 or back up.
            let got = mul_add_f32(sign * tiny, 1.0, 1.0);
            assert_eq!(got, 1.0);
            let got = mul_add_f32(-half, 1.0 - sign * half, c);
            assert_eq!(got, want, "sign {sign}");
        }
        assert!(mul_add_f32(f32::INFINITY, 0.0, 1.0).is_nan() && mul_add_f32(1.0, 1.0, f32::NAN).is_nan());
        assert_eq!(mul_add_f32(f32::MAX, f32::MAX, -f32::MAX), f32::INFINITY);
        assert_eq!(mul_add_f32(-0.0, 1.0, -0.0).to_bits(), (-0.0_f32).to_bits());
    }

    /// Each operation, of one number and of sixteen, has the bits of the fused one.
    #[test]
    fn emulated_numbers_are_those_inside() {
        let mut rng = crate::rng::from_key(12);
        let mut number = || crate::rng::uniform::<f32>(&mut rng) * 30.0 + 1e-3;
        for _ in 0..20_000 {
            let [x, y, z]: [Lanes<f32>; 3] = std::array::from_fn(|_| Lanes::from_fn(|_| number()));
            let [p, q, r] = [x, y, z].map(Emulated);
            assert_eq!(p.mul_add(q, -r).0, x.mul_add(y, -z));
            assert_eq!(p.log2_normal().0, x.log2_normal());
            assert_eq!(p.recip_normal().0, x.recip_normal());
            assert_eq!((-p).exp2_nonpositive().0, (-x).exp2_nonpositive());
            let [a, b] = [x.0[0], y.0[0]];
            assert_eq!(Emulated(a).mul_add(Emulated(b), Emulated(a)).0, a.mul_add(b, a));
            assert_eq!(Emulated(a).log2_normal().0, a.log2_normal());
        }
    }
}
