//! `KeyPair`, `LinkSecret` and `encapsulate`: what is secret in them stays here.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use treecast_core::kem as core;

fn error(_: core::MalformedExchange) -> PyErr {
    PyValueError::new_err("not of ML-KEM-768")
}

#[pyclass(module = "treecast._native", frozen)]
pub struct LinkSecret(pub core::LinkSecret);

#[pymethods]
impl LinkSecret {
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.id())
    }
}

#[pyclass(module = "treecast._native", frozen)]
pub struct KeyPair(core::KeyPair);

#[pymethods]
impl KeyPair {
    #[staticmethod]
    fn generate() -> PyResult<Self> {
        core::KeyPair::generate().map(Self).map_err(error)
    }

    #[getter]
    fn encapsulation_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.encapsulation_key())
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> PyResult<LinkSecret> {
        self.0.decapsulate(ciphertext).map(LinkSecret).map_err(error)
    }
}

#[pyfunction]
pub fn encapsulate<'py>(py: Python<'py>, encapsulation_key: &[u8]) -> PyResult<(Bound<'py, PyBytes>, LinkSecret)> {
    let (ciphertext, secret) = core::encapsulate(encapsulation_key).map_err(error)?;
    Ok((PyBytes::new(py, &ciphertext), LinkSecret(secret)))
}
