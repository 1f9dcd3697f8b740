//! Values between Python and Rust.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use treecast_core::table::Refused;
use treecast_io::msgpack::{pack, unpack};

/// The bytes of an IP address, as `treecast_io::msgpack` has them, and a UDP port.
pub type Address = (Cow<'static, [u8]>, u16);
/// The same from Python.
pub type GivenAddress = (PyBackedBytes, u16);

/// The address from Python.
pub fn socket_address((octets, port): &GivenAddress) -> PyResult<SocketAddr> {
    unpack(octets, *port).ok_or_else(|| PyValueError::new_err("an IP address is 4, 16 or 20 bytes"))
}

/// The address for Python.
pub fn address(address: &SocketAddr) -> Address {
    let (octets, length) = pack(address);
    (octets[..length].to_vec().into(), address.port())
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

/// The name of a `CommandRefusalReason`.
pub fn reason(refused: Refused) -> &'static str {
    match refused {
        Refused::Unknown => "unknown",
        Refused::TableFull => "table_full",
        Refused::Taken | Refused::Invalid => "invalid",
    }
}
