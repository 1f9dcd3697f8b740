//! Values between Python and Rust.

use std::io;
use std::net::{IpAddr, SocketAddr};

use pyo3::create_exception;
use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use treecast_core::table::Refused;

/// IP address as text, UDP port.
pub type Address = (String, u16);

/// From Python.
pub fn socket_address((address, port): &Address) -> PyResult<SocketAddr> {
    let text = if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
    text.parse().map_err(|_| PyValueError::new_err(format!("{address} is not an IP address")))
}

/// For Python.
pub fn address(address: &SocketAddr) -> Address {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => (format!("{}%{}", v6.ip(), v6.scope_id()), v6.port()),
        _ => (address.ip().to_string(), address.port()),
    }
}

/// Exactly `N` bytes.
pub fn exactly<const N: usize>(bytes: &[u8], what: &str) -> PyResult<[u8; N]> {
    bytes.try_into().map_err(|_| PyValueError::new_err(format!("{what} must be {N} bytes, not {}", bytes.len())))
}

/// Four or sixteen bytes.
pub fn ip_address(bytes: &[u8]) -> PyResult<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(v4.into());
    }
    Ok(exactly::<16>(bytes, "an IP address (4 or 16)")?.into())
}

/// Four or sixteen bytes.
pub fn ip_bytes(py: Python<'_>, address: &IpAddr) -> Py<PyBytes> {
    match address {
        IpAddr::V4(v4) => PyBytes::new(py, &v4.octets()).unbind(),
        IpAddr::V6(v6) => PyBytes::new(py, &v6.octets()).unbind(),
    }
}

/// OSError with errno and a text about `what`.
pub fn os_error(what: &str, error: &io::Error) -> PyErr {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    PyOSError::new_err((error.raw_os_error().unwrap_or(0), format!("{what}: {text}")))
}

create_exception!(treecast._native, TableFullError, PyValueError, "A table is at its maximum.");

/// KeyError for an unknown tree or key, TableFullError, else ValueError.
pub fn refused(refused: Refused) -> PyErr {
    match refused {
        Refused::Unknown => PyKeyError::new_err("no such tree or key"),
        Refused::TableFull => TableFullError::new_err("the table is full"),
        Refused::Taken => PyValueError::new_err("the session index is taken"),
        Refused::Invalid => PyValueError::new_err("values that contradict each other"),
    }
}
