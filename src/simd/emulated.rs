//! Number types for CPUs without fused multiply-add instructions.

use super::fused::{Fused, ToOdd, Twice, TwiceOrSmall, mul_add_f32};
use super::lanes::Lanes;
use super::math;
use crate::scalar::sealed::{Emulate, Sealed};
use crate::scalar::{Real, Scalar};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// Computes `$f` for each of N numbers `$l` with the fast method `$fast`. If it flags a result as
/// possibly wrong, all are computed again with [`ToOdd`].
macro_rules! each {
    ($l:ident, $by:ident: $fast:ident, $f:expr) => {{
        let (mut y, mut doubtful) = ([0.0; N], 0);
        for $l in 0..N {
            let $by = &$fast::default();
            y[$l] = $f;
            doubtful |= $by.doubtful();
        }
        if doubtful != 0 {
            for $l in 0..N {
                let $by = &ToOdd;
                y[$l] = $f;
            }
        }
        y
    }};
}

impl Emulate for f32 {
    #[inline(always)]
    fn emulated_mul_add(self, a: Self, b: Self) -> Self {
        mul_add_f32(self, a, b)
    }
    #[inline(always)]
    fn emulated_exp2_nonpositive(self) -> Self {
        math::exp2_nonpositive_f32(self, &ToOdd)
    }
    #[inline(always)]
    fn emulated_log2_normal(self) -> Self {
        math::log2_normal_f32(self, &ToOdd)
    }
    #[inline(always)]
    fn emulated_recip_normal(self) -> Self {
        math::recip_normal_f32(self, &ToOdd)
    }
    #[inline(always)]
    fn each_mul_add<const N: usize>(x: [Self; N], a: &[Self; N], b: &[Self; N]) -> [Self; N] {
        each!(l, by: TwiceOrSmall, by.mul_add(x[l], a[l], b[l]))
    }
    // In the following functions every multiply-add with a subnormal result is exact.
    #[inline(always)]
    fn each_exp2_nonpositive<const N: usize>(x: [Self; N]) -> [Self; N] {
        each!(l, by: Twice, math::exp2_nonpositive_f32(x[l], by))
    }
    #[inline(always)]
    fn each_log2_normal<const N: usize>(x: [Self; N]) -> [Self; N] {
        each!(l, by: Twice, math::log2_normal_f32(x[l], by))
    }
    #[inline(always)]
    fn each_recip_normal<const N: usize>(x: [Self; N]) -> [Self; N] {
        each!(l, by: Twice, math::recip_normal_f32(x[l], by))
    }
}

/// No wider type is available for `f64`, so it uses the C library. Training uses `f32`.
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

impl<T: Scalar> Emulate for Lanes<T> {
    #[inline(always)]
    fn emulated_mul_add(self, a: Self, b: Self) -> Self {
        Self(T::each_mul_add(self.0, &a.0, &b.0))
    }
    #[inline(always)]
    fn emulated_exp2_nonpositive(self) -> Self {
        Self(T::each_exp2_nonpositive(self.0))
    }
    #[inline(always)]
    fn emulated_log2_normal(self) -> Self {
        Self(T::each_log2_normal(self.0))
    }
    #[inline(always)]
    fn emulated_recip_normal(self) -> Self {
        Self(T::each_recip_normal(self.0))
    }
}

/// A number with the arithmetic of `R`, bit for bit, but without fused instructions. Kernels
/// declared with `vectorized! { fused … }` are compiled with this type for CPUs that lack the
/// instructions; a formula cannot distinguish it from `R`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct Emulated<R>(R);

/// Argument types of kernels: conversion from the type for `R` to the type for `Emulated<R>`.
pub(crate) trait IntoEmulated {
    /// This type with `Emulated<R>` in place of `R`.
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
        // SAFETY: `Emulated` is transparent, and the result has the lifetime of the borrow.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len()) }
    }
}

/// Result types of kernels: conversion from the type for `Emulated<R>` to the type for `R`.
pub(crate) trait IntoInner {
    /// This type with `R` in place of `Emulated<R>`.
    type Inner;
    fn into_inner(self) -> Self::Inner;
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

/// The wrapped numbers.
#[inline(always)]
fn inside<R>(x: &[Emulated<R>]) -> &[R] {
    // SAFETY: `Emulated` is transparent.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// The wrapped numbers.
#[inline(always)]
fn inside_mut<R>(x: &mut [Emulated<R>]) -> &mut [R] {
    // SAFETY: `Emulated` is transparent, and the result has the lifetime of the borrow.
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

/// An emulated type is left as it is.
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

    // All other operations are those of the wrapped number.
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

    /// Each operation, on one number and on sixteen, has the bits of the fused operation.
    #[test]
    fn emulated_operations_match_the_wrapped_type() {
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
