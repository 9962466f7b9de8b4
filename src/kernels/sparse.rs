//! Products with a matrix of mostly zeros: grey images (81 % of MNIST's pixels are 0), and one-hot codes, where the product
//! is a gather of C times fewer rows.
//!
//! The numbers are those of a dense product but for the order of the sums.

use crate::mat::{MatMut, MatRef};
use crate::par::{self, Wide};
use crate::scalar::Scalar;
use crate::simd::vectorized;

/// The nonzero numbers of a matrix, row by row. Kept from step to step, so that filling it again allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct SparseRows<T> {
    /// Where each row begins, and after the last one where it ends.
    starts: Vec<usize>,
    /// Column and value of each nonzero number, and beyond the last row's end whatever was there before.
    entries: Vec<(u32, T)>,
    cols: usize,
}

impl<T: Scalar> SparseRows<T> {
    /// Whether `x` has so few nonzero numbers that a sparse product pays: at most a third. At the paper's shapes the sparse product
    /// was measured to take as long as the dense one with half of the numbers nonzero.
    pub fn pays(x: &[T]) -> bool {
        3 * count_nonzero(x) <= x.len()
    }

    /// Becomes `x`.
    pub fn assign(&mut self, x: MatRef<'_, T>) {
        self.cols = x.cols;
        self.starts.clear();
        self.starts.push(0);
        let mut count = 0;
        for i in 0..x.rows {
            if self.entries.len() < count + x.cols {
                self.entries.resize(count + x.cols, (0, T::ZERO));
            }
            let entries = &mut self.entries[count..];
            let mut filled = 0;
            for (j, &x) in x.row(i).iter().enumerate() {
                entries[filled] = (j as u32, x); // stays if x is not 0: no branch for the CPU to guess wrong
                filled += usize::from(x != T::ZERO);
            }
            count += filled;
            self.starts.push(count);
        }
    }

    /// Becomes the transpose of `other`.
    pub fn assign_transposed(&mut self, other: &Self) {
        self.cols = other.starts.len() - 1;
        let count = other.starts[other.starts.len() - 1];
        if self.entries.len() < count {
            self.entries.resize(count, (0, T::ZERO));
        }
        // starts[j + 1] counts column j, then is where its next number goes, and in the end is where it ends.
        self.starts.clear();
        self.starts.resize(other.cols + 1, 0);
        let mut total = 0;
        for &(j, _) in &other.entries[..count] {
            self.starts[j as usize + 1] += 1;
        }
        for start in &mut self.starts[1..] {
            total += std::mem::replace(start, total);
        }
        for (i, row) in other.starts.windows(2).enumerate() {
            for &(j, x) in &other.entries[row[0]..row[1]] {
                let at = &mut self.starts[j as usize + 1];
                self.entries[*at] = (i as u32, x);
                *at += 1;
            }
        }
    }

    fn row(&self, i: usize) -> &[(u32, T)] {
        &self.entries[self.starts[i]..self.starts[i + 1]]
    }

    /// `c = self · b + beta · c`, with `self: [N, K]`, `b: [K, M]`, `c: [N, M]`, `beta` 0 or 1.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn multiply(&self, b: MatRef<'_, T>, beta: T, c: MatMut<'_, T>) {
        let rows = self.starts.len() - 1;
        assert!(
            (self.cols, c.rows, c.cols) == (b.rows, rows, b.cols),
            "sparse product: [{rows}, {}] · [{}, {}] does not fit [{}, {}]",
            self.cols,
            b.rows,
            b.cols,
            c.rows,
            c.cols
        );
        if c.data.is_empty() {
            return;
        }
        let c = Wide { slice: c.data, times: c.cols };
        par::for_each_block(c, rows.div_ceil(BLOCKS), |first, c: Wide<'_, T>| {
            for from in (0..b.cols).step_by(PANEL) {
                for (i, c) in c.slice.chunks_mut(b.cols).enumerate() {
                    let to = (from + PANEL).min(b.cols);
                    accumulate(self.row(first + i), b, from, beta, &mut c[from..to]);
                }
            }
        });
    }
}

/// Parts of a product that may run side by side. More than threads, as rows differ in length.
const BLOCKS: usize = 8;

