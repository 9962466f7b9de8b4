//! A portable SIMD vector of sixteen numbers.

use crate::scalar::sealed::Sealed;
use crate::scalar::{Real, Scalar};
use crate::simd::vectorized;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// Number of lanes: the `f32` elements of an AVX-512 vector. It is the number of partial sums of
/// [`sum_of`](super::sum_of), and the number of draws or latent variables that a kernel processes
/// at once.
pub(crate) const LANES: usize = 16;

/// A portable 16-lane SIMD vector. A formula for one latent variable that is written for a [`Real`]
/// processes sixteen variables at once with this type. Vectorising over the categories of one
/// variable instead would leave most lanes unused if there are, for example, ten categories.
///
/// The vector is aligned to a cache line. A vector that spans two lines would need two reads or
/// writes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Lanes<T>(pub(super) [T; LANES]);

impl<T: Scalar> Default for Lanes<T> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<T> Lanes<T> {
    /// Creates a vector whose lane l is `f(l)`.
    #[inline(always)]
    pub(crate) fn from_fn(f: impl FnMut(usize) -> T) -> Self {
        Self(std::array::from_fn(f))
    }

    /// The numbers of a slice of vectors.
    fn numbers_of(lanes: &mut [Self]) -> &mut [T] {
        let (len, start) = (lanes.len() * LANES, lanes.as_mut_ptr().cast());
        // SAFETY: `Lanes<T>` consists of exactly sixteen `T`, and the result has the lifetime of
        // the borrow.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }
}

impl<T: Scalar> Lanes<T> {
    /// Views `numbers` as vectors, starting at the first cache line in it. Remaining numbers at
    /// either end are left out.
    pub(crate) fn slice_of(numbers: &mut [T]) -> &mut [Self] {
        // SAFETY: `Lanes<T>` consists of exactly sixteen `T`, and `T` is `f32` or `f64`, for which
        // every bit pattern is valid.
        unsafe { numbers.align_to_mut().1 }
    }
}

/// Number of elements from which [`Lanes::slice_of`] can make `len` vectors, for any alignment.
pub(crate) fn memory(len: usize) -> usize {
    (len + 1) * LANES
}

/// Transposes up to sixteen rows, each as long as `lanes`, into lanes: `rows[l, j]` becomes
/// `lanes[j][l]`. Lanes without a row become zero. Overwrites as much of `spare` as `lanes` is
/// long.
///
/// Sixteen rows are transposed by interleaving four times. Each pass takes alternately a number of
/// the first half and a number of the second half, and so moves the highest of the four bits of l
/// behind all other index bits. A loop over l and j, which loads or stores one number at a time,
/// takes three times as long.
pub(crate) fn from_rows<T: Scalar>(rows: &[T], lanes: &mut [Lanes<T>], spare: &mut [Lanes<T>]) {
    if rows.len() != LANES * lanes.len() {
        return from_rows_one_by_one(rows, lanes);
    }
    let (spare, lanes) = (Lanes::numbers_of(&mut spare[..lanes.len()]), Lanes::numbers_of(lanes));
    interleave(rows, spare);
    interleave(spare, lanes);
    interleave(lanes, spare);
    interleave(spare, lanes);
}

/// Transposes any number of rows up to sixteen with a plain loop.
pub(crate) fn from_rows_one_by_one<T: Scalar>(rows: &[T], lanes: &mut [Lanes<T>]) {
    lanes.fill(Lanes::ZERO);
    for (l, row) in rows.chunks_exact(lanes.len().max(1)).enumerate() {
        for (lane, &x) in lanes.iter_mut().zip(row) {
            lane.0[l] = x;
        }
    }
}

/// The inverse, accumulating: `rows[l, j] += lanes[j][l]` for all rows. Overwrites `lanes` and as
/// much of `spare`.
pub(crate) fn add_to_rows<T: Scalar>(lanes: &mut [Lanes<T>], rows: &mut [T], spare: &mut [Lanes<T>]) {
    if rows.len() != LANES * lanes.len() {
        for (l, row) in rows.chunks_exact_mut(lanes.len().max(1)).enumerate() {
            for (x, lane) in row.iter_mut().zip(&*lanes) {
                *x += lane.0[l];
            }
        }
        return;
    }
    let (spare, lanes) = (Lanes::numbers_of(&mut spare[..lanes.len()]), Lanes::numbers_of(lanes));
    deinterleave(lanes, spare);
    deinterleave(spare, lanes);
    deinterleave(lanes, spare);
    deinterleave(spare, lanes);
    add(lanes, rows);
}

vectorized! {
    /// to += from
    fn add<T: Scalar>(from: &[T], to: &mut [T]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to += from;
        }
    }
}

