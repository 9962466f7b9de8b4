//! hardgrad's estimators on burn's tensors: one-hot samples with the gradient of an estimator.
//!
//! This file is the whole glue. burn's public interface has no custom backward pass, so
//! [`sample`] returns a value that has the estimator's gradient, D + (θ − detach θ) M, where M is
//! the estimator's [`jacobian`](Estimator::jacobian).

pub mod vae;

use burn::tensor::{Element, Tensor, TensorData};
use hardgrad::estimators::{At, Estimator, Noise, Scratch};
use hardgrad::rng::Pcg64;
use hardgrad::{Error, Result, Scalar};

/// One-hot samples of categorical variables, whose gradient is the estimator's.
///
/// Shapes: logits `[…, C]`, the categories in the last dimension → one-hot `[…, C]`. The sample and
/// its gradient are functions of the logits and of the state of `rng`. If no gradient is recorded,
/// the sample is all that is computed.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use hardgrad::{estimators::ReinMax, rng};
///
/// let device = Device::flex().autodiff();
/// let logits = Tensor::<2>::from_floats([[0.0, 3.0_f32.ln()]], &device); // π = (¼, ¾)
/// let logits = logits.require_grad();
/// let reinmax = ReinMax::new(1.0)?;
/// let d = hardgrad_with_burn::sample::<f32, 2>(logits.clone(), &reinmax, &mut rng::from_key(1))?;
/// assert_eq!(d.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0]);
/// let grads = (d * Tensor::from_floats([[0.0, 4.0]], &device)).sum().backward();
/// let dlogits = logits.grad(&grads).unwrap().to_data().try_to_vec::<f32>().unwrap();
/// assert!((dlogits[1] - 0.5).abs() < 1e-6); // 2 · ⅛ · ⅞ · 4 − ½ · ¼ · ¾ · 4
/// # Ok::<(), hardgrad::Error>(())
/// ```
///
/// # Errors
/// If the logits have no category, or are not of the estimator's type, `f32` or `f64`.
pub fn sample<T: Scalar + Element, const D: usize>(
    logits: Tensor<D>,
    estimator: &dyn Estimator<T>,
    rng: &mut Pcg64,
) -> Result<Tensor<D>> {
    let (shape, dtype, device) = (logits.dims(), T::dtype(), logits.device());
    let categories = shape.last().copied().unwrap_or(0);
    if categories == 0 {
        return Err(Error::argument(
            "logits",
            format!("shape {shape:?}"),
            "[.., C] with C categories, C > 0",
        ));
    }
    if logits.dtype() != dtype {
        let expected = format!("{dtype:?}: convert it with cast(DType::{dtype:?})");
        return Err(Error::argument("logits", format!("{:?}", logits.dtype()), expected));
    }
    let held = logits.clone().detach();
    let data = held.to_data();
    let numbers =
        data.as_slice::<T>().map_err(|e| Error::argument("logits", format!("{e:?}"), "readable data"))?;
    let (mut noise, mut one_hot) = (Noise::new(), vec![T::ZERO; numbers.len()]);
    noise.draw(rng, numbers.len());
    estimator.sample(numbers, &noise, categories, &mut one_hot);
    let d = |numbers| Tensor::from_data(TensorData::new(numbers, shape), (&device, dtype));
    if !logits.is_tracked() || one_hot.is_empty() {
        return Ok(d(one_hot));
    }
    let at = At { logits: numbers, one_hot: &one_hot, noise: &noise, categories };
    let mut jacobian = vec![T::ZERO; numbers.len() * categories];
    estimator.jacobian(at, &mut jacobian, &mut Scratch::new());
    let variables = numbers.len() / categories;
    let matrices = TensorData::new(jacobian, [variables, categories, categories]);
    let matrices = Tensor::<3>::from_data(matrices, (&device, dtype));
    // 0, with gradient 1. For a masked category it would be −∞ − −∞, which is NaN.
    let moved = (logits - held.clone()).mask_fill(held.equal_elem(f32::NEG_INFINITY), 0.0);
    let moved = moved.reshape([variables, 1, categories]).matmul(matrices).reshape(shape);
    Ok(d(one_hot) + moved)
}
