//! Products with a matrix of mostly zeros: grey images (81 % of MNIST's pixels are 0), and one-hot codes, where the product
//! is a gather of C times fewer rows.
//!
//! Zeros in a sum of finite numbers change no bit, and where the other factor is not finite they are not left out (0 · NaN is NaN): in
//! `f32`, where the dense product sums in the order of k too, the numbers are the same.

use crate::mat::{MatMut, MatRef};
use crate::par::{self, Wide};
use crate::scalar::Scalar;
use crate::simd::{self, vectorized};
use std::sync::atomic::{AtomicBool, Ordering};

/// Rows to a band. Neighbouring rows are alike, neighbouring pixels most of all: a number of `b` that is loaded for one row serves the
/// others too, so that the product waits for multiply-adds and not for memory.
const BAND: usize = 4;

/// A column, and the numbers that a band's rows have in it.
type Entry<T> = (u32, [T; BAND]);

/// The nonzero numbers of a matrix, in bands of four rows. Kept from step to step, so that filling it again allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct SparseRows<T> {
    /// Entries of each band.
    filled: Vec<usize>,
    /// For each band as many places as there are columns, of which the first ones are filled: each column in which a row of the band is
    /// not 0, and the four rows' numbers. In the others is whatever was there before.
    entries: Vec<Entry<T>>,
    rows: usize,
    cols: usize,
}

impl<T: Scalar> SparseRows<T> {
    /// Whether `x` has so few nonzero numbers that a sparse product pays: at most a third.
    pub fn pays(x: &[T]) -> bool {
        3 * count_nonzero(x) <= x.len()
    }

    /// Becomes `x`.
    pub fn assign(&mut self, x: MatRef<'_, T>) {
        self.fill(x.rows, x.cols, |first| {
            let mut rows = [&[][..]; BAND];
            for (row, i) in rows.iter_mut().zip(first..x.rows) {
                *row = x.row(i);
            }
            move |j| rows.map(|row| row.get(j).copied().unwrap_or(T::ZERO))
        });
    }

    /// Becomes the transpose of `x`.
    pub fn assign_transposed(&mut self, x: MatRef<'_, T>) {
        self.fill(x.cols, x.rows, |first| {
            move |j| {
                let row = &x.row(j)[first..];
                row.first_chunk()
                    .copied()
                    .unwrap_or_else(|| std::array::from_fn(|i| row.get(i).copied().unwrap_or(T::ZERO)))
            }
        });
    }

    /// Becomes the matrix whose numbers in column j are `band(first)(j)` for the band that begins with row `first`.
    fn fill<C: Fn(usize) -> [T; BAND]>(
        &mut self,
        rows: usize,
        cols: usize,
        band: impl Fn(usize) -> C + Sync,
    ) {
        (self.rows, self.cols) = (rows, cols);
        let bands = rows.div_ceil(BAND);
        self.filled.clear();
        self.filled.resize(bands, 0);
        if self.entries.len() < bands * cols {
            self.entries.resize(bands * cols, (0, [T::ZERO; BAND]));
        }
        if cols == 0 {
            return;
        }
        let entries = Wide { slice: &mut self.entries[..bands * cols], times: cols };
        let work = (&mut self.filled[..], entries);
        par::for_each_block(
            work,
            bands.div_ceil(BLOCKS),
            |from, (filled, entries): (&mut [usize], Wide<'_, _>)| {
                let each = (from..).zip(filled).zip(entries.slice.chunks_exact_mut(cols));
                each.for_each(|((at, filled), entries)| *filled = list(band(at * BAND), entries));
            },
        );
    }

    /// The entries of the band that begins with row `first`.
    fn band(&self, first: usize) -> &[Entry<T>] {
        let at = first / BAND;
        &self.entries[at * self.cols..][..self.filled[at]]
    }

    /// `c = self · b + beta · c`, with `self: [N, K]`, `b: [K, M]`, `c: [N, M]`, `beta` 0 or 1.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn multiply(&self, b: MatRef<'_, T>, beta: T, c: MatMut<'_, T>) {
        let rows = self.rows;
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
        if !all_finite(b.data) {
            let all: Vec<Entry<T>> = (0..self.filled.len()).flat_map(|at| self.all_columns(at)).collect();
            return multiply(|first| &all[first / BAND * self.cols..][..self.cols], b, beta, c);
        }
        multiply(|first| self.band(first), b, beta, c);
    }

    /// Band number `at` with an entry for every column.
    fn all_columns(&self, at: usize) -> impl Iterator<Item = Entry<T>> {
        let mut listed = self.band(at * BAND).iter().peekable();
        (0..self.cols as u32).map(move |j| *listed.next_if(|(k, _)| *k == j).unwrap_or(&(j, [T::ZERO; BAND])))
    }
}

