//! Sums, and adding a row to every row.

use crate::scalar::Scalar;
use crate::simd::{self, vectorized};

vectorized! {
    /// Σ x, in an order that depends on the length alone.
    pub fn sum<T: Scalar>(x: &[T]) -> T {
        simd::sum(x)
    }
}

/// dx += g for every element: the vjp of [`sum`].
pub fn sum_vjp<T: Scalar>(g: T, dx: &mut [T]) {
    dx.iter_mut().for_each(|dx| *dx += g);
}

/// Sum of each row: x `[N, M]` → y `[N]`.
pub fn row_sum<T: Scalar>(x: &[T], cols: usize, y: &mut [T]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = sum(&x[i * cols..(i + 1) * cols]);
    }
}

/// dx `[N, M]` += g `[N]` in every column.
pub fn row_sum_vjp<T: Scalar>(g: &[T], cols: usize, dx: &mut [T]) {
    for (i, &g) in g.iter().enumerate() {
        sum_vjp(g, &mut dx[i * cols..(i + 1) * cols]);
    }
}

vectorized! {
    /// y `[N, M]` += bias `[M]` in every row; with `relu`, then y = max(y, 0).
    pub fn add_bias<T: Scalar>(bias: &[T], relu: bool, y: &mut [T]) {
        for row in y.chunks_exact_mut(bias.len().max(1)) {
            for (y, &b) in row.iter_mut().zip(bias) {
                let sum = *y + b;
                *y = if relu && sum <= T::ZERO { T::ZERO } else { sum };
            }
        }
    }
}

vectorized! {
    /// db `[M]` += the sum of g `[N, M]` over its rows, in row order.
    pub fn add_bias_vjp<T: Scalar>(g: &[T], db: &mut [T]) {
        for row in g.chunks_exact(db.len().max(1)) {
            for (db, &g) in db.iter_mut().zip(row) {
                *db += g;
            }
        }
    }
}

/// Each row `times` times in a row: x `[N, M]` → y `[N·times, M]`.
pub fn repeat_rows<T: Scalar>(x: &[T], cols: usize, times: usize, y: &mut [T]) {
    let cols = cols.max(1);
    for (k, y) in y.chunks_exact_mut(cols).enumerate() {
        y.copy_from_slice(&x[k / times * cols..][..cols]);
    }
}

/// dx += the sum of g over the copies of each row, in order.
pub fn repeat_rows_vjp<T: Scalar>(g: &[T], cols: usize, times: usize, dx: &mut [T]) {
    let cols = cols.max(1);
    for (k, g) in g.chunks_exact(cols).enumerate() {
        for (dx, &g) in dx[k / times * cols..][..cols].iter_mut().zip(g) {
            *dx += g;
        }
    }
}
