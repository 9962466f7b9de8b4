//! The estimators by name, from the library's registry.

use crate::arrays::Number;
use crate::noise::{Numbers, PyNoise};
use hardgrad::Scalar;
use hardgrad::estimators::{BuiltEstimator, Estimator, EstimatorConfig, EstimatorKind, Noise};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::Arc;

/// The names of the estimators of a sample: those of the registry that need no loss.
pub fn names() -> Vec<&'static str> {
    let of_a_sample =
        |kind: &&EstimatorKind| matches!(kind.default_config().build::<f32>(), Ok(BuiltEstimator::Sample(_)));
    EstimatorKind::ALL.iter().filter(of_a_sample).map(|kind| kind.name()).collect()
}

/// Estimator(name, **hyperparameters)
///
/// A gradient estimator by its name, one of `hardgrad.NAMES`, with its hyper-parameters, for
/// `hardgrad.sample` and `hardgrad.vjp`. Hyper-parameters that are not given have their defaults;
/// the one called lambda is written `lambda_`.
#[pyclass(name = "Estimator", module = "hardgrad", frozen)]
pub struct PyEstimator {
    config: EstimatorConfig,
    single: Arc<dyn Estimator<f32>>,
    double: Arc<dyn Estimator<f64>>,
}

impl Number for f32 {
    const DTYPE: &'static str = "float32";
    fn estimator(of: &PyEstimator) -> &dyn Estimator<f32> {
        &*of.single
    }
    fn noise(of: &PyNoise) -> Option<&Noise<f32>> {
        if let Numbers::Single(noise) = &of.numbers { Some(noise) } else { None }
    }
}

impl Number for f64 {
    const DTYPE: &'static str = "float64";
    fn estimator(of: &PyEstimator) -> &dyn Estimator<f64> {
        &*of.double
    }
    fn noise(of: &PyNoise) -> Option<&Noise<f64>> {
        if let Numbers::Double(noise) = &of.numbers { Some(noise) } else { None }
    }
}

/// A name that a Python program can write: `lambda` is a keyword.
fn python_name(name: &str) -> String {
    if name == "lambda" { "lambda_".into() } else { name.into() }
}

fn build<T: Scalar>(config: &EstimatorConfig) -> PyResult<Arc<dyn Estimator<T>>> {
    match config.build() {
        Ok(BuiltEstimator::Sample(estimator)) => Ok(estimator),
        Ok(_) => Err(unknown(config.kind().name(), ", because this one needs the loss itself")),
        Err(e) => Err(PyValueError::new_err(e.to_string())),
    }
}

fn unknown(name: &str, why: &str) -> PyErr {
    PyValueError::new_err(format!("estimator: got {name:?}, expected one of {}{why}", names().join(", ")))
}

fn set(config: &mut EstimatorConfig, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let parameters = config.parameters();
    let Some(parameter) = parameters.iter().find(|parameter| python_name(parameter.name) == name) else {
        let names: Vec<_> = parameters.iter().map(|parameter| python_name(parameter.name)).collect();
        let names = if names.is_empty() { "none".into() } else { names.join(", ") };
        let message = format!("{name}: {} has no such hyper-parameter, only {names}", config.kind());
        return Err(PyTypeError::new_err(message));
    };
    let text = value.str()?.to_string();
    config.set(parameter.name, &text).map_err(|e| PyValueError::new_err(e.to_string()))
}

#[pymethods]
impl PyEstimator {
    #[new]
    #[pyo3(signature = (name, **hyperparameters))]
    fn new(name: &str, hyperparameters: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let kind: EstimatorKind = name.parse().map_err(|_| unknown(name, ""))?;
        let mut config = kind.default_config();
        for (name, value) in hyperparameters.into_iter().flatten() {
            set(&mut config, &name.extract::<String>()?, &value)?;
        }
        Ok(Self { config, single: build(&config)?, double: build(&config)? })
    }

    /// The name, such as "gumbel-rao".
    #[getter]
    fn name(&self) -> &'static str {
        self.config.kind().name()
    }

    /// The name with the hyper-parameters as in tables, such as "Gumbel-Rao, τ 1.3, K 100".
    #[getter]
    fn label(&self) -> String {
        self.config.label()
    }

    /// The estimate of ∂f/∂θ of one variable, as a formula.
    #[getter]
    fn formula(&self) -> &'static str {
        self.config.kind().entry().formula
    }

    /// How the mean of the estimate differs from the gradient of the expectation.
    #[getter]
    fn bias(&self) -> &'static str {
        self.config.kind().entry().bias
    }

    /// The hyper-parameters by name, in a dict of numbers and strings.
    #[getter]
    fn hyperparameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (dict, mut config) = (PyDict::new(py), self.config);
        for parameter in self.config.parameters() {
            let (name, text) = (python_name(parameter.name), parameter.value);
            match (config.number_mut(parameter.name), text.parse::<usize>(), text.parse::<f64>()) {
                (Some(number), ..) => dict.set_item(name, *number)?,
                (None, Ok(whole), _) => dict.set_item(name, whole)?,
                (None, _, Ok(number)) => dict.set_item(name, number)?,
                (None, _, Err(_)) => dict.set_item(name, text)?,
            }
        }
        Ok(dict)
    }

    /// What each hyper-parameter is, by name.
    #[getter]
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for parameter in self.config.parameters() {
            dict.set_item(python_name(parameter.name), parameter.about)?;
        }
        Ok(dict)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut text = format!("Estimator({:?}", self.name());
        for (name, value) in &self.hyperparameters(py)? {
            text += &format!(", {name}={}", value.repr()?);
        }
        Ok(text + ")")
    }

    /// For `copy` and `pickle`.
    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        Ok((PyTuple::new(py, [self.name()])?, self.hyperparameters(py)?))
    }
}
