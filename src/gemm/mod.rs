//! Matrix products: the only caller of the product kernels. Slices are checked and the work is
//! divided among threads here.
//!
//! `f32` products use this crate's kernels (`gemm/tiles.rs`). `f64` products use a GEMM library:
//! the crate `matrixmultiply`, or `gemm` if that feature is enabled.
#![allow(unsafe_code)]

#[cfg(test)]
mod tests;
mod tiles;

use crate::mat::{MatMut, MatRef};
use crate::par;
use crate::scalar::{Scalar, sealed::Kind};
use std::ops::Range;

/// A matrix or its transpose. All product kernels accept both orientations, so a transpose costs
/// nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand<'a, T> {
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
    data: &'a [T],
}

impl<'a, T> From<MatRef<'a, T>> for Operand<'a, T> {
    fn from(m: MatRef<'a, T>) -> Self {
        Self { rows: m.rows, cols: m.cols, row_stride: m.cols, col_stride: 1, data: m.data }
    }
}

impl<'a, T> MatRef<'a, T> {
    /// The transpose, as an operand of [`gemm`].
    pub(crate) fn t(self) -> Operand<'a, T> {
        Operand { rows: self.cols, cols: self.rows, row_stride: 1, col_stride: self.cols, data: self.data }
    }
}

/// A product with fewer multiply-adds than this stays on one thread: handing half of it to a
/// busy-waiting thread costs about a microsecond, and a product of this size takes a few.
const SPLIT_ABOVE: usize = 1 << 18;

/// The width of a block is a multiple of this number of columns or rows, so that only the last
/// block has partial tiles.
const TILE: usize = 32;

/// `c = a · b + beta · c`, with `a: [N, K]`, `b: [K, M]`, `c: [N, M]`, `beta` 0 or 1. With `beta` 0
/// the previous contents of `c` are ignored.
///
/// # Panics
/// If the shapes do not match.
#[track_caller]
pub(crate) fn gemm<'a, T: Scalar>(
    a: impl Into<Operand<'a, T>>,
    b: impl Into<Operand<'a, T>>,
    beta: T,
    c: MatMut<'_, T>,
) {
    let (a, b) = (a.into(), b.into());
    assert!(
        a.cols == b.rows && a.rows == c.rows && b.cols == c.cols,
        "gemm: [{}, {}] · [{}, {}] does not fit [{}, {}]",
        a.rows,
        a.cols,
        b.rows,
        b.cols,
        c.rows,
        c.cols
    );
    if c.rows == 0 || c.cols == 0 {
        return;
    }
    let c = Target { at: c.data.as_mut_ptr(), row_stride: c.cols, rows: c.rows, cols: c.cols };
    let pieces = if a.rows * a.cols * b.cols < SPLIT_ABOVE { 1 } else { 2 };
    // The longer side of the output is cut, because each piece packs the operand of the other side
    // once more.
    let by_cols = c.cols >= c.rows;
    let width = if by_cols { c.cols } else { c.rows }.div_ceil(pieces).next_multiple_of(TILE);
    let side = if by_cols { c.cols } else { c.rows };
    par::for_each(side.div_ceil(width), |k| {
        let from = k * width;
        let to = (from + width).min(side);
        let (a, b, c) = if by_cols {
            (a, b.columns(from, to), c.columns(from, to))
        } else {
            (a.rows(from, to), b, c.rows(from, to))
        };
        // SAFETY: the pieces are disjoint ranges of rows or columns of one exclusively borrowed
        // `c`.
        unsafe { piece(a, b, beta, c) }
    });
}

impl<T> Operand<'_, T> {
    fn columns(mut self, from: usize, to: usize) -> Self {
        self.data = self.data.get(from * self.col_stride..).unwrap_or(&[]);
        self.cols = to - from;
        self
    }

    fn rows(mut self, from: usize, to: usize) -> Self {
        self.data = self.data.get(from * self.row_stride..).unwrap_or(&[]);
        self.rows = to - from;
        self
    }

    /// One past the largest index of the slice that this operand reads.
    fn reach(&self) -> usize {
        if self.rows == 0 || self.cols == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride + 1
    }
}

/// A rectangle of the output. Rectangles that threads write concurrently are disjoint.
#[derive(Clone, Copy)]
struct Target<T> {
    at: *mut T,
    row_stride: usize,
    rows: usize,
    cols: usize,
}