/// The product of the matrix whose band that begins with row `first` is `band(first)`.
fn multiply<'a, T: Scalar>(
    band: impl Fn(usize) -> &'a [Entry<T>] + Sync,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
) {
    let rows = c.rows;
    let c = Wide { slice: c.data, times: c.cols };
    // Two roundings a term where the dense product has two.
    let apart = simd::plain_without_fused();
    let widths = if simd::registers_are_many() {
        [PANEL, NARROW, SHORT, 1]
    } else if apart {
        [SHORT, SHORT, SHORT, 1]
    } else {
        [NARROW, SHORT, SHORT, 1]
    };
    par::for_each_block(c, rows.div_ceil(BLOCKS).next_multiple_of(BAND), |first, c: Wide<'_, T>| {
        let mut from = 0;
        while from < b.cols {
            let width = widths.into_iter().find(|&width| width <= b.cols - from).expect("1 is the last");
            for (i, c) in c.slice.chunks_mut(BAND * b.cols).enumerate() {
                let band = band(first + i * BAND);
                match (width, apart) {
                    (PANEL, _) => wide(band, b, from, beta, c),
                    (NARROW, _) => narrow(band, b, from, beta, c),
                    (SHORT, false) => short(band, b, from, beta, c),
                    (_, false) => single(band, b, from, beta, c),
                    (SHORT, true) => accumulate::<T, SHORT, false>(band, b, from, beta, c),
                    (_, true) => accumulate::<T, 1, false>(band, b, from, beta, c),
                }
            }
            from += width;
        }
    });
}

/// Lists the columns that are not all 0, and returns how many these are.
#[inline(always)]
fn list<T: Scalar>(column: impl Fn(usize) -> [T; BAND], entries: &mut [Entry<T>]) -> usize {
    let mut filled = 0;
    for j in 0..entries.len() {
        let numbers = column(j);
        entries[filled] = (j as u32, numbers); // stays if one is not 0: no branch for the CPU to guess wrong
        filled += usize::from(numbers.iter().fold(false, |any, &x| any | (x != T::ZERO)));
    }
    filled
}

/// Parts of a product, or of a list, that may run side by side. More than threads, as rows differ in length.
const BLOCKS: usize = 16;

/// Columns to a panel: four rows of one are 16 of AVX-512's 32 registers, and of a `b` of 100 rows it stays in the first-level cache.
const PANEL: usize = 64;

/// Columns to a panel where registers are fewer: four rows of one are 12 of AVX2's 16.
const NARROW: usize = 24;

/// Columns to a panel of what is left, and where registers have 128 bits: four rows of one are 8 of 16.
const SHORT: usize = 8;

/// Numbers to a block of parallel work: some microseconds.
const BLOCK: usize = 1 << 15;

fn all_finite<T: Scalar>(x: &[T]) -> bool {
    let all = AtomicBool::new(true);
    par::for_each_block(x, BLOCK, |_, x: &[T]| {
        if largest_magnitude(x) >= T::NEG_INFINITY.magnitude() {
            all.store(false, Ordering::Relaxed);
        }
    });
    all.into_inner()
}

vectorized! {
    fn largest_magnitude<T: Scalar>(x: &[T]) -> T::Bits {
        let mut largest = T::Bits::default();
        for x in x {
            largest = largest.max(x.magnitude());
        }
        largest
    }
}

vectorized! {
    fn count_nonzero<T: Scalar>(x: &[T]) -> usize {
        // Blocks short enough that the counts fit the vectors of the numbers themselves.
        x.chunks(1 << 16).map(|x| x.iter().map(|&x| u32::from(x != T::ZERO)).sum::<u32>() as usize).sum()
    }
}

vectorized! {
    fn wide<T: Scalar>(band: &[Entry<T>], b: MatRef<'_, T>, from: usize, beta: T, c: &mut [T]) {
        accumulate::<T, PANEL, true>(band, b, from, beta, c);
    }
}

