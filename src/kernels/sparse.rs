//! Products with a sparse matrix: grey-scale images (81 % of MNIST's pixels are 0), and one-hot
//! codes, for which the product is a gather of C times fewer rows.
//!
//! Omitting zeros from a sum of finite numbers changes no bit. Zeros are not omitted where the
//! other factor is not finite (0 · NaN is NaN). In `f32` the dense product also sums in the order
//! of k, so both products have identical bits.

use crate::mat::{MatMut, MatRef};
use crate::par::{self, Wide};
use crate::scalar::Scalar;
use crate::simd::{self, vectorized};
use std::sync::atomic::{AtomicBool, Ordering};

/// Rows per band. Neighbouring rows, in particular rows of pixels, have nonzeros in similar
/// columns. A number of `b` that is loaded for one row is reused for the others, so the product is
/// limited by multiply-adds and not by memory.
const BAND: usize = 4;

/// A column, and the numbers of the band's rows in it.
type Entry<T> = (u32, [T; BAND]);

/// The nonzeros of a matrix, in bands of four rows. The memory is reused from step to step, so that
/// filling it again allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct SparseRows<T> {
    /// Number of entries of each band.
    filled: Vec<usize>,
    /// As many places per band as there are columns. The first of them are filled, one for each
    /// column in which a row of the band is not 0, with the column and the four rows' numbers. The
    /// contents of the others are unspecified.
    entries: Vec<Entry<T>>,
    rows: usize,
    cols: usize,
}

impl<T: Scalar> SparseRows<T> {
    /// Whether `x` is sparse enough for a sparse product to be faster: at most a third of its
    /// numbers are nonzero.
    pub fn pays(x: &[T]) -> bool {
        3 * count_nonzero(x) <= x.len()
    }

    /// Stores the nonzeros of `x`.
    pub fn assign(&mut self, x: MatRef<'_, T>) {
        self.fill(x.rows, x.cols, |first| {
            let mut rows = [&[][..]; BAND];
            for (row, i) in rows.iter_mut().zip(first..x.rows) {
                *row = x.row(i);
            }
            move |j| rows.map(|row| row.get(j).copied().unwrap_or(T::ZERO))
        });
    }

    /// Stores the nonzeros of the transpose of `x`.
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

    /// Stores the matrix whose numbers in column j are `band(first)(j)` for the band that begins
    /// with row `first`.
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
    /// If the shapes do not match.
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

/// Computes the product of the matrix whose band beginning with row `first` is `band(first)`.
fn multiply<'a, T: Scalar>(
    band: impl Fn(usize) -> &'a [Entry<T>] + Sync,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
) {
    let rows = c.rows;
    let c = Wide { slice: c.data, times: c.cols };
    // This path rounds each term twice where the dense product does.
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

/// Lists the columns that are not entirely 0, and returns their number.
#[inline(always)]
fn list<T: Scalar>(column: impl Fn(usize) -> [T; BAND], entries: &mut [Entry<T>]) -> usize {
    let mut filled = 0;
    for j in 0..entries.len() {
        let numbers = column(j);
        entries[filled] = (j as u32, numbers); // kept only if one is not 0; avoids a mispredicted branch
        filled += usize::from(numbers.iter().fold(false, |any, &x| any | (x != T::ZERO)));
    }
    filled
}

/// Number of pieces of a product, or of a list, that may run in parallel. It exceeds the number of
/// threads because rows differ in their number of nonzeros.
const BLOCKS: usize = 16;

/// Columns per panel: four rows of a panel occupy 16 of AVX-512's 32 registers, and a panel of a
/// `b` of 100 rows stays in the first-level cache.
const PANEL: usize = 64;

/// Columns per panel with fewer registers: four rows of a panel occupy 12 of AVX2's 16.
const NARROW: usize = 24;

/// Columns per panel for the remainder, and for registers of 128 bits: four rows of a panel occupy
/// 8 of 16.
const SHORT: usize = 8;

/// Elements per block of parallel work: a few microseconds.
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
        // The blocks are short enough for the counts to fit into SIMD vectors of the number type
        // itself.
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

/// c = Σ numbers · b[index, from .. from + W] + beta · c in those columns of the band's rows. The
/// sums are in the order of the entries, with one rounding per term if `FUSED`, else two.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // iterators may keep the sums in memory
fn accumulate<T: Scalar, const W: usize, const FUSED: bool>(
    band: &[Entry<T>],
    b: MatRef<'_, T>,
    from: usize,
    beta: T,
    c: &mut [T],
) {
    // The loops have constant bounds and are unrolled by the compiler, so that the sums stay in
    // registers.
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

    /// The tolerance covers sums of at most 60 products of numbers below ½ in another order: 60 ·
    /// 2⁻⁵³ · ¼ · 60 < 2e-13.
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
                rows.assign(random(5, 3, 0.5, 7).view()); // replaces the previous contents
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

    /// In `f32` the dense product sums in the order of the sparse one: the bits are equal, and NaNs
    /// are in equal places.
    #[test]
    fn zeros_times_non_finite_numbers_are_not_omitted() {
        let same = |(x, y): (&f32, &f32)| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
        let narrowed = |m: Mat<f64>| Mat::from_fn(m.rows(), m.cols(), |i, j| m.row(i)[j] as f32);
        for (seed, (n, k, m)) in [(1, 2, 1), (9, 40, 7), (20, 30, 150)].into_iter().enumerate() {
            for bad in [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = narrowed(random(n, k, 0.2, seed as u64));
                for i in 0..n {
                    x.as_mut_slice()[i * k + k / 2] = 0.0; // a column of zeros that meets the bad number
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