/// Columns to a panel. A panel of `b` stays in the second-level cache, and one row of it in registers.
const PANEL: usize = 128;

vectorized! {
    fn count_nonzero<T: Scalar>(x: &[T]) -> usize {
        // Blocks short enough that the counts fit the vectors of the numbers themselves.
        x.chunks(1 << 16).map(|x| x.iter().map(|&x| u32::from(x != T::ZERO)).sum::<u32>() as usize).sum()
    }
}

vectorized! {
    /// c = Σ value · b[index, from..] + beta · c over the row's numbers, in their order.
    fn accumulate<T: Scalar>(row: &[(u32, T)], b: MatRef<'_, T>, from: usize, beta: T, c: &mut [T]) {
        let mut sums = [T::ZERO; PANEL];
        if c.len() < PANEL {
            return narrow(row, b, from, beta, c);
        }
        for &(k, x) in row {
            let b = &b.data[k as usize * b.cols + from..][..PANEL];
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum += x * b;
            }
        }
        for (c, &sum) in c.iter_mut().zip(&sums) {
            *c = if beta == T::ZERO { sum } else { *c + sum };
        }
    }
}

/// The same for the last columns.
#[inline(always)]
fn narrow<T: Scalar>(row: &[(u32, T)], b: MatRef<'_, T>, from: usize, beta: T, c: &mut [T]) {
    if beta == T::ZERO {
        c.fill(T::ZERO);
    }
    for &(k, x) in row {
        let b = &b.data[k as usize * b.cols + from..];
        for (c, &b) in c.iter_mut().zip(b) {
            *c += x * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mat;
    use crate::gemm::gemm;
    use crate::rng::{from_key, uniform};

    fn random(rows: usize, cols: usize, density: f64, seed: u64) -> Mat<f64> {
        let mut rng = from_key(seed);
        let mut m = Mat::zeros(rows, cols);
        for x in m.as_mut_slice() {
            let nonzero = uniform::<f64>(&mut rng) < density;
            *x = if nonzero { uniform::<f64>(&mut rng) - 0.5 } else { 0.0 };
        }
        m
    }

    /// Sums of at most 60 products of numbers below ½ in another order: 60 · 2⁻⁵³ · ¼ · 60 < 2e-13.
    #[test]
    fn products_agree_with_the_dense_ones() {
        let shapes = [
            (1, 1, 1),
            (7, 60, 5),
            (60, 9, 128),
            (20, 30, 300),
            (3, 1, 129),
            (0, 4, 4),
            (4, 4, 0),
            (2, 0, 3),
        ];
        for (seed, (n, k, m)) in shapes.into_iter().enumerate() {
            for density in [0.0, 0.2, 1.0] {
                let (x, b, g) =
                    (random(n, k, density, seed as u64), random(k, m, 1.0, 9), random(n, m, 1.0, 8));
                let (mut rows, mut columns) = (SparseRows::default(), SparseRows::default());
                rows.assign(random(5, 3, 0.5, 7).view()); // what it held before is forgotten
                rows.assign(x.view());
                columns.assign_transposed(&rows);
                for beta in [0.0, 1.0] {
                    let (mut got, mut want) = (random(n, m, 1.0, 1), random(n, m, 1.0, 1));
                    rows.multiply(b.view(), beta, got.view_mut());
                    gemm(x.view(), b.view(), beta, want.view_mut());
                    approx::assert_abs_diff_eq!(got.as_slice(), want.as_slice(), epsilon = 2e-13);
                    let (mut got, mut want) = (random(k, m, 1.0, 1), random(k, m, 1.0, 1));
                    columns.multiply(g.view(), beta, got.view_mut());
                    gemm(x.view().t(), g.view(), beta, want.view_mut());
                    approx::assert_abs_diff_eq!(got.as_slice(), want.as_slice(), epsilon = 2e-13);
                }
            }
        }
    }

    #[test]
    fn pays_up_to_a_third() {
        assert!(SparseRows::pays(&[0.0, 0.0, 1.0]) && !SparseRows::pays(&[0.0, 1.0, -1.0]));
        assert!(SparseRows::<f32>::pays(&[]));
        assert!(SparseRows::pays(&[-0.0_f32; 100_000]));
    }
}
