//! Thin binding: `treecast._native`, typed by `src/treecast/_native.pyi`. Converts values; decides nothing.

mod convert;
mod forwarder;
mod handshake;
mod kem;
mod plan;
mod signing;
mod stats;

use std::collections::HashMap;
use std::os::fd::IntoRawFd;

use pyo3::prelude::*;
use treecast_io::sys::packet::{duplicate, PacketSocket};

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("AEAD_AES_256_GCM", treecast_core::aead::Aead::Aes256Gcm as u8)?;
    module.add("AEAD_CHACHA20_POLY1305", treecast_core::aead::Aead::ChaCha20Poly1305 as u8)?;
    module.add("HandshakeError", module.py().get_type::<handshake::HandshakeError>())?;
    module.add("COMMANDS", treecast_io::commands::COMMANDS.to_vec().into_iter().collect::<HashMap<_, _>>())?;
    module.add_function(wrap_pyfunction!(preferred_aead, module)?)?;
    module.add_function(wrap_pyfunction!(drop_capabilities, module)?)?;
    module.add_function(wrap_pyfunction!(keep_secrets, module)?)?;
    module.add_function(wrap_pyfunction!(refuse_system_calls, module)?)?;
    module.add_function(wrap_pyfunction!(take_account, module)?)?;
    module.add_function(wrap_pyfunction!(open_packet_socket, module)?)?;
    module.add_function(wrap_pyfunction!(open_unbound_packet_socket, module)?)?;
    module.add_function(wrap_pyfunction!(bind_packet_socket, module)?)?;
    module.add_class::<handshake::StaticKey>()?;
    module.add_class::<handshake::Network>()?;
    module.add_class::<handshake::Handshake>()?;
    module.add_class::<signing::SigningKey>()?;
    module.add_class::<kem::KeyPair>()?;
    module.add_class::<kem::LinkSecret>()?;
    module.add_function(wrap_pyfunction!(kem::encapsulate, module)?)?;
    module.add_class::<forwarder::Forwarder>()?;
    module.add_class::<plan::LinkGraph>()?;
    stats::add_to(module)
}

#[pyfunction]
fn preferred_aead() -> u8 {
    treecast_core::aead::Aead::preferred() as u8
}

#[pyfunction]
fn drop_capabilities() -> PyResult<()> {
    Ok(treecast_io::sys::caps::drop_all()?)
}

#[pyfunction]
fn keep_secrets() -> PyResult<()> {
    Ok(treecast_io::sys::secrecy::keep_secrets()?)
}

#[pyfunction]
fn refuse_system_calls() -> PyResult<bool> {
    Ok(treecast_io::sys::seccomp::install_filter()?)
}

#[pyfunction]
fn take_account(uid: u32, gid: u32) -> PyResult<()> {
    Ok(treecast_io::sys::secrecy::take_account(uid, gid)?)
}

#[pyfunction]
fn open_packet_socket(interface: &str) -> PyResult<i32> {
    let opened = PacketSocket::open(interface);
    opened.map(IntoRawFd::into_raw_fd).map_err(|error| convert::os_error(interface, &error))
}

#[pyfunction]
fn open_unbound_packet_socket() -> PyResult<i32> {
    let opened = PacketSocket::open_unbound();
    opened.map(IntoRawFd::into_raw_fd).map_err(|error| convert::os_error("a packet socket", &error))
}

#[pyfunction]
fn bind_packet_socket(descriptor: i32, interface: &str, index: i32) -> PyResult<()> {
    let bound = duplicate(descriptor).and_then(|fd| PacketSocket::bind(&fd, index));
    bound.map_err(|error| convert::os_error(interface, &error))
}
