//! The two number types: `f32` for training, `f64` for gradient checks; and what they share with sixteen of them side by side.

use crate::rng::LaneRng;
use crate::simd::emulated::Emulate;
use crate::simd::{self, LANES, math};
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// Which of the two types a generic body is running with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `f32`
    F32,
    /// `f64`
    F64,
}

/// A real number, or sixteen of them side by side ([`Lanes`]): what a formula for one latent variable is written in.
///
/// There is no `<` and no index of the largest, which could differ from lane to lane: instead [`if_above`](Self::if_above) chooses.
///
/// ```
/// use hardgrad::{Lanes, Real};
/// fn sigmoid<T: Real>(x: T) -> T { T::ONE / (T::ONE + (-x).exp()) }
/// assert_eq!(sigmoid(0.0_f32), 0.5);
/// assert_eq!(sigmoid(Lanes::<f32>::ZERO), Lanes::of(0.5));
/// ```
///
/// [`Lanes`]: crate::Lanes
pub trait Real:
    Copy
    + Default
    + Debug
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Emulate
{
    /// `f32` or `f64`: the type itself, or that of each lane.
    type Scalar: Scalar;
    /// How many numbers this is: 1 or 16.
    const WIDTH: usize;

    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// −∞
    const NEG_INFINITY: Self;

    /// The nearest number to `x`.
    fn of(x: f64) -> Self;
    /// eˣ
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + x), exact for small x.
    fn ln_1p(self) -> Self;
    /// 2ˣ for x ≤ 0, within 2 units in the last place; 0 where that would be subnormal.
    fn exp2_nonpositive(self) -> Self;
    /// log₂ of a normal number > 0, within 2 units in the last place.
    fn log2_normal(self) -> Self;
    /// 1/x of a normal number > 0 whose reciprocal is one, within 2 units in the last place; faster than a division.
    fn recip_normal(self) -> Self;
    /// self · a + b with one rounding; for `f64` slow on a CPU without the instruction.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The larger; the other one if one is NaN.
    fn max(self, other: Self) -> Self;
    /// `yes` where this is > `bound`, else `no`.
    fn if_above(self, bound: Self, yes: Self, no: Self) -> Self;
    /// Whether this, or one of the sixteen, is < `bound`.
    fn any_below(self, bound: Self) -> bool;
    /// x ← eˣ for each of a row.
    fn exp_all(x: &mut [Self]);
    /// Σ x of a row, in an order that depends on the length alone.
    fn total(x: &[Self]) -> Self;
    /// Σ eˣ of a row, in the same order.
    fn total_exp(x: &[Self]) -> Self;
    /// x ← onehot(argmax x), of a row: the first of several largest ones.
    fn one_hot_of_largest(x: &mut [Self]);
    /// A row `[C]` from that of one variable, or from those of up to sixteen, `[16, C]`.
    fn load(rows: &[Self::Scalar], row: &mut [Self]);
    /// Fills a row with standard exponential numbers: all finite and > 0.
    fn fill_exponential(rng: &mut LaneRng, row: &mut [Self]);
}

