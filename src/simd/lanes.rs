//! Sixteen numbers that are computed with as one.

use crate::rng::LaneRng;
use crate::scalar::{Real, Scalar};
use crate::simd::vectorized;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// Numbers in an AVX-512 vector of `f32`: the partial sums of [`sum_of`](super::sum_of), and what kernels that work across draws or
/// latent variables take at once.
pub(crate) const LANES: usize = 16;

/// Sixteen numbers side by side, each in a lane of its own. A formula for one latent variable, written for a [`Real`], works on sixteen
/// variables at once when it is given these: a variable of ten categories alone would leave most of a vector, and most of the time,
/// unused.
///
/// ```
/// use hardgrad::{Lanes, Real};
/// let x = Lanes::<f64>::of(3.0) * Lanes::of(2.0);
/// assert_eq!(x, Lanes::of(6.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
pub struct Lanes<T>([T; LANES]);

impl<T: Scalar> Default for Lanes<T> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<T> Lanes<T> {
    /// Lane l from `f(l)`.
    #[inline(always)]
    pub(crate) fn from_fn(f: impl FnMut(usize) -> T) -> Self {
        Self(std::array::from_fn(f))
    }

    /// The way back from [`slice_of`](Self::slice_of).
    fn numbers_of(lanes: &mut [Self]) -> &mut [T] {
        let (len, start) = (lanes.len() * LANES, lanes.as_mut_ptr().cast());
        // SAFETY: `Lanes<T>` is a transparent `[T; LANES]`, and the borrow lives on in the result.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }

    /// `numbers` by sixteens; what is left over at the end is left out.
    pub(crate) fn slice_of(numbers: &mut [T]) -> &mut [Self] {
        let chunks = numbers.as_chunks_mut::<LANES>().0;
        let (len, start) = (chunks.len(), chunks.as_mut_ptr().cast());
        // SAFETY: `Lanes<T>` is a transparent `[T; LANES]`, and the borrow lives on in the result.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }
}

vectorized! {
    /// Up to sixteen rows of as many numbers as `lanes` has, row l into lane l: `rows[l, j]` to `lanes[j][l]`. Lanes without a row
    /// get zeros.
    pub(crate) fn from_rows<T: Scalar>(rows: &[T], lanes: &mut [Lanes<T>]) {
        let len = lanes.len();
        if rows.len() == LANES * len {
            for (j, lane) in lanes.iter_mut().enumerate() {
                for l in 0..LANES {
                    lane.0[l] = rows[l * len + j];
                }
            }
            return;
        }
        lanes.fill(Lanes::ZERO);
        for (l, row) in rows.chunks_exact(len.max(1)).enumerate() {
            for (lane, &x) in lanes.iter_mut().zip(row) {
                lane.0[l] = x;
            }
        }
    }
}

vectorized! {
    /// The way back: `rows[l, j] += lanes[j][l]`, for as many rows as there are.
    pub(crate) fn add_to_rows<T: Scalar>(lanes: &[Lanes<T>], rows: &mut [T]) {
        for (l, row) in rows.chunks_exact_mut(lanes.len().max(1)).enumerate() {
            for (x, lane) in row.iter_mut().zip(lanes) {
                *x += lane.0[l];
            }
        }
    }
}

/// The numbers of one `Lanes`.
impl<T> AsRef<[T; LANES]> for Lanes<T> {
    fn as_ref(&self) -> &[T; LANES] {
        &self.0
    }
}

macro_rules! each {
    ($($trait:ident::$method:ident, $assign:ident::$assign_method:ident;)*) => { $(
        impl<T: Scalar> $trait for Lanes<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
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
            for l in 0..LANES {
                self.0[l] = self.0[l].$function();
            }
            self
        }
    )* };
}

impl<T: Scalar> Real for Lanes<T> {
    type Scalar = T;
    const WIDTH: usize = LANES;
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
        for l in 0..LANES {
            self.0[l] = self.0[l].mul_add(a.0[l], b.0[l]);
        }
        self
    }
    #[inline(always)]
    fn max(mut self, other: Self) -> Self {
        for l in 0..LANES {
            self.0[l] = self.0[l].max(other.0[l]);
        }
        self
    }
    #[inline(always)]
    fn if_above(self, bound: Self, mut yes: Self, no: Self) -> Self {
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
    fn load(rows: &[T], row: &mut [Self]) {
        from_rows(rows, row);
    }
    fn fill_exponential(rng: &mut LaneRng, row: &mut [Self]) {
        rng.fill_exponential(Self::numbers_of(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_into_lanes_and_back() {
        for rows in [1, 15, 16] {
            for len in [0, 1, 10, 64] {
                let x: Vec<f32> = (0..rows * len).map(|i| i as f32).collect();
                let mut lanes = vec![Lanes::of(-1.0); len];
                from_rows(&x, &mut lanes);
                for (j, lane) in lanes.iter().enumerate() {
                    for (l, &got) in lane.as_ref().iter().enumerate() {
                        assert_eq!(got, if l < rows { x[l * len + j] } else { 0.0 });
                    }
                }
                let mut back = x.clone();
                add_to_rows(&lanes, &mut back);
                assert!(back.iter().zip(&x).all(|(&back, &x)| back == 2.0 * x));
            }
        }
    }

    /// Each lane holds what the operation on that number alone gives, to the bit.
    #[test]
    fn every_operation_is_that_of_its_numbers() {
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
    fn numbers_become_lanes_by_sixteens() {
        let mut x: Vec<f64> = (0..40).map(f64::from).collect();
        let lanes = Lanes::slice_of(&mut x);
        assert_eq!(lanes.len(), 2);
        lanes[1] += Lanes::of(100.0);
        assert_eq!((x[15], x[16], x[31], x[32]), (15.0, 116.0, 131.0, 32.0));
    }
}
