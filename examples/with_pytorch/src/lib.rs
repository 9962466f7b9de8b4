//! Python bindings of hardgrad: every estimator of a sample, on NumPy arrays.
//!
//! `python/hardgrad/torch.py` makes functions of PyTorch from them.

mod arrays;
mod estimator;
mod noise;
mod threads;

use arrays::Number;
use estimator::PyEstimator;
use hardgrad::estimators::{At, Scratch};
use noise::PyNoise;
use pyo3::prelude::*;

/// Draws the sample: D = onehot(argmax(logits + noise)), or the relaxed sample of "gumbel-softmax".
///
/// logits: C-contiguous array of shape [..., C], float32 or float64. Returns a new array of this
/// shape.
#[pyfunction]
fn sample<'py>(
    estimator: &Bound<'py, PyEstimator>,
    logits: &Bound<'py, PyAny>,
    noise: &Bound<'py, PyNoise>,
) -> PyResult<Bound<'py, PyAny>> {
    if arrays::is_single(logits)? {
        sample_of::<f32>(estimator.get(), logits, noise.get())
    } else {
        sample_of::<f64>(estimator.get(), logits, noise.get())
    }
}

fn sample_of<'py, T: Number>(
    estimator: &PyEstimator,
    logits: &Bound<'py, PyAny>,
    noise: &PyNoise,
) -> PyResult<Bound<'py, PyAny>> {
    let logits = arrays::Logits::<T>::read(logits)?;
    let (categories, noise) = (logits.categories()?, noise.of::<T>(logits.shape())?);
    let numbers = logits.numbers()?;
    let mut one_hot = vec![T::ZERO; numbers.len()];
    logits.py().detach(|| {
        threads::run(|| T::estimator(estimator).sample(numbers, noise, categories, &mut one_hot))
    })?;
    logits.new_like(one_hot)
}

/// Returns the estimate of ∂f/∂logits, given g = ∂f/∂D at the sample that `sample` drew with this
/// noise.
///
/// logits, one_hot and g: C-contiguous arrays of one shape [..., C] and one dtype, float32 or
/// float64.
#[pyfunction]
fn vjp<'py>(
    estimator: &Bound<'py, PyEstimator>,
    logits: &Bound<'py, PyAny>,
    one_hot: &Bound<'py, PyAny>,
    noise: &Bound<'py, PyNoise>,
    g: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if arrays::is_single(logits)? {
        vjp_of::<f32>(estimator.get(), logits, one_hot, noise.get(), g)
    } else {
        vjp_of::<f64>(estimator.get(), logits, one_hot, noise.get(), g)
    }
}

fn vjp_of<'py, T: Number>(
    estimator: &PyEstimator,
    logits: &Bound<'py, PyAny>,
    one_hot: &Bound<'py, PyAny>,
    noise: &PyNoise,
    g: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let logits = arrays::Logits::<T>::read(logits)?;
    let (categories, noise) = (logits.categories()?, noise.of::<T>(logits.shape())?);
    let one_hot = logits.read_beside("one_hot", one_hot)?;
    let g = logits.read_beside("g", g)?;
    let at = At { logits: logits.numbers()?, one_hot: one_hot.as_slice()?, noise, categories };
    let g = g.as_slice()?;
    let mut dlogits = vec![T::ZERO; g.len()];
    logits.py().detach(|| {
        threads::run(|| T::estimator(estimator).add_vjp(at, g, &mut dlogits, &mut Scratch::new()))
    })?;
    logits.new_like(dlogits)
}

#[pymodule]
mod _hardgrad {
    #[pymodule_export]
    use super::estimator::PyEstimator;
    #[pymodule_export]
    use super::noise::PyNoise;
    #[pymodule_export]
    use super::threads::{get_num_threads, set_num_threads};
    #[pymodule_export]
    use super::{sample, vjp};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("NAMES", pyo3::types::PyTuple::new(module.py(), super::estimator::names())?)
    }
}
