//! Sums, and repetition of rows.

use crate::scalar::Scalar;
use crate::simd::{self, vectorized};

vectorized! {
    /// Σ x, in an order that depends only on the length.
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

/// dx `[N, M]` += g `[N]`, for every column.
pub fn row_sum_vjp<T: Scalar>(g: &[T], cols: usize, dx: &mut [T]) {
    for (i, &g) in g.iter().enumerate() {
        sum_vjp(g, &mut dx[i * cols..(i + 1) * cols]);
    }
}

vectorized! {
    /// db `[M]` += the sum of g `[N, M]` over its rows, in row order: the vjp of a bias.
    pub fn add_bias_vjp<T: Scalar>(g: &[T], db: &mut [T]) {
        for row in g.chunks_exact(db.len().max(1)) {
            for (db, &g) in db.iter_mut().zip(row) {
                *db += g;
            }
        }
    }
}

/// Repeats each row `times` times, consecutively: x `[N, M]` → y `[N·times, M]`.
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

#[cfg(test)]
mod examples {
    #[test]
    fn sum_by_hand() {
        assert_eq!(super::sum(&[1.0, 2.0, 4.0]), 7.0);
    }

    #[test]
    fn sum_vjp_by_hand() {
        let mut dx = [0.5; 2];
        super::sum_vjp(3.0, &mut dx);
        assert_eq!(dx, [3.5, 3.5]);
    }

    #[test]
    fn row_sum_by_hand() {
        let mut y = [0.0; 2];
        super::row_sum(&[1.0, 2.0, 3.0, 4.0], 2, &mut y);
        assert_eq!(y, [3.0, 7.0]);
    }

    #[test]
    fn row_sum_vjp_by_hand() {
        let mut dx = [0.5; 4];
        super::row_sum_vjp(&[1.0, 2.0], 2, &mut dx);
        assert_eq!(dx, [1.5, 1.5, 2.5, 2.5]);
    }

    #[test]
    fn add_bias_vjp_by_hand() {
        let mut db = [0.5; 2];
        super::add_bias_vjp(&[1.0, 2.0, 3.0, 4.0], &mut db);
        assert_eq!(db, [4.5, 6.5]);
    }

    #[test]
    fn repeat_rows_by_hand() {
        let mut y = [0.0; 4];
        super::repeat_rows(&[1.0, 2.0], 1, 2, &mut y);
        assert_eq!(y, [1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn repeat_rows_vjp_by_hand() {
        let mut dx = [0.5; 2];
        super::repeat_rows_vjp(&[1.0, 2.0, 3.0, 4.0], 1, 2, &mut dx);
        assert_eq!(dx, [3.5, 7.5]);
    }
}