// SAFETY: a `Target` is only made from an exclusive borrow that outlives the work, and is cut into
// disjoint rectangles.
unsafe impl<T: Send> Send for Target<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Target<T> {}

impl<T> Target<T> {
    fn columns(mut self, from: usize, to: usize) -> Self {
        self.at = self.at.wrapping_add(from);
        self.cols = to - from;
        self
    }

    fn rows(mut self, from: usize, to: usize) -> Self {
        self.at = self.at.wrapping_add(from * self.row_stride);
        self.rows = to - from;
        self
    }
}

/// Computes one product on this thread.
///
/// # Safety
/// `c` is a rectangle in memory that nothing else reads or writes during the call.
unsafe fn piece<T: Scalar>(a: Operand<'_, T>, b: Operand<'_, T>, beta: T, c: Target<T>) {
    assert!(
        a.reach() <= a.data.len() && b.reach() <= b.data.len(),
        "gemm: an operand reaches past its slice"
    );
    match T::KIND {
        // SAFETY: `Scalar` is sealed and KIND says which type T is, so the casts change nothing.
        // The extent of the operands was checked above, and `c` is the caller's guarantee.
        Kind::F32 => unsafe {
            tiles::product(a.cast(), b.cast(), beta != T::ZERO, c.cast());
        },
        // SAFETY: as above.
        Kind::F64 => unsafe { product_f64(a.cast(), b.cast(), beta.to_f64(), c.cast()) },
    }
}

/// An operand in the form that the kernels take.
#[derive(Clone, Copy)]
struct Raw<T> {
    at: *const T,
    rows: usize,
    cols: usize,
    row_stride: isize,
    col_stride: isize,
}

impl<T> Raw<T> {
    fn part(mut self, rows: Range<usize>, cols: Range<usize>) -> Self {
        let skipped = rows.start as isize * self.row_stride + cols.start as isize * self.col_stride;
        self.at = self.at.wrapping_offset(skipped);
        (self.rows, self.cols) = (rows.len(), cols.len());
        self
    }
}

impl<T> Operand<'_, T> {
    fn cast<U>(self) -> Raw<U> {
        let (row_stride, col_stride) = (self.row_stride as isize, self.col_stride as isize);
        Raw { at: self.data.as_ptr().cast(), rows: self.rows, cols: self.cols, row_stride, col_stride }
    }
}

impl<T> Target<T> {
    fn cast<U>(self) -> Target<U> {
        Target { at: self.at.cast(), row_stride: self.row_stride, rows: self.rows, cols: self.cols }
    }
}

macro_rules! product {
    ($name:ident, $t:ty, $matrixmultiply:path) => {
        /// # Safety
        /// As for [`piece`]; the operands lie in memory that is not written during the call.
        #[cfg(not(feature = "gemm"))]
        unsafe fn $name(a: Raw<$t>, b: Raw<$t>, beta: $t, c: Target<$t>) {
            let (sa, sb, sc) =
                ((a.row_stride, a.col_stride), (b.row_stride, b.col_stride), c.row_stride as isize);
            // SAFETY: guaranteed by the caller.
            unsafe {
                $matrixmultiply(
                    a.rows, a.cols, b.cols, 1.0, a.at, sa.0, sa.1, b.at, sb.0, sb.1, beta, c.at, sc, 1,
                );
            }
        }

        /// # Safety
        /// As for [`piece`]; the operands lie in memory that is not written during the call.
        #[cfg(feature = "gemm")]
        unsafe fn $name(a: Raw<$t>, b: Raw<$t>, beta: $t, c: Target<$t>) {
            let (sa, sb, sc) =
                ((a.col_stride, a.row_stride), (b.col_stride, b.row_stride), c.row_stride as isize);
            // The library computes c = beta · c + a · b and reads c only if beta is not 0.
            let (keep, one) = (beta != 0.0, gemm::Parallelism::None);
            // SAFETY: guaranteed by the caller.
            unsafe {
                gemm::gemm(
                    a.rows, b.cols, a.cols, c.at, 1, sc, keep, a.at, sa.0, sa.1, b.at, sb.0, sb.1, beta, 1.0,
                    false, false, false, one,
                );
            }
        }
    };
}

product!(product_f64, f64, matrixmultiply::dgemm);