vectorized! {
    /// Interleaves the two halves of `from`.
    fn interleave<T: Scalar>(from: &[T], to: &mut [T]) {
        let (first, second) = from.split_at(from.len() / 2);
        for ((pair, &a), &b) in to.as_chunks_mut::<2>().0.iter_mut().zip(first).zip(second) {
            *pair = [a, b];
        }
    }
}

vectorized! {
    /// Deinterleaves `from`: elements with even indices go to the first half of `to`, those with
    /// odd indices to the second.
    fn deinterleave<T: Scalar>(from: &[T], to: &mut [T]) {
        let (first, second) = to.split_at_mut(from.len() / 2);
        for ((&[x, y], a), b) in from.as_chunks::<2>().0.iter().zip(first).zip(second) {
            (*a, *b) = (x, y);
        }
    }
}

/// The lanes as an array.
impl<T> AsRef<[T; LANES]> for Lanes<T> {
    fn as_ref(&self) -> &[T; LANES] {
        &self.0
    }
}

/// Prevents the compiler from vectorising a loop over vectors across its iterations. It would treat
/// the loop as one over numbers with a stride of sixteen, compute lane 0 of sixteen iterations
/// together, then lane 1, and use gathers and scatters for the loads and stores, which is up to
/// four times slower.
#[inline(always)]
fn prevent_vectorization_across_iterations() {
    // SAFETY: there is no instruction. The compiler cannot assume so, and therefore does not
    // restructure the loop around it.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    unsafe {
        std::arch::asm!("", options(nomem, nostack, preserves_flags));
    }
}

macro_rules! each {
    ($($trait:ident::$method:ident, $assign:ident::$assign_method:ident;)*) => { $(
        impl<T: Scalar> $trait for Lanes<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
                prevent_vectorization_across_iterations();
                for l in 0..LANES {
                    self.0[l] = $trait::$method(self.0[l], other.0[l]);
                }
                self
            }
        }
        impl<T: Scalar> $assign for Lanes<T> {
            #[inline(always)]
            fn $assign_method(&mut self, other: Self) {
                *self = $trait::$method(*self, other);
            }
        }
    )* };
}
each! {
    Add::add, AddAssign::add_assign;
    Sub::sub, SubAssign::sub_assign;
    Mul::mul, MulAssign::mul_assign;
    Div::div, DivAssign::div_assign;
}

impl<T: Scalar> Neg for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(mut self) -> Self {
        for l in 0..LANES {
            self.0[l] = -self.0[l];
        }
        self
    }
}

macro_rules! lane_by_lane {
    ($($function:ident),*) => { $(
        #[inline(always)]
        fn $function(mut self) -> Self {
            prevent_vectorization_across_iterations();
            for l in 0..LANES {
                self.0[l] = self.0[l].$function();
            }
            self
        }
    )* };
}

impl<T: Scalar> Sealed for Lanes<T> {
    type Number = T;
    fn numbers(row: &mut [Self]) -> &mut [T] {
        Self::numbers_of(row)
    }
}

impl<T: Scalar> Real for Lanes<T> {
    type Scalar = T;
    const ZERO: Self = Self([T::ZERO; LANES]);
    const ONE: Self = Self([T::ONE; LANES]);
    const NEG_INFINITY: Self = Self([T::NEG_INFINITY; LANES]);

    #[inline(always)]
    fn of(x: f64) -> Self {
        Self([T::of(x); LANES])
    }
    lane_by_lane!(exp, ln, ln_1p, exp2_nonpositive, log2_normal, recip_normal);

