//! The events of `Forwarder.drain`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use treecast_core::events::Event;

use crate::convert::{address, Address};

macro_rules! records {
    ($($name:ident { $($field:ident: $kind:ty),+ $(,)? })+) => {
        $(
            #[pyclass(module = "treecast._native", frozen, get_all)]
            pub struct $name { $(pub $field: $kind),+ }
        )+

        /// Adds the classes.
        pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $(module.add_class::<$name>()?;)+
            Ok(())
        }
    };
}
pub(crate) use records;

records! {
    TapFrame { port: u32, data: Py<PyBytes> }
    HandshakeDatagram { socket: u32, source: Address, data: Py<PyBytes> }
    ForeignHandshake { source: Address }
    ControlDatagram { peer: u32, session: u32, data: Py<PyBytes> }
    KeyOffered { root: u32, tree_id: u32, epoch: u32, key_id: u32, context: Py<PyBytes> }
    PeerMoved { peer: u32, session: u32, endpoint: Address }
    SessionConfirmed { peer: u32, session: u32 }
    TreeUsed { tree_id: u32 }
    KeyWorn { tree_id: u32, key_id: u32 }
    HostSeen { port: u32, vlan: u16, mac: Py<PyBytes> }
}

/// An event as its Python object.
pub fn to_python(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    let bytes = |data: &[u8]| PyBytes::new(py, data).unbind();
    Ok(match event {
        Event::TapFrame { port, data, .. } => Py::new(py, TapFrame { port, data: bytes(&data) })?.into_any(),
        Event::Handshake { socket, source, data } => {
            Py::new(py, HandshakeDatagram { socket, source: address(&source), data: bytes(&data) })?.into_any()
        }
        Event::ForeignHandshake { source } => Py::new(py, ForeignHandshake { source: address(&source) })?.into_any(),
        Event::Control { peer, session, data } => {
            Py::new(py, ControlDatagram { peer, session, data: bytes(&data) })?.into_any()
        }
        Event::KeyOffered { tree, key_id, context } => {
            let (root, tree_id, epoch, context) = (tree.root, tree.tree_id, tree.epoch, bytes(&context));
            Py::new(py, KeyOffered { root, tree_id, epoch, key_id, context })?.into_any()
        }
        Event::PeerMoved { peer, session, endpoint } => {
            Py::new(py, PeerMoved { peer, session, endpoint: address(&endpoint.address) })?.into_any()
        }
        Event::SessionConfirmed { peer, session } => Py::new(py, SessionConfirmed { peer, session })?.into_any(),
        Event::TreeUsed { tree_id } => Py::new(py, TreeUsed { tree_id })?.into_any(),
        Event::KeyWorn { tree_id, key_id } => Py::new(py, KeyWorn { tree_id, key_id })?.into_any(),
        Event::HostSeen { port, vlan, mac, .. } => Py::new(py, HostSeen { port, vlan, mac: bytes(&mac) })?.into_any(),
    })
}
