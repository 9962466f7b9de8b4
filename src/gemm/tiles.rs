//! The product of `f32` matrices. The products of a training step are small (there are a few
//! hundred of them), and the overhead of a general library would be a large part of their time.
//!
//! A *tile* of the output, R rows of W numbers, stays in registers while it is accumulated. For
//! each k it reads one row of `b`, W numbers, and R single numbers of `a`:
//!
//! ```text
//!            b[k, j .. j+W]
//! a[i, k]    c[i, j .. j+W]      += a[i, k] · b[k, j .. j+W]
//! a[i+1, k]  c[i+1, j .. j+W]    += a[i+1, k] · b[k, j .. j+W]      … R rows
//! ```
//!
//! This takes R·W/16 multiply-adds of AVX-512 for R + W/16 loads: the larger the tile in registers,
//! the smaller the share of the loads. `a` is read in place, in either orientation. `b` is read
//! once for each R rows of tiles, so W columns of it are first copied to a *panel*, which stores
//! their rows contiguously, aligned, and in the first-level cache.
//!
//! Each number of `c` is accumulated in the order of k, with one rounding per term, `c ← fma(a[i,
//! k], b[k, j], c)`, or with two on a CPU without the instruction, `c ← a[i, k] · b[k, j] + c`. The
//! bits are therefore those of three plain loops, for all R and W and for every division of the
//! product into pieces.

use super::{Raw, Target};
use crate::simd::{self, Width};

/// Number of rows of a panel: 32 KiB for W = 32 numbers.
const DEPTH: usize = 256;

/// One row of a panel, aligned to a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line<const W: usize>([f32; W]);

/// `c = a · b`, or `c += a · b` if `keep`.
///
/// # Safety
/// The operands lie in memory that is not written during the call, `c` lies in memory that nothing
/// else reads or writes during the call, and their sizes match.
pub(super) unsafe fn product(a: Raw<f32>, b: Raw<f32>, keep: bool, c: Target<f32>) {
    match simd::width() {
        // SAFETY: `width` has checked that the CPU has these features; the rest is guaranteed by
        // the caller.
        #[cfg(target_arch = "x86_64")]
        Width::Avx512 => unsafe { avx512(a, b, keep, c) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Width::Avx2 => unsafe { avx2(a, b, keep, c) },
        // SAFETY: guaranteed by the caller.
        Width::Plain => unsafe { plain(a, b, keep, c) },
    }
}

/// # Safety
/// As for [`product`], and the CPU has these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
unsafe fn avx512(a: Raw<f32>, b: Raw<f32>, keep: bool, c: Target<f32>) {
    // 26 of 32 registers hold the tile. A batch of 100 rows is 4 tiles of 13 and 4 of 12.
    // SAFETY: guaranteed by the caller.
    unsafe { product_by_tiles::<13, 32, true>(a, b, keep, c, transposed_by_512) }
}

/// # Safety
/// As for [`product`], and the CPU has these features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(a: Raw<f32>, b: Raw<f32>, keep: bool, c: Target<f32>) {
    // 12 of 16 registers hold the tile.
    // SAFETY: guaranteed by the caller.
    unsafe { product_by_tiles::<6, 16, true>(a, b, keep, c, transposed_by_256) }
}

/// # Safety
/// As for [`product`].
unsafe fn plain(a: Raw<f32>, b: Raw<f32>, keep: bool, c: Target<f32>) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if simd::PLAIN_IS_FUSED {
            // 24 of 32 registers of 128 bits hold the tile.
            product_by_tiles::<6, 16, true>(a, b, keep, c, copy);
        } else {
            // 8 of 16 registers of 128 bits hold the tile.
            product_by_tiles::<4, 8, false>(a, b, keep, c, copy);
        }
    }
}

/// Iterates over panels, and for each panel over the tiles of its columns. `copy_columns` fills a
/// panel from W columns of `b` each of which is contiguous.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn product_by_tiles<const R: usize, const W: usize, const FUSED: bool>(
    a: Raw<f32>,
    b: Raw<f32>,
    keep: bool,
    c: Target<f32>,
    copy_columns: unsafe fn(Raw<f32>, &mut [Line<W>]),
) {
    let (mut panel, mut beside) = ([Line([0.0; W]); DEPTH], [[0.0; W]; 13]);
    let tiles = a.rows.div_ceil(R);
    for j in (0..b.cols).step_by(W) {
        let cols = W.min(b.cols - j);
        for k in (0..b.rows.max(1)).step_by(DEPTH) {
            let panel = &mut panel[..DEPTH.min(b.rows - k)];
            let part = b.part(k..k + panel.len(), j..j + cols);
            // SAFETY: guaranteed by the caller.
            unsafe {
                if part.row_stride == 1 && cols == W { copy_columns(part, panel) } else { copy(part, panel) }
            }
            for tile in 0..tiles {
                // Rows are divided evenly among the tiles.
                let (i, end) = (tile * a.rows / tiles, (tile + 1) * a.rows / tiles);
                let (a, c) = (a.part(i..end, k..k + panel.len()), c.rows(i, end).columns(j, j + cols));
                // SAFETY: guaranteed by the caller.
                unsafe { any_tile::<W, FUSED>(a, panel, keep || k > 0, c, &mut beside) }
            }
        }
    }
}