    #[inline(always)]
    fn mul_add(mut self, a: Self, b: Self) -> Self {
        prevent_vectorization_across_iterations();
        for l in 0..LANES {
            self.0[l] = self.0[l].mul_add(a.0[l], b.0[l]);
        }
        self
    }
    #[inline(always)]
    fn max(mut self, other: Self) -> Self {
        prevent_vectorization_across_iterations();
        for l in 0..LANES {
            self.0[l] = self.0[l].max(other.0[l]);
        }
        self
    }
    #[inline(always)]
    fn if_above(self, bound: Self, mut yes: Self, no: Self) -> Self {
        prevent_vectorization_across_iterations();
        for l in 0..LANES {
            yes.0[l] = self.0[l].if_above(bound.0[l], yes.0[l], no.0[l]);
        }
        yes
    }
    #[inline(always)]
    fn any_below(self, bound: Self) -> bool {
        (0..LANES).fold(false, |any, l| any | (self.0[l] < bound.0[l]))
    }
    #[inline(always)]
    fn exp_all(x: &mut [Self]) {
        x.iter_mut().for_each(|x| *x = x.exp());
    }
    #[inline(always)]
    fn total(x: &[Self]) -> Self {
        x.iter().fold(Self::ZERO, |sum, &x| sum + x)
    }
    #[inline(always)]
    fn total_exp(x: &[Self]) -> Self {
        x.iter().fold(Self::ZERO, |sum, x| sum + x.exp())
    }
    fn one_hot_of_largest(x: &mut [Self]) {
        let (mut largest, mut hot) = (Self::NEG_INFINITY, Self::ZERO);
        for (j, &x) in x.iter().enumerate() {
            hot = x.if_above(largest, Self::of(j as f64), hot);
            largest = x.if_above(largest, x, largest);
        }
        for (j, x) in x.iter_mut().enumerate() {
            let at_least = hot.if_above(Self::of(j as f64 - 0.5), Self::ONE, Self::ZERO);
            *x = hot.if_above(Self::of(j as f64 + 0.5), Self::ZERO, at_least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_transposed_to_lanes_and_back() {
        for rows in [1, 15, 16] {
            for len in [0, 1, 10, 64] {
                let x: Vec<f32> = (0..rows * len).map(|i| i as f32).collect();
                let mut lanes = vec![Lanes::of(-1.0); len];
                let mut spare = vec![Lanes::of(f64::NAN); len + 3];
                from_rows(&x, &mut lanes, &mut spare);
                for (j, lane) in lanes.iter().enumerate() {
                    for (l, &got) in lane.as_ref().iter().enumerate() {
                        assert_eq!(got, if l < rows { x[l * len + j] } else { 0.0 });
                    }
                }
                let mut back = x.clone();
                add_to_rows(&mut lanes, &mut back, &mut spare);
                assert!(back.iter().zip(&x).all(|(&back, &x)| back == 2.0 * x));
            }
        }
    }

    /// Each lane has the bits of the operation on that lane's numbers alone.
    #[test]
    fn every_operation_acts_on_each_lane_alone() {
        let numbers = |from: f32| -> [f32; LANES] { std::array::from_fn(|l| from + 0.37 * l as f32) };
        let (x, y) = (numbers(-2.9), numbers(0.1));
        let check = |name: &str, got: Lanes<f32>, want: &dyn Fn(f32, f32) -> f32| {
            for l in 0..LANES {
                assert_eq!(got.0[l].to_bits(), want(x[l], y[l]).to_bits(), "{name} of {} and {}", x[l], y[l]);
            }
        };
        let (a, b) = (Lanes(x), Lanes(y));
        check("+", a + b, &|x, y| x + y);
        check("-", a - b, &|x, y| x - y);
        check("*", a * b, &|x, y| x * y);
        check("/", a / b, &|x, y| x / y);
        check("neg", -a, &|x, _| -x);
        check("exp", a.exp(), &|x, _| Real::exp(x));
        check("ln", b.ln(), &|_, y| Real::ln(y));
        check("ln_1p", b.ln_1p(), &|_, y| Real::ln_1p(y));
        check("exp2_nonpositive", (-b).exp2_nonpositive(), &|_, y| Real::exp2_nonpositive(-y));
        check("log2_normal", b.log2_normal(), &|_, y| y.log2_normal());
        check("recip_normal", b.recip_normal(), &|_, y| y.recip_normal());
        check("mul_add", a.mul_add(b, a), &|x, y| x.mul_add(y, x));
        check("max", a.max(-a), &|x, _| x.max(-x));
        check("if_above", a.if_above(Lanes::of(1.0), a, b), &|x, y| if x > 1.0 { x } else { y });
        assert!(a.any_below(Lanes::of(-2.8)) && !a.any_below(Lanes::of(-3.0)));
        check("total", Lanes::total(&[a, b, a]), &|x, y| x + y + x);
    }

    #[test]
    fn slices_are_viewed_as_aligned_vectors() {
        let mut x: Vec<f64> = (0..100).map(f64::from).collect();
        for from in 0..LANES {
            let lanes = Lanes::slice_of(&mut x[from..][..memory(2)]);
            assert!(lanes.len() >= 2);
            let first = lanes[0].as_ref()[0];
            assert!(first < (from + LANES) as f64);
            for (l, &got) in lanes[1].as_ref().iter().enumerate() {
                assert_eq!(got, first + (LANES + l) as f64);
            }
        }
    }
}
