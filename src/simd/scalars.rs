//! The implementations of [`Real`] and [`Scalar`] for the two number types: rows are processed
//! sixteen numbers at a time, with the functions of [`math`].

use super::{self as simd, math};
use crate::scalar::sealed::{Kind, Number, Sealed};
use crate::scalar::{Real, Scalar};

macro_rules! scalar {
    ($t:ty, $bits:ty, $kind:expr, $cells_log2:expr, $exp:path, $ln:path, $exp2_nonpositive:path, $log2_normal:path, $recip_normal:path, $ln_1p:path) => {
        impl Sealed for $t {
            type Number = Self;
            #[inline(always)]
            fn numbers(row: &mut [Self]) -> &mut [Self] {
                row
            }
        }

        impl Real for $t {
            type Scalar = Self;
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
        }

        impl Number for $t {
            type Bits = $bits;
            const KIND: Kind = $kind;

            #[inline(always)]
            fn of_byte(x: u8) -> Self {
                <$t>::from(x)
            }
            #[inline(always)]
            fn magnitude(self) -> $bits {
                self.to_bits() & (<$bits>::MAX >> 1) // without the sign bit
            }
            #[inline(always)]
            fn open_unit(raw: u64) -> Self {
                // The cell index has `cells_log2` bits. Index + ½ needs one more, and the type
                // represents it exactly.
                let cell = (raw >> (64 - $cells_log2)) as $t;
                (cell + 0.5) * (1.0 / (1u64 << $cells_log2) as $t)
            }
            #[inline(always)]
            fn open_unit_of_halves(high: u32, low: impl FnOnce() -> u32) -> Self {
                if $cells_log2 < 32 {
                    // The number 1 + cell · 2^−cells_log2 is assembled from its bits. Subtracting 1
                    // and adding half a cell is exact.
                    let cell = high >> (32 - $cells_log2.min(31));
                    let above_one = <$t>::from_bits(Self::ONE.to_bits() | cell as $bits);
                    return above_one - (1.0 - 0.5 / (1u64 << $cells_log2) as $t);
                }
                Self::open_unit(u64::from(high) << 32 | u64::from(low()))
            }
        }

        impl Scalar for $t {
            const EPSILON: Self = <$t>::EPSILON;
            const MIN_POSITIVE: Self = <$t>::MIN_POSITIVE;

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
