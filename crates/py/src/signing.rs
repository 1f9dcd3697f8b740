//! `SigningKey`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use treecast_core::broadcast_signature as core;
use zeroize::Zeroizing;

use crate::convert::exactly;

#[pyclass(module = "treecast._native", frozen)]
pub struct SigningKey(pub core::SigningKey);

#[pymethods]
impl SigningKey {
    #[new]
    fn new(seed: &[u8]) -> PyResult<Self> {
        let seed = Zeroizing::new(exactly(seed, "a signing key")?);
        core::SigningKey::new(&seed).map(Self).ok_or_else(|| PyValueError::new_err("not an Ed25519 private key"))
    }

    #[getter]
    fn public<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public())
    }
}
