//! NumPy arrays as slices, without copies, and what is refused.

use crate::estimator::PyEstimator;
use crate::noise::PyNoise;
use hardgrad::Scalar;
use hardgrad::estimators::{Estimator, Noise};
use numpy::{
    Element, IntoPyArray, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// `f32` or `f64`, and what a Python object holds for it.
pub trait Number: Scalar + Element {
    /// The name of the dtype.
    const DTYPE: &'static str;
    /// The estimator for arrays of this dtype.
    fn estimator(of: &PyEstimator) -> &dyn Estimator<Self>;
    /// The noise, if it is of this dtype.
    fn noise(of: &PyNoise) -> Option<&Noise<Self>>;
}

/// Whether the array is of dtype float32 (`true`) or float64 (`false`).
///
/// Anything else is refused, as the argument `logits`.
pub fn is_single(logits: &Bound<'_, PyAny>) -> PyResult<bool> {
    let array = untyped("logits", logits)?;
    let dtype = array.dtype();
    match () {
        () if dtype.is_equiv_to(&numpy::dtype::<f32>(array.py())) => Ok(true),
        () if dtype.is_equiv_to(&numpy::dtype::<f64>(array.py())) => Ok(false),
        () => {
            let expected = "float32 or float64: convert it with .astype(numpy.float32)";
            Err(PyTypeError::new_err(format!("logits: got dtype {dtype}, expected {expected}")))
        }
    }
}

fn untyped<'a, 'py>(
    argument: &str,
    array: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
    array.cast::<PyUntypedArray>().map_err(|_| {
        let got = array.get_type().name().map_or_else(|_| "another type".into(), |name| name.to_string());
        PyTypeError::new_err(format!("{argument}: got {got}, expected a numpy.ndarray"))
    })
}

/// A C-contiguous array of dtype `T`.
fn read<'py, T: Number>(argument: &str, array: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let any = untyped(argument, array)?;
    let typed = array.cast::<PyArrayDyn<T>>().map_err(|_| {
        let (got, dtype) = (any.dtype(), T::DTYPE);
        PyTypeError::new_err(format!(
            "{argument}: got dtype {got}, expected {dtype}, as logits: convert it with .astype(numpy.{dtype})"
        ))
    })?;
    // `as_slice` also reads column-major and refuses unaligned arrays.
    let flags = any.getattr("flags")?;
    if !(any.is_c_contiguous() && flags.getattr("aligned")?.extract::<bool>()?) {
        return Err(PyValueError::new_err(format!(
            "{argument}: got an array of shape {} that is not contiguous and aligned, expected one that is: \
             make one with numpy.array({argument}, order=\"C\")",
            shape_text(any.shape())
        )));
    }
    Ok(typed.try_readonly()?)
}

/// The shape as Python writes it.
pub fn shape_text(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Refuses a shape that is not that of the logits.
pub fn check_shape(argument: &str, got: &[usize], logits: &[usize]) -> PyResult<()> {
    if got == logits {
        return Ok(());
    }
    let (got, expected) = (shape_text(got), shape_text(logits));
    Err(PyValueError::new_err(format!(
        "{argument}: got shape {got}, expected {expected}, the shape of logits"
    )))
}

/// C, the last size of a shape `[…, C]`.
pub fn categories_of(argument: &str, shape: &[usize]) -> PyResult<usize> {
    match shape {
        [.., categories @ (1..)] => Ok(*categories),
        _ => Err(PyValueError::new_err(format!(
            "{argument}: got shape {}, expected (..., C) with the number of categories C > 0",
            shape_text(shape)
        ))),
    }
}

/// The logits, with which the other arrays must agree.
pub struct Logits<'py, T: Number>(PyReadonlyArrayDyn<'py, T>);

impl<'py, T: Number> Logits<'py, T> {
    pub fn read(array: &Bound<'py, PyAny>) -> PyResult<Self> {
        read("logits", array).map(Self)
    }

    pub fn py(&self) -> Python<'py> {
        self.0.py()
    }

    pub fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    pub fn categories(&self) -> PyResult<usize> {
        categories_of("logits", self.shape())
    }

    pub fn numbers(&self) -> PyResult<&[T]> {
        Ok(self.0.as_slice()?)
    }

    /// Another array, which must have the shape and the dtype of the logits.
    pub fn read_beside(
        &self,
        argument: &str,
        array: &Bound<'py, PyAny>,
    ) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
        check_shape(argument, untyped(argument, array)?.shape(), self.shape())?;
        read(argument, array)
    }

    /// A new array of the logits' shape, which takes over the numbers.
    pub fn new_like(&self, numbers: Vec<T>) -> PyResult<Bound<'py, PyAny>> {
        Ok(numbers.into_pyarray(self.py()).reshape(self.shape())?.into_any())
    }
}

/// The numbers of an array of the caller's, copied, for [`PyNoise`].
pub fn copied<T: Number>(argument: &str, array: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    Ok(read::<T>(argument, array)?.as_slice()?.to_vec())
}
