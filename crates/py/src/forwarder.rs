//! `Forwarder`. Calls that reach the kernel release the GIL.

use std::os::fd::{AsFd, AsRawFd};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use treecast_core::counters::Counter;
use treecast_core::datagram::StreamName;
use treecast_core::port::Port;
use treecast_core::reason::Reason;
use treecast_io::configuration::{Configuration, OpenError};
use treecast_io::event_records::emit_all;
use treecast_io::forwarder as io;
use treecast_io::msgpack::Malformed;
use treecast_io::sys::packet::duplicate;
use treecast_io::sys::thread::monotonic_ns;

use crate::convert::{address, exactly, os_error, reason, socket_address, Address, GivenAddress};
use crate::handshake::{Handshake, Network};
use crate::signing::SigningKey;
use crate::stats::{
    FlowStats, ForwardCut, PeerStats, PlaceStats, RootTreeStats, RouteStats, SessionStats, StreamStats,
};

#[pyclass(module = "treecast._native", frozen)]
pub struct Forwarder(io::Forwarder);

/// Life, events, sending.
#[pymethods]
impl Forwarder {
    #[new]
    #[pyo3(signature = (*, node_index, network, signing_key, interface, mac, mtu, listen, underlay_mtu = 1500, workers = 0, probe_interval_s = 2.0, take = false))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        node_index: u32,
        network: &Network,
        signing_key: &SigningKey,
        interface: String,
        mac: &[u8],
        mtu: u32,
        listen: Vec<GivenAddress>,
        underlay_mtu: usize,
        workers: usize,
        probe_interval_s: f64,
        take: bool,
    ) -> PyResult<Self> {
        if !(0.001..=86_400.0).contains(&probe_interval_s) {
            return Err(PyValueError::new_err("probe_interval_s must be between 0.001 and 86400"));
        }
        let configuration = Configuration {
            node_index,
            network: network.0.clone(),
            signing_key: signing_key.0.clone(),
            interface,
            mac: exactly(mac, "a MAC address")?,
            mtu,
            listen: listen.iter().map(socket_address).collect::<PyResult<_>>()?,
            take,
            underlay_mtu,
            workers,
            probe_interval_ns: (probe_interval_s * 1e9) as u64,
        };
        py.detach(|| io::Forwarder::open(&configuration))
            .map(Self)
            .map_err(|OpenError { what, error }| os_error(&what, &error))
    }

    fn start(&self) -> PyResult<()> {
        Ok(self.0.start()?)
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    #[getter]
    fn interface(&self) -> &str {
        self.0.interface()
    }

    fn set_stay(&self, on: bool) -> PyResult<()> {
        Ok(self.0.set_stay(on)?)
    }

    #[getter]
    fn listening(&self) -> Vec<Address> {
        self.0.listening().iter().map(address).collect()
    }

    #[getter]
    fn workers(&self) -> usize {
        self.0.workers()
    }

    #[getter]
    fn running_workers(&self) -> usize {
        self.0.running_workers()
    }

    fn signal_workers(&self) {
        self.0.signal_workers();
    }

    #[getter]
    fn unanswered(&self) -> usize {
        self.0.unanswered()
    }

    #[getter]
    fn underlay_mtu(&self) -> Option<usize> {
        self.0.underlay_mtu()
    }

    fn set_underlay_mtu(&self, mtu: usize) -> PyResult<()> {
        let set = self.0.set_underlay_mtu(mtu);
        set.then_some(()).ok_or_else(|| PyValueError::new_err("an underlay's MTU is 1280 to 9000"))
    }

    #[getter]
    fn offloads(&self) -> Vec<&'static str> {
        self.0.offloads()
    }

    fn event_fd(&self) -> i32 {
        self.0.event_fd().as_fd().as_raw_fd()
    }

    /// The events' records: see `treecast_io::event_records`.
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &emit_all(&self.0.drain(limit)))
    }

    /// The commands' records: see `treecast_io::commands`. Position, reason and text of those that were refused.
    fn apply(
        &self,
        py: Python<'_>,
        commands: &[u8],
        handshakes: Vec<PyRefMut<'_, Handshake>>,
    ) -> PyResult<Vec<(usize, &'static str, String)>> {
        let handshakes = handshakes.into_iter().map(|mut handshake| handshake.spend()).collect();
        let refusals = py.detach(|| self.0.apply(commands, handshakes));
        let refusals = refusals.map_err(|Malformed| PyValueError::new_err("no array of commands"))?;
        Ok(refusals.into_iter().map(|refusal| (refusal.position, reason(refusal.reason), refusal.text)).collect())
    }

    // ports

    fn open_packet_port(&self, py: Python<'_>, descriptor: i32) -> PyResult<u32> {
        let opened = py.detach(|| self.0.open_packet_port(duplicate(descriptor)?));
        opened.map_err(|error| os_error("packet port", &error))
    }

    fn close_port(&self, py: Python<'_>, port: u32) -> PyResult<()> {
        let closed = py.detach(|| self.0.close_port(port));
        closed.then_some(()).ok_or_else(|| PyValueError::new_err("no such port"))
    }

    fn storm_refused(&self, port: u32) -> PyResult<[u64; 3]> {
        Ok(self.port(port)?.storm_refused())
    }

    fn set_group_super_packets(&self, port: u32, on: bool) -> PyResult<()> {
        self.port(port)?.set_groups_singly(!on);
        Ok(())
    }

    // numbers

    fn sessions(&self) -> Vec<SessionStats> {
        let now_ns = monotonic_ns();
        let totals = |peer| self.0.tables.peer(peer).map(|peer| peer.totals()).unwrap_or_default();
        let sessions = self.0.tables.sessions();
        sessions.iter().map(|session| SessionStats::of(session, totals(session.peer), now_ns)).collect()
    }

    fn peers(&self) -> Vec<PeerStats> {
        self.0.tables.traffic().into_iter().map(PeerStats::of).collect()
    }

    fn routes(&self, py: Python<'_>) -> Vec<RouteStats> {
        self.0.tables.routes().iter().map(|route| RouteStats::of(py, route)).collect()
    }

    fn sent_flows(&self, py: Python<'_>) -> Vec<FlowStats> {
        let now_ns = monotonic_ns();
        let ports = (0..).map_while(|number| self.0.tables.port(number).map(|port| (number, port)));
        let of_port = |(number, port): (u32, &Port)| -> Vec<FlowStats> {
            let flows = port.sent.report(now_ns);
            flows.iter().map(|flow| FlowStats::of(py, Some(number), flow)).collect()
        };
        ports.flat_map(of_port).collect()
    }

    fn delivered_flows(&self, py: Python<'_>) -> Vec<FlowStats> {
        let flows = self.0.tables.delivered.report(monotonic_ns());
        flows.iter().map(|flow| FlowStats::of(py, None, flow)).collect()
    }

    fn streams(&self) -> Vec<StreamStats> {
        self.0.tables.downstream_streams().iter().map(|stream| StreamStats::of(stream)).collect()
    }

    fn places(&self, root: u32, stream: u32) -> Option<(StreamStats, Vec<PlaceStats>)> {
        let now_ns = monotonic_ns();
        let (stream, places) = self.0.tables.places(StreamName { root, stream })?;
        let places = places.into_iter().map(|place| PlaceStats::of(place, now_ns)).collect();
        Some((StreamStats::of(&stream), places))
    }

    fn sent_by_streams(&self, streams: Vec<u32>) -> Vec<(u32, (u64, u64))> {
        self.0.tables.sent_by_streams(&streams)
    }

    fn root_tree(&self, stream: u32) -> Option<RootTreeStats> {
        self.0.tables.tree(stream).map(|tree| RootTreeStats::of(&tree))
    }

    fn forward_cuts(&self) -> Vec<ForwardCut> {
        self.0.tables.forward_cuts(monotonic_ns()).iter().map(ForwardCut::of).collect()
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let numbers = PyDict::new(py);
        for counter in Counter::ALL {
            numbers.set_item(counter.name(), self.0.tables.counters.get(*counter))?;
        }
        Ok(numbers)
    }

    fn drops<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let numbers = PyDict::new(py);
        for (reason, count) in self.0.drops() {
            numbers.set_item(reason.name(), count)?;
        }
        Ok(numbers)
    }

    fn take_refusals(&self) -> Vec<(u32, &'static str, u64)> {
        let refusals = self.0.tables.refusals.take();
        refusals.into_iter().map(|(node, reason, count)| (node, reason.name(), count)).collect()
    }

    fn dropped(&self, reason: &str) -> PyResult<u64> {
        let known = Reason::ALL.iter().find(|known| known.name() == reason);
        let known = known.ok_or_else(|| PyValueError::new_err("no such reason"))?;
        Ok(self.0.tables.drops.get(*known))
    }
}

impl Forwarder {
    fn port(&self, port: u32) -> PyResult<&Port> {
        let here = self.0.has_port(port).then(|| self.0.tables.port(port)).flatten();
        here.ok_or_else(|| PyValueError::new_err("no such port"))
    }
}
