//! Element by element.

use crate::scalar::Scalar;
use crate::simd::vectorized;

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
    for (y, &x) in y.iter_mut().zip(x) {
        *y = alpha * x + offset;
    }
}

/// dx += alpha · g: the vjp of every linear element-wise op (`add`, `sub`, `affine`).
pub fn axpy<T: Scalar>(alpha: T, g: &[T], dx: &mut [T]) {
    for (dx, &g) in dx.iter_mut().zip(g) {
        *dx += alpha * g;
    }
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

vectorized! {
    /// y = max(x, 0)
    pub fn relu<T: Scalar>(x: &[T], y: &mut [T]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = if x > T::ZERO { x } else { T::ZERO };
        }
    }
}

/// dx += g where y > 0; at 0 the derivative is taken as 0, as PyTorch takes it.
pub fn relu_vjp<T: Scalar>(y: &[T], g: &[T], dx: &mut [T]) {
    map_vjp(y, g, dx, |y, g| if y > T::ZERO { g } else { T::ZERO });
}

vectorized! {
    /// dy = g where y > 0, else 0: what is left of g before the ReLU.
    pub fn masked_by_relu<T: Scalar>(y: &[T], g: &[T], dy: &mut [T]) {
        for ((dy, &y), &g) in dy.iter_mut().zip(y).zip(g) {
            *dy = if y > T::ZERO { g } else { T::ZERO };
        }
    }
}

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|), finite for every finite x.
#[inline(always)]
pub fn softplus_of<T: Scalar>(x: T) -> T {
    x.max(T::ZERO) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e⁻ˣ), through e^−|x| so that neither branch overflows.
#[inline(always)]
pub fn sigmoid_of<T: Scalar>(x: T) -> T {
    let e = (-x.abs()).exp();
    (if x >= T::ZERO { T::ONE } else { e }) / (T::ONE + e)
}

vectorized! {
    /// y = 1 / (1 + e⁻ˣ)
    pub fn sigmoid<T: Scalar>(x: &[T], y: &mut [T]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = sigmoid_of(x);
        }
    }
}

/// dx += g ⊙ y ⊙ (1 − y)
pub fn sigmoid_vjp<T: Scalar>(y: &[T], g: &[T], dx: &mut [T]) {
    map_vjp(y, g, dx, |y, g| g * y * (T::ONE - y));
}

vectorized! {
    /// y = eˣ
    pub fn exp<T: Scalar>(x: &[T], y: &mut [T]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x.exp();
        }
    }
}

/// dx += g ⊙ y
pub fn exp_vjp<T: Scalar>(y: &[T], g: &[T], dx: &mut [T]) {
    mul_vjp(y, g, dx);
}

vectorized! {
    /// y = ln x
    pub fn ln<T: Scalar>(x: &[T], y: &mut [T]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x.ln();
        }
    }
}

/// dx += g / x
pub fn ln_vjp<T: Scalar>(x: &[T], g: &[T], dx: &mut [T]) {
    map_vjp(x, g, dx, |x, g| g / x);
}
