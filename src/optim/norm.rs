//! The norm of the gradient.

use super::BLOCK;
use crate::par;
use crate::params::ParamGrads;
use crate::scalar::Scalar;
use crate::simd::vectorized;

/// ‖g‖₂ over all gradients together, summed in `f64` in an order that depends only on their number.
/// The result is not finite if any gradient is not finite. For `f32` gradients the converse holds
/// too; for `f64` gradients it holds unless the norm is near 1e154 or larger.
///
/// ```
/// use hardgrad::{Mat, ParamGrads, ParamStore, optim};
/// let mut params = ParamStore::<f32>::new();
/// params.add("w", Mat::zeros(1, 2));
/// let mut grads = ParamGrads::zeros(&params);
/// grads.flat_mut().copy_from_slice(&[3e30, 4e30]); // squares overflow in f32
/// assert!((optim::norm(&grads) / 5e30 - 1.0).abs() < 1e-6);
/// ```
pub fn norm<T: Scalar>(grads: &ParamGrads<T>) -> f64 {
    par::sum_blocks(grads.flat(), BLOCK, &|block| squares(block)).sqrt()
}

/// Scales the gradients by max/‖g‖₂ if ‖g‖₂ > `max`. Returns ‖g‖₂ before the scaling.
///
/// If ‖g‖₂ is not finite the gradients do not change: a factor of max/∞ would turn all finite ones
/// into 0.
///
/// PyTorch's `clip_grad_norm_` adds 1e-6 to the norm; this function does not, so a clipped gradient
/// has the norm `max` up to rounding.
///
/// ```
/// use hardgrad::{Mat, ParamGrads, ParamStore, optim};
/// let mut params = ParamStore::<f64>::new();
/// params.add("w", Mat::zeros(1, 2));
/// let mut grads = ParamGrads::zeros(&params);
/// grads.flat_mut().copy_from_slice(&[3.0, 4.0]);
/// assert_eq!(optim::clip_norm(&mut grads, 5.0), 5.0);
/// assert_eq!(grads.flat(), [3.0, 4.0]);
/// assert_eq!(optim::clip_norm(&mut grads, 2.5), 5.0);
/// assert_eq!(grads.flat(), [1.5, 2.0]);
/// ```
///
/// # Panics
/// If `max` is not greater than 0.
#[track_caller]
pub fn clip_norm<T: Scalar>(grads: &mut ParamGrads<T>, max: f64) -> f64 {
    assert!(max > 0.0, "clip_norm: the largest norm must be above 0, got {max}");
    let norm = norm(grads);
    if norm > max && norm.is_finite() {
        let scale = T::of(max / norm);
        par::for_each_block(grads.flat_mut(), BLOCK, |_, g| g.iter_mut().for_each(|g| *g *= scale));
    }
    norm
}

/// Number of partial sums: enough vectors that no addition waits for the one before it.
const SUMS: usize = 64;

vectorized! {
    /// The square of [`norm`] for one block: interleaved partial sums, which are then added in
    /// order.
    fn squares<T: Scalar>(x: &[T]) -> f64 {
        let (chunks, tail) = x.as_chunks::<SUMS>();
        let mut lanes = [0.0_f64; SUMS];
        for chunk in chunks {
            for k in 0..SUMS {
                let x = chunk[k].to_f64();
                lanes[k] += x * x;
            }
        }
        let tail: f64 = tail.iter().map(|x| x.to_f64() * x.to_f64()).sum();
        lanes.iter().sum::<f64>() + tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_that_of_a_plain_sum() {
        let mut params = crate::ParamStore::<f32>::new();
        params.add("w", crate::Mat::from_fn(3, BLOCK - 5, |i, j| ((i + 7 * j) % 13) as f32 * 0.5 - 3.0));
        let mut grads = ParamGrads::zeros(&params);
        grads.flat_mut().copy_from_slice(params.flat());
        // All squares are multiples of ¼ and their sum is below 2⁵⁰, so both sums are exact.
        let plain: f64 = params.flat().iter().map(|&x| f64::from(x * x)).sum();
        assert_eq!(norm(&grads), plain.sqrt());
        assert_eq!(clip_norm(&mut grads, 10.0), plain.sqrt());
        // The tolerance covers rounding the scale and each product, 2 · 2⁻²⁴; the error of the sum
        // is far smaller.
        assert!((norm(&grads) / 10.0 - 1.0).abs() < 1.5e-7);
    }
}
