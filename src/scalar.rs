//! The two number types, `f32` for training and `f64` for gradient checks, and the operations that
//! they share with a SIMD vector of them.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// Items that only this crate implements and calls.
pub(crate) mod sealed {
    /// The number type for which a generic body is instantiated.
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
        /// The numbers of a row.
        fn numbers(row: &mut [Self]) -> &mut [Self::Number];
    }

    /// Operations on a CPU without an instruction for fused multiply-adds. Each has the bits of the
    /// corresponding method of [`Real`](super::Real).
    pub trait Emulate: Sized + Copy {
        /// self · a + b with one rounding.
        fn emulated_mul_add(self, a: Self, b: Self) -> Self;
        /// [`Real::exp2_nonpositive`](super::Real::exp2_nonpositive)
        fn emulated_exp2_nonpositive(self) -> Self;
        /// [`Real::log2_normal`](super::Real::log2_normal)
        fn emulated_log2_normal(self) -> Self;
        /// [`Real::recip_normal`](super::Real::recip_normal)
        fn emulated_recip_normal(self) -> Self;

        /// x · a + b for each number.
        fn each_mul_add<const N: usize>(x: [Self; N], a: &[Self; N], b: &[Self; N]) -> [Self; N] {
            std::array::from_fn(|l| x[l].emulated_mul_add(a[l], b[l]))
        }
        /// [`emulated_exp2_nonpositive`](Self::emulated_exp2_nonpositive) of each number.
        fn each_exp2_nonpositive<const N: usize>(x: [Self; N]) -> [Self; N] {
            x.map(Self::emulated_exp2_nonpositive)
        }
        /// [`emulated_log2_normal`](Self::emulated_log2_normal) of each number.
        fn each_log2_normal<const N: usize>(x: [Self; N]) -> [Self; N] {
            x.map(Self::emulated_log2_normal)
        }
        /// [`emulated_recip_normal`](Self::emulated_recip_normal) of each number.
        fn each_recip_normal<const N: usize>(x: [Self; N]) -> [Self; N] {
            x.map(Self::emulated_recip_normal)
        }
    }

    /// Seals [`Scalar`](super::Scalar), and contains what depends on the representation of the
    /// type.
    pub trait Number: Sized {
        /// An unsigned integer of the width of the type.
        type Bits: Copy + Default + Ord + std::fmt::Debug;
        /// Which type this is.
        const KIND: Kind;
        /// Converts `x` exactly.
        fn of_byte(x: u8) -> Self;
        /// An integer that increases with |x|, and is larger for NaN than for infinity. The maximum
        /// over many numbers shows whether all are finite.
        fn magnitude(self) -> Self::Bits;
        /// Converts 64 random bits to a uniform number in the open interval (0, 1); see
        /// [`uniform`](crate::rng::uniform).
        fn open_unit(raw: u64) -> Self;
        /// [`open_unit`](Self::open_unit) from 32 random bits, and 32 more if the type has the
        /// precision for them.
        fn open_unit_of_halves(high: u32, low: impl FnOnce() -> u32) -> Self;
    }
}

/// The number type of a formula for one latent variable. The library calls a formula with `f32`,
/// with `f64`, or with a SIMD vector of either that has one latent variable per lane; the formula
/// cannot distinguish them. Sealed.
///
/// There is no `<` and no argmax index, because their results could differ between lanes.
/// [`select`](Self::select) and [`if_above`](Self::if_above) are lane-wise selections instead.
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

    /// The number nearest to `x`.
    fn of(x: f64) -> Self;
    /// eˣ
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + x), accurate for small x.
    fn ln_1p(self) -> Self;
    /// 2ˣ for x ≤ 0, within 2 units in the last place; 0 where the result would be subnormal.
    fn exp2_nonpositive(self) -> Self;
    /// log₂ of a normal number > 0, within 2 units in the last place.
    fn log2_normal(self) -> Self;
    /// 1/x of a normal number > 0 whose reciprocal is normal, within 2 units in the last place;
    /// faster than a division.
    fn recip_normal(self) -> Self;
    /// self · a + b with one rounding. For `f64` this is slow on a CPU without the instruction.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The larger number; if one is NaN, the other one.
    fn max(self, other: Self) -> Self;
    /// Lane-wise select: `yes` where this is > `bound`, else `no`.
    fn if_above(self, bound: Self, yes: Self, no: Self) -> Self;
    /// Lane-wise select: `yes` where this is > 0, else `no`. For an entry d of the one-hot sample,
    /// `d.select(a, b)` is a at the category drawn and b at all others.
    #[inline(always)]
    fn select(self, yes: Self, no: Self) -> Self {
        self.if_above(Self::ZERO, yes, no)
    }
    /// Whether this is < `bound` in any lane.
    fn any_below(self, bound: Self) -> bool;
    /// x ← eˣ for each number of a row.
    fn exp_all(x: &mut [Self]);
    /// Σ x of a row, in an order that depends only on the length.
    fn total(x: &[Self]) -> Self;
    /// Σ eˣ of a row, in the order of the sum of x.
    fn total_exp(x: &[Self]) -> Self;
    /// x ← onehot(argmax x) of a row, for the first of several maxima.
    fn one_hot_of_largest(x: &mut [Self]);
}

/// `f32` or `f64`. Sealed, because the GEMM and SIMD modules rely on there being no third type.
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
    /// The smallest positive normal number.
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

/// Replaces a number below `floor` in magnitude by 0.
///
/// An operation with a subnormal number takes a hundred or more cycles on common CPUs.
#[inline(always)]
pub(crate) fn flushed<T: Scalar>(x: T, floor: T) -> T {
    if x.abs() < floor { T::ZERO } else { x }
}

/// The smallest normal number divided by the distance from 1 to the next number, 1e-31 in `f32`:
/// the smallest number whose product with every number from [`Scalar::EPSILON`] on is normal.
#[inline(always)]
pub(crate) fn smallest_factor<T: Scalar>() -> T {
    T::MIN_POSITIVE / T::EPSILON
}