vectorized! {
    fn narrow<T: Scalar>(band: &[Entry<T>], b: MatRef<'_, T>, from: usize, beta: T, c: &mut [T]) {
        accumulate::<T, NARROW, true>(band, b, from, beta, c);
    }
}

vectorized! {
    fn short<T: Scalar>(band: &[Entry<T>], b: MatRef<'_, T>, from: usize, beta: T, c: &mut [T]) {
        accumulate::<T, SHORT, true>(band, b, from, beta, c);
    }
}

vectorized! {
    fn single<T: Scalar>(band: &[Entry<T>], b: MatRef<'_, T>, from: usize, beta: T, c: &mut [T]) {
        accumulate::<T, 1, true>(band, b, from, beta, c);
    }
}

/// c = Σ numbers · b[index, from .. from + W] + beta · c in those columns of the band's rows: the sums in the order of the entries, with
/// one rounding a term if `FUSED`, else two.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // with iterators the sums may be kept in memory
fn accumulate<T: Scalar, const W: usize, const FUSED: bool>(
    band: &[Entry<T>],
    b: MatRef<'_, T>,
    from: usize,
    beta: T,
    c: &mut [T],
) {
    // Loops over constants, which the compiler unrolls, so that the sums are registers.
    let mut sums = [[T::ZERO; W]; BAND];
    for &(k, numbers) in band {
        let b: &[T; W] = b.data[k as usize * b.cols + from..].first_chunk().expect("W columns");
        for i in 0..BAND {
            for j in 0..W {
                let (x, b) = (numbers[i], b[j]);
                sums[i][j] = if FUSED { x.mul_add(b, sums[i][j]) } else { x * b + sums[i][j] };
            }
        }
    }
    for i in 0..BAND {
        let Some(c) = c.get_mut(i * b.cols + from..).and_then(|c| c.first_chunk_mut::<W>()) else { continue };
        for j in 0..W {
            c[j] = if beta == T::ZERO { sums[i][j] } else { c[j] + sums[i][j] };
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
                columns.assign_transposed(random(3, 5, 0.5, 7).view());
                columns.assign_transposed(x.view());
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

    /// In `f32` the dense product sums in the same order: the same bits, and NaN in the same places.
    #[test]
    fn what_is_not_finite_is_not_left_out() {
        let same = |(x, y): (&f32, &f32)| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
        let narrowed = |m: Mat<f64>| Mat::from_fn(m.rows(), m.cols(), |i, j| m.row(i)[j] as f32);
        for (seed, (n, k, m)) in [(1, 2, 1), (9, 40, 7), (20, 30, 150)].into_iter().enumerate() {
            for bad in [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = narrowed(random(n, k, 0.2, seed as u64));
                for i in 0..n {
                    x.as_mut_slice()[i * k + k / 2] = 0.0; // a column that no row has, and there is a bad number
                }
                let mut b = narrowed(random(k, m, 1.0, 9));
                b.as_mut_slice()[k / 2 * m + m / 2] = bad;
                let (mut rows, mut columns) = (SparseRows::default(), SparseRows::default());
                rows.assign(x.view());
                let (mut got, mut want) = (Mat::zeros(n, m), Mat::zeros(n, m));
                rows.multiply(b.view(), 0.0, got.view_mut());
                gemm(x.view(), b.view(), 0.0, want.view_mut());
                assert!(
                    got.as_slice().iter().zip(want.as_slice()).all(same),
                    "[{n}, {k}] · [{k}, {m}], {bad}"
                );
                let nan = want.as_slice().iter().filter(|x| x.is_nan()).count();
                assert_eq!(nan, if bad.is_finite() { 0 } else { n });

                let mut g = narrowed(random(n, m, 1.0, 8));
                g.as_mut_slice()[n / 2 * m + m / 2] = bad;
                columns.assign_transposed(x.view());
                let (mut got, mut want) = (Mat::zeros(k, m), Mat::zeros(k, m));
                columns.multiply(g.view(), 0.0, got.view_mut());
                gemm(x.view().t(), g.view(), 0.0, want.view_mut());
                assert!(got.as_slice().iter().zip(want.as_slice()).all(same), "its transpose, {bad}");
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