/// `f32` or `f64`. Sealed: the GEMM and SIMD modules rely on there being no third.
///
/// ```
/// use hardgrad::Scalar;
/// fn norm<T: Scalar>(x: &[T]) -> T { x.iter().map(|&x| x * x).sum::<T>().sqrt() }
/// assert_eq!(norm(&[3.0_f32, 4.0]), 5.0);
/// ```
pub trait Scalar:
    Real<Scalar = Self>
    + sealed::Sealed
    + Display
    + PartialOrd
    + Sum
    + serde::Serialize
    + serde::de::DeserializeOwned
{
    /// An integer of the same width.
    type Bits: Copy + Default + Ord + std::fmt::Debug;

    /// Which type this is.
    const KIND: Kind;
    /// Distance from 1 to the next number.
    const EPSILON: Self;
    /// The smallest positive number with all its digits.
    const MIN_POSITIVE: Self;

    /// `x`, exactly.
    fn of_byte(x: u8) -> Self;
    /// Exact widening.
    fn to_f64(self) -> f64;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// |x|
    fn abs(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// An integer that grows with |x|, and is above infinity's for NaN: the largest of many says whether all are finite.
    fn magnitude(self) -> Self::Bits;
    /// 64 random bits to a uniform number in the open interval (0, 1); see [`crate::rng::uniform`].
    fn open_unit(raw: u64) -> Self;
    /// The same from 32 random bits, and 32 more where the type has room for them.
    fn open_unit_of_halves(high: u32, low: impl FnOnce() -> u32) -> Self;
}

macro_rules! scalar {
    ($t:ty, $bits:ty, $kind:expr, $cells_log2:expr, $exp:path, $ln:path, $exp2_nonpositive:path, $log2_normal:path, $recip_normal:path, $ln_1p:path) => {
        impl Real for $t {
            type Scalar = Self;
            const WIDTH: usize = 1;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = <$t>::NEG_INFINITY;

            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $ln(self)
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                $ln_1p(self)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                self.max(other)
            }
            #[inline(always)]
            fn if_above(self, bound: Self, yes: Self, no: Self) -> Self {
                if self > bound { yes } else { no }
            }
            #[inline(always)]
            fn exp_all(x: &mut [Self]) {
                simd::map(x, $exp);
            }
            #[inline(always)]
            fn total(x: &[Self]) -> Self {
                simd::sum(x)
            }
            #[inline(always)]
            fn total_exp(x: &[Self]) -> Self {
                #[inline(always)]
                fn exp(x: $t, _: $t) -> $t {
                    $exp(x)
                }
                simd::sum_of(x, x, exp)
            }
            #[inline(always)]
            fn exp2_nonpositive(self) -> Self {
                $exp2_nonpositive(self)
            }
            #[inline(always)]
            fn log2_normal(self) -> Self {
                $log2_normal(self)
            }
            #[inline(always)]
            fn recip_normal(self) -> Self {
                $recip_normal(self)
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
            #[inline(always)]
            fn any_below(self, bound: Self) -> bool {
                self < bound
            }
            #[inline(always)]
            fn one_hot_of_largest(x: &mut [Self]) {
                simd::one_hot_of_largest(x);
            }
            #[inline(always)]
            fn load(rows: &[Self], row: &mut [Self]) {
                row.copy_from_slice(rows);
            }
            fn fill_exponential(rng: &mut LaneRng, row: &mut [Self]) {
                for chunk in row.chunks_mut(LANES) {
                    let mut lanes = [0.0; LANES];
                    rng.fill_exponential(&mut lanes);
                    chunk.copy_from_slice(&lanes[..chunk.len()]);
                }
            }
        }

        impl Scalar for $t {
            type Bits = $bits;
            const KIND: Kind = $kind;
            const EPSILON: Self = <$t>::EPSILON;
            const MIN_POSITIVE: Self = <$t>::MIN_POSITIVE;

            #[inline(always)]
            fn of_byte(x: u8) -> Self {
                <$t>::from(x)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn magnitude(self) -> $bits {
                self.to_bits() & (<$bits>::MAX >> 1) // all but the sign
            }
            #[inline(always)]
            fn open_unit(raw: u64) -> Self {
                // The cell index has `cells_log2` bits; index + ½ needs one more, which the type has exactly.
                let cell = (raw >> (64 - $cells_log2)) as $t;
                (cell + 0.5) * (1.0 / (1u64 << $cells_log2) as $t)
            }
            #[inline(always)]
            fn open_unit_of_halves(high: u32, low: impl FnOnce() -> u32) -> Self {
                if $cells_log2 < 32 {
                    // The number 1 + cell · 2^−cells_log2 by its bits, less 1 and plus half a cell: exact.
                    let cell = high >> (32 - $cells_log2.min(31));
                    let above_one = <$t>::from_bits(Self::ONE.to_bits() | cell as $bits);
                    return above_one - (1.0 - 0.5 / (1u64 << $cells_log2) as $t);
                }
                Self::open_unit(u64::from(high) << 32 | u64::from(low()))
            }
        }
    };
}

scalar!(
    f32,
    u32,
    Kind::F32,
    23_u32,
    math::exp_f32,
    math::ln_f32,
    math::instruction::exp2_nonpositive,
    math::instruction::log2_normal,
    math::instruction::recip_normal,
    math::ln_1p_f32
);
scalar!(f64, u64, Kind::F64, 52_u32, f64::exp, f64::ln, f64::exp2, f64::log2, f64::recip, f64::ln_1p);
