//! Tests of the matrix product against the sum that defines it, for every orientation of the
//! operands.

use super::gemm;
use crate::rng::{self, uniform};
use crate::{Mat, Scalar};

fn random<T: Scalar>(key: u64, rows: usize, cols: usize) -> Mat<T> {
    let mut rng = rng::from_key(key);
    let mut m = Mat::zeros(rows, cols);
    m.as_mut_slice().iter_mut().for_each(|x| *x = T::of(2.0 * uniform::<f64>(&mut rng) - 1.0));
    m
}

fn transposed<T: Scalar>(m: &Mat<T>) -> Mat<T> {
    Mat::from_fn(m.cols(), m.rows(), |i, j| m.row(j)[i])
}

/// Each number is a sum of k products of magnitude ≤ 1, each rounded once or twice, added in some
/// order. The standard bound for sums in any order gives an error of at most (k + 1) · k · ε; terms
/// average to ½ · ½.
fn check<T: Scalar>(n: usize, k: usize, m: usize) {
    let (a, b) = (random::<T>(1, n, k), random::<T>(2, k, m));
    let before = random::<T>(3, n, m);
    let bound = (k + 2) as f64 * k.max(1) as f64 * T::EPSILON.to_f64() + 2.0 * T::EPSILON.to_f64();
    let (at, bt) = (transposed(&a), transposed(&b));
    for beta in [T::ZERO, T::ONE] {
        for orientation in 0..4 {
            let mut c = before.clone();
            match orientation {
                0 => gemm(a.view(), b.view(), beta, c.view_mut()),
                1 => gemm(at.view().t(), b.view(), beta, c.view_mut()),
                2 => gemm(a.view(), bt.view().t(), beta, c.view_mut()),
                _ => gemm(at.view().t(), bt.view().t(), beta, c.view_mut()),
            }
            for i in 0..n {
                for j in 0..m {
                    let dot: f64 = (0..k).map(|l| a.row(i)[l].to_f64() * b.row(l)[j].to_f64()).sum();
                    let want = dot + (beta * before.row(i)[j]).to_f64();
                    let error = (c.row(i)[j].to_f64() - want).abs();
                    assert!(
                        error <= bound,
                        "[{n}, {k}] · [{k}, {m}], orientation {orientation}: off by {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_orientation_matches_the_definition() {
    // The sizes include 0 rows, an inner size of 0, single numbers, partial tiles, and two products
    // that are cut into pieces, by columns and by rows.
    for (n, k, m) in [(0, 3, 4), (3, 0, 4), (1, 1, 1), (5, 7, 3), (33, 65, 17), (65, 100, 200), (300, 60, 70)]
    {
        check::<f32>(n, k, m);
        check::<f64>(n, k, m);
    }
}

#[test]
fn with_beta_zero_old_contents_do_not_matter() {
    let mut c = Mat::from_rows(&[[f32::NAN]]);
    gemm(Mat::from_rows(&[[2.0]]).view(), Mat::from_rows(&[[3.0]]).view(), 0.0, c.view_mut());
    assert_eq!(c.row(0), [6.0]);
}

#[test]
#[should_panic(expected = "gemm: [2, 3] · [2, 3] does not fit [2, 3]")]
fn mismatched_shapes_are_named_in_the_panic() {
    let a = Mat::<f32>::zeros(2, 3);
    gemm(a.view(), a.view(), 0.0, Mat::zeros(2, 3).view_mut());
}
