//! Run-time dispatch to the widest SIMD vectors of the CPU, and the basic operations on them.
//!
//! A function declared with [`vectorized!`] is compiled three times: for the build's own target,
//! for AVX2 and for AVX-512. The CPU's features and `HARDGRAD_SIMD` select the version at run time.
//! No version changes the order of a sum, or fuses a multiplication and an addition that the source
//! does not fuse, so all three give identical bits. A function whose source calls `mul_add` is
//! declared `fused`: its plain version then uses [`Emulated`](emulated::Emulated) numbers, which
//! have the bits of the instruction too.
#![allow(unsafe_code)]

pub(crate) mod aligned;
pub(crate) mod emulated;
pub(crate) mod fused;
pub(crate) mod lanes;
pub(crate) mod math;
mod scalars;
mod width;

use crate::scalar::Scalar;
pub(crate) use lanes::LANES;
pub(crate) use width::{Width, width};

/// Declares a function whose body is compiled for each vector width.
///
/// This is a macro because a function that takes the loop as an argument would not work: the
/// compiler may not inline a closure, or a call of a function passed as a value, and its loop would
/// then be compiled once, for the build's own target.
macro_rules! vectorized {
    (fused $(#[$meta:meta])* $vis:vis fn $name:ident<T: $bound:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $crate::simd::vectorized! {
            @plainly {
                if $crate::simd::PLAIN_IS_FUSED {
                    plain::<T>($($arg),*)
                } else {
                    use $crate::simd::emulated::{Emulated, IntoInner, IntoEmulated};
                    IntoInner::into_inner(plain::<Emulated<T>>($(IntoEmulated::into_emulated($arg)),*))
                }
            }
            $(#[$meta])* $vis fn $name<T: $bound>($($arg: $ty),*) $(-> $ret)? $body
        }
    };
    (@plainly $plainly:block
     $(#[$meta:meta])* $vis:vis fn $name:ident<T: $bound:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code)]
        $vis fn $name<T: $bound>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn plain<T: $bound>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq")]
            #[allow(clippy::too_many_arguments)]
            fn avx512<T: $bound>($($arg: $ty),*) $(-> $ret)? {
                plain($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx2<T: $bound>($($arg: $ty),*) $(-> $ret)? {
                plain($($arg),*)
            }

            match $crate::simd::width() {
                // SAFETY: `width` has checked that the CPU has exactly these features.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Width::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Width::Avx2 => unsafe { avx2($($arg),*) },
                $crate::simd::Width::Plain => $plainly,
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident<T: $bound:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $crate::simd::vectorized! {
            @plainly { plain($($arg),*) }
            $(#[$meta])* $vis fn $name<T: $bound>($($arg: $ty),*) $(-> $ret)? $body
        }
    };
}
pub(crate) use vectorized;

/// Whether a plain build has an instruction for fused multiply-add. If not,
/// [`Emulated`](emulated::Emulated) numbers are used.
pub(crate) const PLAIN_IS_FUSED: bool = cfg!(any(
    target_feature = "fma",
    target_arch = "aarch64",
    target_arch = "powerpc64",
    target_arch = "riscv64",
    target_arch = "s390x"
));

/// Whether fused multiply-adds are emulated at the current width.
pub(crate) fn plain_without_fused() -> bool {
    !PLAIN_IS_FUSED && width() == Width::Plain
}

/// Whether the CPU has 32 vector registers of 512 bits.
pub(crate) fn registers_are_many() -> bool {
    #[cfg(target_arch = "x86_64")]
    return width() == Width::Avx512;
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Σ f(aᵢ, bᵢ), in an order that depends only on the length: sixteen interleaved partial sums, then
/// a fixed tree. In a sum in index order each addition would have to wait for the previous one.
///
/// `f` should be an `#[inline(always)]` function, not a closure. The compiler may not inline a
/// closure with a long body, and the loop is then not vectorised.
#[inline(always)]
pub(crate) fn sum_of<T: Scalar>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
    debug_assert_eq!(a.len(), b.len());
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [T::ZERO; LANES];
    for (a, b) in a.iter().zip(b) {
        for k in 0..LANES {
            lanes[k] += f(a[k], b[k]);
        }
    }
    // The tail is processed in a padded vector, because f may be long and the rows short.
    let (a, b) = (padded(a_tail), padded(b_tail));
    let mut terms = [T::ZERO; LANES];
    for k in 0..LANES {
        terms[k] = f(a[k], b[k]);
    }
    for k in 0..a_tail.len() {
        lanes[k] += terms[k];
    }
    let mut width = LANES / 2;
    while width > 0 {
        for k in 0..width {
            lanes[k] += lanes[k + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// A vector of fewer than sixteen numbers, padded with zeros.
#[inline(always)]
fn padded<T: Scalar>(tail: &[T]) -> [T; LANES] {
    let mut lanes = [T::ZERO; LANES];
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane = x;
    }
    lanes
}

/// x ← f(x), sixteen at a time, and the tail in a padded vector, because f may be long and the rows
/// short.
#[inline(always)]
pub(crate) fn map<T: Scalar>(x: &mut [T], f: impl Fn(T) -> T) {
    let (chunks, tail) = x.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for x in chunk {
            *x = f(*x);
        }
    }
    let mut lanes = padded(tail);
    for x in &mut lanes {
        *x = f(*x);
    }
    for (x, &lane) in tail.iter_mut().zip(&lanes) {
        *x = lane;
    }
}

/// Σ xᵢ, in the order of [`sum_of`].
#[inline(always)]
pub(crate) fn sum<T: Scalar>(x: &[T]) -> T {
    #[inline(always)]
    fn first<T>(a: T, _: T) -> T {
        a
    }
    sum_of(x, x, first)
}

/// The largest number of `x`, computed with sixteen interleaved maxima; −∞ if there is none except
/// NaNs.
#[inline(always)]
fn largest<T: Scalar>(x: &[T]) -> T {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut lanes = [T::NEG_INFINITY; LANES];
    for chunk in chunks {
        for k in 0..LANES {
            lanes[k] = chunk[k].if_above(lanes[k], chunk[k], lanes[k]);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane = x.if_above(*lane, x, *lane);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for k in 0..width {
            lanes[k] = lanes[k + width].if_above(lanes[k], lanes[k + width], lanes[k]);
        }
        width /= 2;
    }
    lanes[0]
}

vectorized! {
    /// Whether all numbers are finite.
    pub(crate) fn all_finite<T: Scalar>(x: &[T]) -> bool {
        let largest = x.iter().fold(T::Bits::default(), |largest, x| largest.max(x.magnitude()));
        largest < T::NEG_INFINITY.magnitude()
    }
}

/// x ← onehot(argmax x), for the first of several maxima. Two passes are made over `x`, because in
/// a single pass each comparison would have to wait for the previous one.
#[inline(always)]
pub(crate) fn one_hot_of_largest<T: Scalar>(x: &mut [T]) {
    let (top, mut hot) = (largest(x), 0);
    for x in x.iter_mut() {
        hot += u32::from(*x == top);
        *x = if *x == top { T::ONE } else { T::ZERO };
    }
    // There are several maxima, or only NaNs.
    if hot != 1 && !x.is_empty() {
        let first = x.iter().position(|&x| x == T::ONE).unwrap_or(0);
        x.fill(T::ZERO);
        x[first] = T::ONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares a declared function with a plain version of its body.
    #[test]
    fn every_path_has_the_same_bits() {
        #[inline(always)]
        fn body<T: Scalar>(xs: &[T], out: &mut [T]) -> T {
            for (o, &x) in out.iter_mut().zip(xs) {
                *o = (x.exp() + T::of(1.5)).ln() / (T::ONE + x * x);
            }
            sum(out)
        }
        vectorized! {
            fn wide<T: Scalar>(xs: &[T], out: &mut [T]) -> T {
                body(xs, out)
            }
        }
        let xs: Vec<f32> = (0..1003).map(|i| (i as f32 - 500.0) * 0.03).collect();
        let (mut a, mut b) = (vec![0.0; xs.len()], vec![0.0; xs.len()]);
        assert_eq!(body(&xs, &mut a).to_bits(), wide(&xs, &mut b).to_bits());
        assert_eq!(a, b);
    }
}