/// Computes the tile with the number of rows of `c`, at most 13, and at most W columns. A tile of
/// fewer than W columns is computed in the buffer `beside` and then copied.
///
/// # Safety
/// `a` has as many rows as `c` and as many columns as `panel` has rows; otherwise as for
/// [`product`].
#[inline(always)]
unsafe fn any_tile<const W: usize, const FUSED: bool>(
    a: Raw<f32>,
    panel: &[Line<W>],
    keep: bool,
    c: Target<f32>,
    beside: &mut [[f32; W]; 13],
) {
    let ragged = c.cols < W;
    let whole =
        if ragged { Target { at: beside.as_mut_ptr().cast(), row_stride: W, cols: W, ..c } } else { c };
    if ragged && keep {
        // SAFETY: `c` is guaranteed by the caller, and `whole` has as many rows, which are longer.
        unsafe { copy_rows(c, whole, c.cols) }
    }
    macro_rules! by_rows {
        ($($rows:literal)*) => {
            match c.rows {
                // SAFETY: guaranteed by the caller, and there are W columns.
                $($rows => unsafe { tile::<$rows, W, FUSED>(a, panel, keep, whole) },)*
                rows => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13);
    if ragged {
        // SAFETY: as above.
        unsafe { copy_rows(whole, c, c.cols) }
    }
}

/// # Safety
/// Both have `cols` columns, and `to` has as many rows as `from`.
unsafe fn copy_rows(from: Target<f32>, to: Target<f32>, cols: usize) {
    for i in 0..from.rows {
        // SAFETY: row i of each has `cols` numbers, guaranteed by the caller.
        unsafe {
            let row = from.at.add(i * from.row_stride);
            row.copy_to(to.at.add(i * to.row_stride), cols);
        }
    }
}

/// Computes one tile of R rows of W numbers.
///
/// # Safety
/// `c` has R rows of W columns, `a` has R rows and as many columns as `panel` has rows; otherwise
/// as for [`product`].
#[inline(always)]
#[allow(clippy::needless_range_loop)] // iterators would keep the sums in memory
unsafe fn tile<const R: usize, const W: usize, const FUSED: bool>(
    a: Raw<f32>,
    panel: &[Line<W>],
    keep: bool,
    c: Target<f32>,
) {
    // The loops have constant bounds and are unrolled by the compiler, so that the sums stay in
    // registers.
    let row = |i: usize| c.at.wrapping_add(i * c.row_stride).cast::<[f32; W]>();
    let mut sums = [[0.0; W]; R];
    if keep {
        for i in 0..R {
            // SAFETY: `c` has R rows of W numbers.
            sums[i] = unsafe { row(i).read_unaligned() };
        }
    }
    let mut column = a.at;
    for b in panel {
        for i in 0..R {
            // SAFETY: `a` has R rows, and a column for each row of the panel.
            let x = unsafe { *column.offset(i as isize * a.row_stride) };
            for j in 0..W {
                sums[i][j] = if FUSED { x.mul_add(b.0[j], sums[i][j]) } else { x * b.0[j] + sums[i][j] };
            }
        }
        column = column.wrapping_offset(a.col_stride);
    }
    for i in 0..R {
        // SAFETY: as above.
        unsafe { row(i).write_unaligned(sums[i]) }
    }
}

/// Fills a panel from `b`, with zeros beyond the last column.
///
/// # Safety
/// `b` lies in memory that is not written during the call, and has as many rows as the panel and at
/// most W columns.
#[inline(always)]
unsafe fn copy<const W: usize>(b: Raw<f32>, panel: &mut [Line<W>]) {
    for (k, line) in panel.iter_mut().enumerate() {
        let row = b.at.wrapping_offset(k as isize * b.row_stride);
        if b.col_stride == 1 && b.cols == W {
            // SAFETY: guaranteed by the caller: a row of W numbers.
            line.0 = unsafe { row.cast::<[f32; W]>().read_unaligned() };
        } else {
            line.0 = [0.0; W];
            for (j, x) in line.0[..b.cols].iter_mut().enumerate() {
                // SAFETY: guaranteed by the caller.
                *x = unsafe { *row.offset(j as isize * b.col_stride) };
            }
        }
    }
}

/// [`copy`] for 32 columns each of which is contiguous: 4 × 4 numbers are transposed in each
/// quarter of a vector.
///
/// # Safety
/// As for [`copy`]; `b` has 32 columns, each contiguous.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
unsafe fn transposed_by_512(b: Raw<f32>, panel: &mut [Line<32>]) {
    use std::arch::x86_64::*;
    let whole = panel.len() / 4 * 4;
    let (fours, rest) = panel.split_at_mut(whole);
    for (k, lines) in fours.chunks_exact_mut(4).enumerate() {
        for half in 0..2 {
            // Vector i contains 4 numbers each of columns i, 4 + i, 8 + i and 12 + i of this half.
            let [v0, v1, v2, v3] = std::array::from_fn(|i| {
                let first = b.part(4 * k..4 * k + 4, 16 * half + i..16 * half + i + 1).at;
                // SAFETY: reads 4 numbers of a column that is as long as the panel.
                let four = |q: isize| unsafe { _mm_loadu_ps(first.offset(4 * q * b.col_stride)) };
                let v = _mm512_castps128_ps512(four(0));
                let v = _mm512_insertf32x4::<1>(v, four(1));
                let v = _mm512_insertf32x4::<2>(v, four(2));
                _mm512_insertf32x4::<3>(v, four(3))
            });
            let pairs = |v| _mm512_castps_pd(v);
            let (low01, high01) = (pairs(_mm512_unpacklo_ps(v0, v1)), pairs(_mm512_unpackhi_ps(v0, v1)));
            let (low23, high23) = (pairs(_mm512_unpacklo_ps(v2, v3)), pairs(_mm512_unpackhi_ps(v2, v3)));
            let rows = [
                _mm512_unpacklo_pd(low01, low23),
                _mm512_unpackhi_pd(low01, low23),
                _mm512_unpacklo_pd(high01, high23),
                _mm512_unpackhi_pd(high01, high23),
            ];
            for (line, row) in lines.iter_mut().zip(rows) {
                let to = &mut line.0[16 * half..][..16];
                // SAFETY: 16 numbers.
                unsafe { _mm512_storeu_ps(to.as_mut_ptr(), _mm512_castpd_ps(row)) }
            }
        }
    }
    // SAFETY: guaranteed by the caller.
    unsafe { copy(b.part(whole..b.rows, 0..32), rest) }
}

/// [`copy`] for 16 contiguous columns, with vectors of 256 bits.
///
/// # Safety
/// As for [`copy`]; `b` has 16 columns, each contiguous.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn transposed_by_256(b: Raw<f32>, panel: &mut [Line<16>]) {
    use std::arch::x86_64::*;
    let whole = panel.len() / 4 * 4;
    let (fours, rest) = panel.split_at_mut(whole);
    for (k, lines) in fours.chunks_exact_mut(4).enumerate() {
        for half in 0..2 {
            // Vector i contains 4 numbers each of columns i and 4 + i of this half.
            let [v0, v1, v2, v3] = std::array::from_fn(|i| {
                let first = b.part(4 * k..4 * k + 4, 8 * half + i..8 * half + i + 1).at;
                // SAFETY: reads 4 numbers of a column that is as long as the panel.
                let four = |q: isize| unsafe { _mm_loadu_ps(first.offset(4 * q * b.col_stride)) };
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(four(0)), four(1))
            });
            let pairs = |v| _mm256_castps_pd(v);
            let (low01, high01) = (pairs(_mm256_unpacklo_ps(v0, v1)), pairs(_mm256_unpackhi_ps(v0, v1)));
            let (low23, high23) = (pairs(_mm256_unpacklo_ps(v2, v3)), pairs(_mm256_unpackhi_ps(v2, v3)));
            let rows = [
                _mm256_unpacklo_pd(low01, low23),
                _mm256_unpackhi_pd(low01, low23),
                _mm256_unpacklo_pd(high01, high23),
                _mm256_unpackhi_pd(high01, high23),
            ];
            for (line, row) in lines.iter_mut().zip(rows) {
                let to = &mut line.0[8 * half..][..8];
                // SAFETY: 8 numbers.
                unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_castpd_ps(row)) }
            }
        }
    }
    // SAFETY: guaranteed by the caller.
    unsafe { copy(b.part(whole..b.rows, 0..16), rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Product = unsafe fn(Raw<f32>, Raw<f32>, bool, Target<f32>);

    /// The kernels that this CPU supports, and whether each fuses multiplication and addition.
    fn kernels() -> Vec<(Product, bool)> {
        vec![
            (plain, simd::PLAIN_IS_FUSED),
            #[cfg(target_arch = "x86_64")]
            (if simd::width() >= Width::Avx2 { avx2 } else { product }, simd::width() >= Width::Avx2),
            (product, simd::width() > Width::Plain || simd::PLAIN_IS_FUSED),
        ]
    }

    /// A matrix of numbers in (−½, ½), some of which are replaced by infinities or NaNs, either
    /// row-major or with contiguous columns.
    fn operand(data: &mut Vec<f32>, rows: usize, cols: usize, transposed: bool, odd: bool) -> Raw<f32> {
        let mut rng = crate::rng::from_key((rows * 1000 + cols) as u64);
        let mut number = || crate::rng::uniform::<f32>(&mut rng) - 0.5;
        *data = (0..rows * cols).map(|_| number()).collect();
        for (i, x) in data.iter_mut().enumerate().filter(|_| odd) {
            match i % 97 {
                13 => *x = f32::INFINITY,
                31 => *x = f32::NEG_INFINITY,
                59 => *x = f32::NAN,
                71 => *x = 0.0,
                _ => {}
            }
        }
        let (row_stride, col_stride) = if transposed { (1, rows) } else { (cols, 1) };
        Raw {
            at: data.as_ptr(),
            rows,
            cols,
            row_stride: row_stride as isize,
            col_stride: col_stride as isize,
        }
    }

    fn at(m: &Raw<f32>, data: &[f32], i: usize, j: usize) -> f32 {
        data[i * m.row_stride as usize + j * m.col_stride as usize]
    }

    /// Compares with three plain loops, bit by bit, and checks that nothing outside the output is
    /// written.
    #[test]
    fn every_kernel_has_the_bits_of_three_plain_loops() {
        const BESIDE: f32 = 1e9;
        let sizes = [0, 1, 2, 3, 5, 12, 13, 14, 16, 17, 31, 32, 33, 70];
        let mut shapes = vec![(100, 300, 33), (27, 256, 64), (5, 257, 32), (13, 515, 31)];
        for &n in &sizes {
            shapes.extend(sizes.map(|m| (n, 7, m)));
            shapes.extend(sizes.map(|k| (n, k, 35)));
        }
        for (n, k, m) in shapes {
            for orientation in 0..8 {
                let (mut x, mut y) = (vec![], vec![]);
                let a = operand(&mut x, n, k, orientation & 1 != 0, false);
                let b = operand(&mut y, k, m, orientation & 2 != 0, orientation & 4 != 0);
                for keep in [false, true] {
                    let stride = m + 3;
                    let before: Vec<f32> = (0..n * stride)
                        .map(|i| {
                            if i % stride >= m {
                                BESIDE
                            } else if keep {
                                i as f32
                            } else {
                                f32::NAN
                            }
                        })
                        .collect();
                    let loops = |fused: bool| {
                        let mut want = before.clone();
                        for i in 0..n {
                            for j in 0..m {
                                let start = if keep { before[i * stride + j] } else { 0.0 };
                                let term = |sum: f32, l| {
                                    let (a, b) = (at(&a, &x, i, l), at(&b, &y, l, j));
                                    if fused { a.mul_add(b, sum) } else { a * b + sum }
                                };
                                want[i * stride + j] = (0..k).fold(start, term);
                            }
                        }
                        want
                    };
                    let (together, apart) = (loops(true), loops(false));
                    for (kernel, fused) in kernels() {
                        let want = if fused { &together } else { &apart };
                        let mut got = before.clone();
                        let c = Target { at: got.as_mut_ptr(), row_stride: stride, rows: n, cols: m };
                        // SAFETY: the operands are views of `x` and `y`, the output of `got`, and
                        // `kernels` has checked the CPU's features.
                        unsafe { kernel(a, b, keep, c) };
                        let same =
                            |(x, y): (&f32, &f32)| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
                        assert!(
                            got.iter().zip(want).all(same),
                            "[{n}, {k}] · [{k}, {m}], orientation {orientation}, keep {keep}"
                        );
                    }
                }
            }
        }
    }
}
