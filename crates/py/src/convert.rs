//! Values between Python and Rust.

use std::io;
use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::{PyOSError, PyValueError};
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

/// The name of a `RefusalReason`.
pub fn reason(refused: Refused) -> &'static str {
    match refused {
        Refused::Unknown => "unknown",
        Refused::TableFull => "table_full",
        Refused::Taken | Refused::Invalid => "invalid",
    }
}
