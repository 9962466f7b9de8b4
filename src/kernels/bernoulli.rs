//! Binary cross-entropy on logits: the negative log-likelihood of grey levels in [0, 1] under
//! Bernoulli pixels.

use super::elementwise::sigmoid_of;
use crate::par;
use crate::scalar::{Scalar, flushed, smallest_factor};
use crate::simd::{sum_of, vectorized};

/// Rows per block of parallel work; a block with 784 pixels per row takes a few microseconds.
const ROWS: usize = 8;

/// −t ln σ(x) − (1 − t) ln(1 − σ(x)) = max(x, 0) − x t + ln(1 + e^−|x|), finite for every finite x.
#[inline(always)]
fn bce_of<T: Scalar>(x: T, t: T) -> T {
    x.max(T::ZERO) - x * t + (-x.abs()).exp().ln_1p()
}

/// Binary cross-entropy summed over each row, in nats: logits x `[N, M]`, targets t `[N, M]` in [0,
/// 1] → loss `[N]`.
pub fn bce_with_logits<T: Scalar>(x: &[T], t: &[T], cols: usize, loss: &mut [T]) {
    par::for_each_block(loss, ROWS, |start, loss| {
        for (i, loss) in loss.iter_mut().enumerate() {
            let row = (start + i) * cols..(start + i + 1) * cols;
            let (x, t) = (&x[row.clone()], &t[row]);
            *loss = row_loss(x, t);
        }
    });
}

vectorized! {
    /// Binary cross-entropy of one row.
    pub(crate) fn row_loss<T: Scalar>(x: &[T], t: &[T]) -> T {
        sum_of(x, t, bce_of)
    }
}

/// dx += g (σ(x) − t), with one g per row. A difference below [`smallest_factor`] counts as 0.
///
/// A trained decoder has logits below −87 for pixels that are always blank, whose σ is subnormal in
/// `f32`. With them a step's matrix products, two of which read dx, took three times as long.
pub fn bce_with_logits_vjp<T: Scalar>(x: &[T], t: &[T], cols: usize, g: &[T], dx: &mut [T]) {
    let cols = cols.max(1);
    par::for_each_block(dx, ROWS * cols, |start, dx| {
        let rows = dx.chunks_mut(cols).zip(x[start..].chunks(cols)).zip(t[start..].chunks(cols));
        for (((dx, x), t), &g) in rows.zip(&g[start / cols..]) {
            row_vjp(x, t, g, dx);
        }
    });
}

vectorized! {
    fn row_vjp<T: Scalar>(x: &[T], t: &[T], g: T, dx: &mut [T]) {
        for ((dx, &x), &t) in dx.iter_mut().zip(x).zip(t) {
            *dx += g * flushed(sigmoid_of(x) - t, smallest_factor());
        }
    }
}

/// dt += −g x, with one g per row, for targets that are themselves computed.
pub fn bce_with_logits_target_vjp<T: Scalar>(x: &[T], cols: usize, g: &[T], dt: &mut [T]) {
    let cols = cols.max(1);
    for ((dt, x), &g) in dt.chunks_mut(cols).zip(x.chunks(cols)).zip(g) {
        for (dt, &x) in dt.iter_mut().zip(x) {
            *dt -= g * x;
        }
    }
}

#[cfg(test)]
mod examples {
    #[test]
    fn bce_with_logits_by_hand() {
        let mut loss = [0.0_f64];
        super::bce_with_logits(&[0.0, 3.0_f64.ln()], &[1.0, 0.0], 2, &mut loss); // −ln ½ − ln ¼
        assert!((loss[0] - 8.0_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn bce_with_logits_vjp_by_hand() {
        let mut dx = [0.0_f64; 2];
        super::bce_with_logits_vjp(&[0.0, 0.0], &[1.0, 0.25], 2, &[2.0], &mut dx);
        assert_eq!(dx, [-1.0, 0.5]);
    }

    /// σ(−60) = 9e-27 stays, σ(−80) = 2e-35 and the subnormal σ(−90) = 8e-40 become 0, with a
    /// target of 1 nothing does.
    #[test]
    fn tiny_gradients_of_a_certain_pixel_become_zero() {
        let mut dx = [0.0_f32; 4];
        super::bce_with_logits_vjp(&[-60.0, -80.0, -90.0, -90.0], &[0.0, 0.0, 0.0, 1.0], 4, &[0.01], &mut dx);
        let kept = 0.01 * (-60.0_f64).exp();
        assert!((f64::from(dx[0]) / kept - 1.0).abs() < 1e-5, "{dx:?}");
        assert_eq!(dx[1..], [0.0, 0.0, -0.01]);
    }

    #[test]
    fn bce_with_logits_target_vjp_by_hand() {
        let mut dt = [0.0; 2];
        super::bce_with_logits_target_vjp(&[1.0, 3.0], 2, &[2.0], &mut dt);
        assert_eq!(dt, [-2.0, -6.0]);
    }
}
