//! Element by element.

use crate::scalar::Scalar;
use crate::simd::vectorized;

/// y = f(x) for every element, vectorised.
#[inline(always)]
fn map<T: Scalar>(x: &[T], y: &mut [T], f: impl Fn(T) -> T) {
    debug_assert_eq!(x.len(), y.len());
    vectorized(|| zip_loop(x, y, |x, _| f(x)));
}

/// out ← f(a, out) for every element.
#[inline(always)]
fn zip_loop<T: Scalar>(a: &[T], out: &mut [T], f: impl Fn(T, T) -> T) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = f(a, *out);
    }
}

/// dx += f(saved, g) for every element.
#[inline(always)]
fn map_vjp<T: Scalar>(saved: &[T], g: &[T], dx: &mut [T], f: impl Fn(T, T) -> T) {
    debug_assert!(saved.len() == dx.len() && g.len() == dx.len());
    for ((dx, &s), &g) in dx.iter_mut().zip(saved).zip(g) {
        *dx += f(s, g);
    }
}

/// out = a + b
pub fn add<T: Scalar>(a: &[T], b: &[T], out: &mut [T]) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = a + b;
    }
}

/// out = a − b
pub fn sub<T: Scalar>(a: &[T], b: &[T], out: &mut [T]) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = a - b;
    }
}

/// y = alpha · x + offset
pub fn affine<T: Scalar>(alpha: T, x: &[T], offset: T, y: &mut [T]) {
    map(x, y, |x| alpha * x + offset);
}

/// dx += alpha · g: the vjp of every linear element-wise op (`add`, `sub`, `affine`).
pub fn axpy<T: Scalar>(alpha: T, g: &[T], dx: &mut [T]) {
    zip_loop(g, dx, |g, dx| dx + alpha * g);
}

/// out = a ⊙ b
pub fn mul<T: Scalar>(a: &[T], b: &[T], out: &mut [T]) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = a * b;
    }
}

/// da += g ⊙ b
pub fn mul_vjp<T: Scalar>(b: &[T], g: &[T], da: &mut [T]) {
    map_vjp(b, g, da, |b, g| g * b);
}

/// y = max(x, 0)
pub fn relu<T: Scalar>(x: &[T], y: &mut [T]) {
    map(x, y, |x| if x > T::ZERO { x } else { T::ZERO });
}

/// dx += g where y > 0; at 0 the derivative is taken as 0, as PyTorch takes it.
pub fn relu_vjp<T: Scalar>(y: &[T], g: &[T], dx: &mut [T]) {
    map_vjp(y, g, dx, |y, g| if y > T::ZERO { g } else { T::ZERO });
}

/// 1 / (1 + e⁻ˣ), through e^−|x| so that neither branch overflows.
#[inline(always)]
pub fn sigmoid_of<T: Scalar>(x: T) -> T {
    let e = (-x.abs()).exp();
    (if x >= T::ZERO { T::ONE } else { e }) / (T::ONE + e)
}

/// y = 1 / (1 + e⁻ˣ)
pub fn sigmoid<T: Scalar>(x: &[T], y: &mut [T]) {
    map(x, y, sigmoid_of);
}

/// dx += g ⊙ y ⊙ (1 − y)
pub fn sigmoid_vjp<T: Scalar>(y: &[T], g: &[T], dx: &mut [T]) {
    map_vjp(y, g, dx, |y, g| g * y * (T::ONE - y));
}

/// y = eˣ
pub fn exp<T: Scalar>(x: &[T], y: &mut [T]) {
    map(x, y, T::exp);
}

/// dx += g ⊙ y
pub fn exp_vjp<T: Scalar>(y: &[T], g: &[T], dx: &mut [T]) {
    mul_vjp(y, g, dx);
}

/// y = ln x
pub fn ln<T: Scalar>(x: &[T], y: &mut [T]) {
    map(x, y, T::ln);
}

/// dx += g / x
pub fn ln_vjp<T: Scalar>(x: &[T], g: &[T], dx: &mut [T]) {
    map_vjp(x, g, dx, |x, g| g / x);
}
