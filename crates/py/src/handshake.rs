//! `StaticKey`, `Network` and `Handshake`.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use treecast_core::handshake as core;
use treecast_core::network;
use treecast_core::noise::{public_key, Failure};
use treecast_io::apply::SpentHandshake;
use treecast_io::sys::thread::random;
use zeroize::Zeroizing;

use crate::convert::exactly;
use crate::kem::LinkSecret;

create_exception!(treecast._native, HandshakeError, PyException, "The datagram does not continue this handshake.");

fn error(failure: Failure) -> PyErr {
    match failure {
        Failure::Datagram(reason) => HandshakeError::new_err(reason.name()),
        Failure::PayloadTooLong => PyValueError::new_err("the payload does not fit a handshake datagram"),
        Failure::OutOfOrder => PyRuntimeError::new_err("not this handshake's next step"),
        Failure::Key => PyValueError::new_err("not an X25519 private key"),
    }
}

#[pyclass(module = "treecast._native", frozen)]
pub struct StaticKey(Zeroizing<[u8; 32]>);

#[pymethods]
impl StaticKey {
    #[new]
    fn new(private: &[u8]) -> PyResult<Self> {
        let key = Self(Zeroizing::new(exactly(private, "a private key")?));
        public_key(&key.0).map_err(error)?;
        Ok(key)
    }

    #[getter]
    fn public<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &public_key(&self.0).map_err(error)?))
    }
}

#[pyclass(module = "treecast._native", frozen)]
pub struct Network(pub network::Network);

#[pymethods]
impl Network {
    #[new]
    fn new(id: &[u8], key: &[u8]) -> PyResult<Self> {
        let key = Zeroizing::new(exactly(key, "a network key")?);
        Ok(Self(network::Network::new(exactly(id, "a network id")?, key)))
    }
}

#[pyclass(module = "treecast._native")]
pub struct Handshake(core::Handshake);

impl Handshake {
    /// Takes the keys of a finished one.
    pub fn spend(&mut self) -> SpentHandshake {
        let (index, remote_index) = (self.0.index(), self.0.remote_index());
        SpentHandshake { keys: self.0.take_keys().ok(), index, remote_index }
    }
}

fn fresh<const N: usize>() -> PyResult<[u8; N]> {
    let mut bytes = [0; N];
    random(&mut bytes)?;
    Ok(bytes)
}

#[pymethods]
impl Handshake {
    #[staticmethod]
    fn initiate(key: &StaticKey, network: &Network, index: u32) -> PyResult<Self> {
        core::Handshake::initiate(&key.0, &network.0, index, fresh()?).map(Self).map_err(error)
    }

    #[staticmethod]
    fn respond(key: &StaticKey, network: &Network, index: u32, init: &[u8]) -> PyResult<Self> {
        core::Handshake::respond(&key.0, &network.0, index, init, fresh()?).map(Self).map_err(error)
    }

    fn init_datagram<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.0.init_datagram().map_err(error)?))
    }

    fn with_cookie<'py>(&self, py: Python<'py>, datagram: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.with_cookie(datagram).map_err(error)?))
    }

    fn write_response<'py>(&mut self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.write_response(payload).map_err(error)?))
    }

    fn read_response<'py>(&mut self, py: Python<'py>, datagram: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.read_response(datagram).map_err(error)?))
    }

    fn write_final<'py>(&mut self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.write_final(payload, fresh()?).map_err(error)?))
    }

    fn read_final<'py>(&mut self, py: Python<'py>, datagram: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.read_final(datagram).map_err(error)?))
    }

    fn mix(&mut self, secret: &LinkSecret) -> PyResult<()> {
        self.0.mix(&secret.0).map_err(error)
    }

    fn write_refusal<'py>(&mut self, py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.write_refusal(payload).map_err(error)?))
    }

    fn read_refusal<'py>(&mut self, py: Python<'py>, datagram: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.read_refusal(datagram).map_err(error)?))
    }

    #[getter]
    fn index(&self) -> u32 {
        self.0.index()
    }

    #[getter]
    fn remote_index(&self) -> u32 {
        self.0.remote_index()
    }

    #[getter]
    fn remote_static<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let key = self.0.remote_static().ok_or_else(|| PyRuntimeError::new_err("not proved yet"))?;
        Ok(PyBytes::new(py, &key))
    }
}
