//! The noise of one sample.

use crate::arrays::{self, Number, check_shape, copied, is_single, shape_text};
use hardgrad::Scalar;
use hardgrad::estimators::Noise;
use hardgrad::rng;
use numpy::{IntoPyArray, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Noise(logits, seed)
///
/// The noise of one sample, for logits of this shape and dtype: Gumbel numbers, and a key from
/// which the draws conditional on the sample are generated. A function of the shape, the dtype
/// and the seed, a whole number from 0 to 2**64 - 1. All estimators draw the same one-hot sample
/// from one noise.
#[pyclass(name = "Noise", module = "hardgrad", frozen)]
pub struct PyNoise {
    shape: Vec<usize>,
    pub numbers: Numbers,
}

/// The noise in its dtype.
pub enum Numbers {
    /// float32
    Single(Noise<f32>),
    /// float64
    Double(Noise<f64>),
}

impl PyNoise {
    /// The noise for logits of this shape and dtype.
    pub fn of<T: Number>(&self, logits: &[usize]) -> PyResult<&Noise<T>> {
        check_shape("noise", &self.shape, logits)?;
        T::noise(self).ok_or_else(|| {
            let (got, expected) = (self.dtype(), T::DTYPE);
            let message = format!("noise: got dtype {got}, expected {expected}, the dtype of logits");
            PyTypeError::new_err(message)
        })
    }
}

fn drawn<T: Scalar>(seed: u64, count: usize) -> Noise<T> {
    let mut noise = Noise::new();
    noise.draw(&mut rng::from_key(seed), count);
    noise
}

fn from_arrays<T: Number>(
    gumbel: &Bound<'_, PyAny>,
    exponentials: Option<&Bound<'_, PyAny>>,
) -> PyResult<Noise<T>> {
    let noise = Noise::from_gumbel(copied::<T>("gumbel", gumbel)?);
    let Some(exponentials) = exponentials else { return Ok(noise) };
    let numbers = copied::<T>("exponentials", exponentials)?;
    let (got, each) = (shape_of(exponentials)?, shape_of(gumbel)?);
    if !matches!(&got[..], [(1..), rest @ ..] if *rest == each[..]) {
        let (got, each) = (shape_text(&got), shape_text(&each));
        return Err(PyValueError::new_err(format!(
            "exponentials: got shape {got}, expected K conditional draws for the {each} of gumbel: (K, *gumbel.shape)"
        )));
    }
    if !numbers.iter().all(|&e| e > T::ZERO) {
        return Err(PyValueError::new_err("exponentials: expected numbers > 0"));
    }
    Ok(noise.with_exponentials(numbers))
}

fn shape_of(array: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    Ok(array.cast::<PyUntypedArray>()?.shape().to_vec())
}

#[pymethods]
impl PyNoise {
    #[new]
    fn new(logits: &Bound<'_, PyAny>, seed: &Bound<'_, PyAny>) -> PyResult<Self> {
        let single = is_single(logits)?;
        let shape = shape_of(logits)?;
        arrays::categories_of("logits", &shape)?;
        let seed: u64 = seed.extract().map_err(|_| {
            let got = seed.repr().map_or_else(|_| "another value".into(), |text| text.to_string());
            let message = format!("seed: got {got}, expected a whole number from 0 to 2**64 - 1");
            PyValueError::new_err(message)
        })?;
        let count = shape.iter().product();
        let numbers =
            if single { Numbers::Single(drawn(seed, count)) } else { Numbers::Double(drawn(seed, count)) };
        Ok(Self { shape, numbers })
    }

    /// Noise of the caller's: Gumbel numbers of the logits' shape and dtype, and exponential
    /// numbers > 0 for K conditional draws, of shape (K, *gumbel.shape).
    #[staticmethod]
    #[pyo3(signature = (gumbel, exponentials = None))]
    fn from_gumbel(gumbel: &Bound<'_, PyAny>, exponentials: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let numbers = if is_single(gumbel)? {
            Numbers::Single(from_arrays(gumbel, exponentials)?)
        } else {
            Numbers::Double(from_arrays(gumbel, exponentials)?)
        };
        Ok(Self { shape: shape_of(gumbel)?, numbers })
    }

    /// The shape of the logits that this noise is for.
    #[getter]
    fn shape(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(pyo3::types::PyTuple::new(py, &self.shape)?.into_any().unbind())
    }

    /// The dtype of the logits that this noise is for, as a name.
    #[getter]
    fn dtype(&self) -> &'static str {
        match self.numbers {
            Numbers::Single(_) => f32::DTYPE,
            Numbers::Double(_) => f64::DTYPE,
        }
    }

    /// A copy of the Gumbel numbers.
    #[getter]
    fn gumbel<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let shape = &self.shape[..];
        Ok(match &self.numbers {
            Numbers::Single(noise) => noise.gumbel().to_vec().into_pyarray(py).reshape(shape)?.into_any(),
            Numbers::Double(noise) => noise.gumbel().to_vec().into_pyarray(py).reshape(shape)?.into_any(),
        })
    }

    fn __repr__(&self) -> String {
        format!("<hardgrad.Noise of shape {} and dtype {}>", shape_text(&self.shape), self.dtype())
    }
}
