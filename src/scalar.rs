//! The two number types, `f32` for training and `f64` for gradient checks, and what they share with a SIMD vector of them.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// What only this crate implements and calls.
pub(crate) mod sealed {
    /// Which of the two types a generic body is running with.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind {
        /// `f32`
        F32,
        /// `f64`
        F64,
    }

    /// Seals [`Real`](super::Real).
    pub trait Sealed: Sized {
        /// `f32` or `f64`.
        type Number;
        /// The numbers of a row, one after the other.
        fn numbers(row: &mut [Self]) -> &mut [Self::Number];
    }

    /// What a number does on a CPU without an instruction for fused multiply-adds. Each has the bits of the method of
    /// [`Real`](super::Real) that it stands for.
    pub trait Emulate: Sized + Copy {
        /// self · a + b with one rounding.
        fn emulated_mul_add(self, a: Self, b: Self) -> Self;
        /// [`Real::exp2_nonpositive`](super::Real::exp2_nonpositive)
        fn emulated_exp2_nonpositive(self) -> Self;
        /// [`Real::log2_normal`](super::Real::log2_normal)
        fn emulated_log2_normal(self) -> Self;
        /// [`Real::recip_normal`](super::Real::recip_normal)
        fn emulated_recip_normal(self) -> Self;

        /// Each x · a + b.
        fn each_mul_add<const N: usize>(x: [Self; N], a: &[Self; N], b: &[Self; N]) -> [Self; N] {
            std::array::from_fn(|l| x[l].emulated_mul_add(a[l], b[l]))
        }
        /// [`emulated_exp2_nonpositive`](Self::emulated_exp2_nonpositive) of each.
        fn each_exp2_nonpositive<const N: usize>(x: [Self; N]) -> [Self; N] {
            x.map(Self::emulated_exp2_nonpositive)
        }
        /// [`emulated_log2_normal`](Self::emulated_log2_normal) of each.
        fn each_log2_normal<const N: usize>(x: [Self; N]) -> [Self; N] {
            x.map(Self::emulated_log2_normal)
        }
        /// [`emulated_recip_normal`](Self::emulated_recip_normal) of each.
        fn each_recip_normal<const N: usize>(x: [Self; N]) -> [Self; N] {
            x.map(Self::emulated_recip_normal)
        }
    }

    /// Seals [`Scalar`](super::Scalar), and holds what depends on how the type stores a number.
    pub trait Number: Sized {
        /// An integer of the same width.
        type Bits: Copy + Default + Ord + std::fmt::Debug;
        /// Which type this is.
        const KIND: Kind;
        /// `x`, exactly.
        fn of_byte(x: u8) -> Self;
        /// An integer that grows with |x|, and is above infinity's for NaN: the largest of many says whether all are finite.
        fn magnitude(self) -> Self::Bits;
        /// 64 random bits to a uniform number in the open interval (0, 1); see [`uniform`](crate::rng::uniform).
        fn open_unit(raw: u64) -> Self;
        /// The same from 32 random bits, and 32 more where the type has room for them.
        fn open_unit_of_halves(high: u32, low: impl FnOnce() -> u32) -> Self;
    }
}

/// A real number: what the formula for one latent variable is written in. The library calls a formula with `f32`, with `f64`, or with a
/// SIMD vector of them, one latent variable in each lane; the formula cannot tell which. Sealed.
///
/// There is no `<` and no index of the largest, which could differ from lane to lane: instead [`select`](Self::select) and
/// [`if_above`](Self::if_above) choose in each lane.
///
/// ```
/// use hardgrad::Real;
/// fn sigmoid<T: Real>(x: T) -> T { T::ONE / (T::ONE + (-x).exp()) }
/// assert_eq!(sigmoid(0.0_f32), 0.5);
/// assert_eq!(1.0_f64.select(3.0, 4.0), 3.0);
/// ```
pub trait Real:
    sealed::Sealed<Number = Self::Scalar>
    + Copy
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
    + sealed::Emulate
{
    /// `f32` or `f64`: the type itself, or that of each lane.
    type Scalar: Scalar;

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
    /// Lane-wise select: `yes` where this is > `bound`, else `no`.
    fn if_above(self, bound: Self, yes: Self, no: Self) -> Self;
    /// Lane-wise select: `yes` where this is > 0, else `no`. For an entry d of the one-hot sample, `d.select(a, b)` is a at the
    /// category drawn and b at all others.
    #[inline(always)]
    fn select(self, yes: Self, no: Self) -> Self {
        self.if_above(Self::ZERO, yes, no)
    }
    /// Whether this is < `bound`, in any lane.
    fn any_below(self, bound: Self) -> bool;
    /// x ← eˣ for each number of a row.
    fn exp_all(x: &mut [Self]);
    /// Σ x of a row, in an order that depends on the length alone.
    fn total(x: &[Self]) -> Self;
    /// Σ eˣ of a row, in the same order.
    fn total_exp(x: &[Self]) -> Self;
    /// x ← onehot(argmax x), of a row: the first of several largest ones.
    fn one_hot_of_largest(x: &mut [Self]);
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
    + sealed::Number
    + Display
    + PartialOrd
    + Sum
    + serde::Serialize
    + serde::de::DeserializeOwned
{
    /// Distance from 1 to the next number.
    const EPSILON: Self;
    /// The smallest positive number with all its digits.
    const MIN_POSITIVE: Self;

    /// Exact widening.
    fn to_f64(self) -> f64;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// |x|
    fn abs(self) -> Self;
    /// Whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;
}
