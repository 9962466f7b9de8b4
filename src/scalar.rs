//! The two number types: `f32` for training, `f64` for gradient checks.

use crate::simd;
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

/// `f32` or `f64`. Sealed: the GEMM and SIMD modules rely on there being no third.
///
/// ```
/// use hardgrad::Scalar;
/// fn sigmoid<T: Scalar>(x: T) -> T { T::ONE / (T::ONE + (-x).exp()) }
/// assert_eq!(sigmoid(0.0_f32), 0.5);
/// ```
pub trait Scalar:
    sealed::Sealed
    + Copy
    + Default
    + Debug
    + Display
    + PartialOrd
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
    + Sum
    + serde::Serialize
    + serde::de::DeserializeOwned
{
    /// An integer of the same width.
    type Bits: Copy + Default + Ord + std::fmt::Debug;

    /// Which type this is.
    const KIND: Kind;
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// −∞
    const NEG_INFINITY: Self;
    /// Distance from 1 to the next number.
    const EPSILON: Self;

    /// The nearest number to `x`.
    fn of(x: f64) -> Self;
    /// Exact widening.
    fn to_f64(self) -> f64;
    /// eˣ
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + x), exact for small x.
    fn ln_1p(self) -> Self;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// |x|
    fn abs(self) -> Self;
    /// The larger; the other one if one is NaN.
    fn max(self, other: Self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// An integer that grows with |x|, and is above infinity's for NaN: the largest of many says whether all are finite.
    fn magnitude(self) -> Self::Bits;
    /// 64 random bits to a uniform number in the open interval (0, 1); see [`crate::rng::uniform`].
    fn open_unit(raw: u64) -> Self;
}

macro_rules! scalar {
    ($t:ty, $bits:ty, $kind:expr, $cells_log2:expr, $exp:path, $ln:path, $ln_1p:path) => {
        impl Scalar for $t {
            type Bits = $bits;
            const KIND: Kind = $kind;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = <$t>::NEG_INFINITY;
            const EPSILON: Self = <$t>::EPSILON;

            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
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
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                self.max(other)
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
        }
    };
}

scalar!(f32, u32, Kind::F32, 23, simd::exp_f32, simd::ln_f32, simd::ln_1p_f32);
scalar!(f64, u64, Kind::F64, 52, f64::exp, f64::ln, f64::ln_1p);
