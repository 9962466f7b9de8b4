//! Elementwise operations.

use crate::scalar::Scalar;
use crate::simd::vectorized;

/// dx += f(saved, g) for every element.
#[inline(always)]
pub(super) fn map_vjp<T: Scalar>(saved: &[T], g: &[T], dx: &mut [T], f: impl Fn(T, T) -> T) {
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

/// dx += alpha · g: the vjp of every linear elementwise operation (`add`, `sub`, `affine`).
pub fn axpy<T: Scalar>(alpha: T, g: &[T], dx: &mut [T]) {
    for (dx, &g) in dx.iter_mut().zip(g) {
        *dx += alpha * g;
    }
}

vectorized! {
    /// y = max(x, bound); NaN for a NaN
    pub fn at_least<T: Scalar>(bound: T, x: &[T], y: &mut [T]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = if x < bound { bound } else { x }; // false for a NaN
        }
    }
}

/// dx += g, except where x < bound
pub fn at_least_vjp<T: Scalar>(bound: T, x: &[T], g: &[T], dx: &mut [T]) {
    map_vjp(x, g, dx, |x, g| if x < bound { T::ZERO } else { g });
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

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|), which is finite for every finite x.
#[inline(always)]
pub fn softplus_of<T: Scalar>(x: T) -> T {
    x.max(T::ZERO) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e⁻ˣ), computed from e^−|x|, which cannot overflow.
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

#[cfg(test)]
mod examples {
    #[test]
    fn add_by_hand() {
        let mut out = [0.0; 2];
        super::add(&[1.0, 2.0], &[3.0, 5.0], &mut out);
        assert_eq!(out, [4.0, 7.0]);
    }

    #[test]
    fn sub_by_hand() {
        let mut out = [0.0; 2];
        super::sub(&[1.0, 2.0], &[3.0, 5.0], &mut out);
        assert_eq!(out, [-2.0, -3.0]);
    }

    #[test]
    fn affine_by_hand() {
        let mut y = [0.0; 2];
        super::affine(10.0, &[1.0, 2.0], -1.0, &mut y);
        assert_eq!(y, [9.0, 19.0]);
    }

    #[test]
    fn axpy_by_hand() {
        let mut dx = [0.5; 2];
        super::axpy(10.0, &[1.0, 2.0], &mut dx);
        assert_eq!(dx, [10.5, 20.5]);
    }

    #[test]
    fn mul_by_hand() {
        let mut out = [0.0; 2];
        super::mul(&[1.0, 2.0], &[3.0, 5.0], &mut out);
        assert_eq!(out, [3.0, 10.0]);
    }

    #[test]
    fn mul_vjp_by_hand() {
        let mut da = [0.5; 2];
        super::mul_vjp(&[3.0, 5.0], &[1.0, 2.0], &mut da);
        assert_eq!(da, [3.5, 10.5]);
    }

    #[test]
    fn softplus_of_by_hand() {
        use super::softplus_of;
        assert!((softplus_of(0.0_f64) - 2.0_f64.ln()).abs() < 1e-15);
        assert_eq!(softplus_of(1e300), 1e300); // where eˣ overflows
    }

    #[test]
    fn sigmoid_of_by_hand() {
        use super::sigmoid_of;
        assert!((sigmoid_of(3.0_f64.ln()) - 0.75).abs() < 1e-15);
        assert_eq!(sigmoid_of(-1e300), 0.0);
    }

    #[test]
    fn sigmoid_by_hand() {
        let mut y = [0.0; 2];
        super::sigmoid(&[0.0, -1000.0], &mut y);
        assert_eq!(y, [0.5, 0.0]);
    }

    #[test]
    fn sigmoid_vjp_by_hand() {
        let mut dx = [0.0; 2];
        super::sigmoid_vjp(&[0.5, 1.0], &[8.0, 8.0], &mut dx);
        assert_eq!(dx, [2.0, 0.0]);
    }

    #[test]
    fn exp_by_hand() {
        let mut y = [9.0; 2];
        super::exp(&[0.0, f64::NEG_INFINITY], &mut y);
        assert_eq!(y, [1.0, 0.0]);
    }

    #[test]
    fn exp_vjp_by_hand() {
        let mut dx = [0.5; 2];
        super::exp_vjp(&[3.0, 5.0], &[1.0, 2.0], &mut dx);
        assert_eq!(dx, [3.5, 10.5]);
    }

    #[test]
    fn ln_by_hand() {
        let mut y = [9.0; 2];
        super::ln(&[1.0, 0.0], &mut y);
        assert_eq!(y, [0.0, f64::NEG_INFINITY]);
    }

    #[test]
    fn ln_vjp_by_hand() {
        let mut dx = [0.0; 2];
        super::ln_vjp(&[2.0, 4.0], &[1.0, 1.0], &mut dx);
        assert_eq!(dx, [0.5, 0.25]);
    }
}
