//! Solution of linear systems with a graph Laplacian plus masses. The factorisation contains no
//! subtraction.
//!
//! The matrix is diag(m) + Σ_{i<j} c_ij (e_i − e_j)(e_i − e_j)ᵀ with masses m ≥ 0 and conductances
//! c ≥ 0. It is symmetric, with off-diagonal entries −c_ij and row sums m_i. Eliminating node k
//! leaves a matrix of this form,
//!
//! ```text
//! d_k = m_k + Σ_{j>k} c_kj;   c_ij += c_ki c_kj / d_k;   m_i += c_ki m_k / d_k
//! ```
//!
//! in which every term is ≥ 0. No pivoting is needed, and every entry of the factors keeps its
//! relative accuracy, however small the masses are relative to the conductances (Alfa, Xue and Ye,
//! "Accurate computation of the smallest eigenvalue of a diagonally dominant M-matrix", 2002). If
//! the diagonal entries were stored instead of the masses, pivots of the size of the masses would
//! be computed as differences of conductances.

use crate::scalar::Real;
use crate::simd::vectorized;

/// The smallest normal number of `f32`. A smaller probability has reduced precision.
pub const SMALLEST: f64 = f32::MIN_POSITIVE as f64;

vectorized! {
    /// Computes c_ij = λ p_i p_j / d_ij and m_i = Σ_j p_j / d_ij with d_ij = 1 + λ (p_i + p_j), for
    /// p on the simplex. Shapes: c `[C, C]`, of which the part above the diagonal is written; m
    /// `[C]`.
    pub fn conductances<T: Real>(lambda: T, p: &[T], c: &mut [T], m: &mut [T]) {
        let n = p.len();
        m.fill(T::ZERO);
        for (i, row) in c.chunks_exact_mut(n).enumerate() {
            let scaled = lambda * p[i];
            let mut mass = m[i] + p[i] * (T::ONE + (scaled + scaled)).recip_normal();
            for j in i + 1..n {
                let inv_d = (T::ONE + lambda * (p[i] + p[j])).recip_normal();
                let part = p[j] * inv_d;
                mass += part;
                m[j] += p[i] * inv_d;
                row[j] = scaled * part;
            }
            m[i] = mass;
        }
    }
}

vectorized! {
    /// The limit λ → ∞ of [`conductances`]: c_ij = p_i p_j / (p_i + p_j). All masses are 0 except
    /// that of the last node, which is 1, so that its solution is 0 for a right-hand side that sums
    /// to 0. A node without conductances, whose p is 0, also has mass 1. The shapes are those of
    /// [`conductances`].
    pub fn limit_conductances<T: Real>(p: &[T], c: &mut [T], m: &mut [T]) {
        let (n, smallest) = (p.len(), T::of(SMALLEST));
        for (i, row) in c.chunks_exact_mut(n).enumerate() {
            for j in i + 1..n {
                row[j] = p[i] * (p[j] * (p[i] + p[j]).max(smallest).recip_normal());
            }
            m[i] = p[i].if_above(smallest, T::ZERO, T::ONE);
        }
        if let Some(last) = m.last_mut() {
            *last = T::ONE;
        }
    }
}

vectorized! {
    /// y ← u with (diag(m) + Laplacian(c)) u = y. The last entry of y is not read: it follows from
    /// Σ w = Σ y, the sum of the right-hand side, where w is a row of terms. Shapes: c `[C, C]`, of
    /// which the part above the diagonal is read and overwritten; m, w and y `[C]`; m is
    /// overwritten.
    ///
    /// If the masses are small, the last node's value is about Σ y / Σ m, a quotient of small
    /// numbers. A sum computed from y itself would suffer from cancellation.
    pub fn solve<T: Real>(c: &mut [T], m: &mut [T], w: &[T], y: &mut [T]) {
        let n = y.len();
        if n == 0 {
            return;
        }
        let mut total = T::ZERO;
        for k in 0..n - 1 {
            let (above, below) = c.split_at_mut((k + 1) * n);
            let row = &above[k * n..];
            let (mass, value) = (m[k], y[k]);
            let pivot = row[k + 1..].iter().fold(mass, |sum, &c| sum + c);
            let inv_pivot = T::ONE / pivot;
            m[k] = inv_pivot;
            total += w[k] - value * (mass * inv_pivot);
            for i in k + 1..n {
                let part = row[i] * inv_pivot;
                m[i] += part * mass;
                y[i] += part * value;
                let to = &mut below[(i - k - 1) * n..(i - k) * n][i + 1..];
                for (to, &from) in to.iter_mut().zip(&row[i + 1..]) {
                    *to += part * from;
                }
            }
        }
        y[n - 1] = (total + w[n - 1]) / m[n - 1];
        for k in (0..n - 1).rev() {
            let row = &c[k * n..(k + 1) * n];
            let (head, tail) = y.split_at_mut(k + 1);
            let inflow = row[k + 1..].iter().zip(&*tail).fold(head[k], |sum, (&c, &u)| sum + c * u);
            head[k] = inflow * m[k];
        }
    }
}

#[cfg(test)]
mod examples {
    use super::*;

    #[test]
    fn conductances_by_hand() {
        let (mut c, mut m) = ([0.0; 4], [0.0_f64; 2]);
        conductances(4.0, &[0.25, 0.75], &mut c, &mut m);
        assert!((c[1] - 4.0 * 0.25 * 0.75 / 5.0).abs() < 1e-15);
        assert!((m[0] - (0.25 / 3.0 + 0.75 / 5.0)).abs() < 1e-15);
    }

    #[test]
    fn limit_conductances_by_hand() {
        let (mut c, mut m) = ([0.0; 4], [0.0_f64; 2]);
        limit_conductances(&[0.25, 0.75], &mut c, &mut m);
        assert!((c[1] - 0.1875).abs() < 1e-15);
        assert_eq!(m, [0.0, 1.0]);
    }

    #[test]
    fn solve_by_hand() {
        let (mut c, mut m, mut y) = ([0.0, 2.0, 0.0, 0.0], [1.0, 3.0_f64], [7.0, f64::NAN]);
        // 3 u_0 − 2 u_1 = 7, −2 u_0 + 5 u_1 = 10, so that the sum is 17
        solve(&mut c, &mut m, &[8.0, 9.0], &mut y);
        assert!((y[0] - 5.0).abs() < 1e-15 && (y[1] - 4.0).abs() < 1e-15);
    }

    /// Masses of 1e-30 and conductances of 1, in `f32`: the solution has full precision.
    #[test]
    fn small_masses_lose_no_precision() {
        let (mut c, mut m, mut y) = ([0.0, 0.75, 0.0, 0.0], [1e-30, 3e-30_f32], [0.5, f32::NAN]);
        // The sum of the right-hand side is 8e-30, so that both values are near 2.
        solve(&mut c, &mut m, &[4e-30, 4e-30], &mut y);
        let far = 2.0 - 0.5 / 0.75 / 4.0; // u_1, as u_0 − u_1 = 0.5 / 0.75 and u_0 + 3 u_1 = 8
        assert!((y[1] - far).abs() < 1e-6 && (y[0] - y[1] - 0.5 / 0.75).abs() < 1e-6, "{y:?}");
    }
}
