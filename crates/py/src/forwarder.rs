//! `Forwarder`. Calls that reach the kernel release the GIL.

use std::os::fd::{AsFd, AsRawFd};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use treecast_core::aead::Aead;
use treecast_core::counters::Counter;
use treecast_core::datagram::TreeName;
use treecast_core::port::Port;
use treecast_core::session::{Endpoint, SessionParameters};
use treecast_core::source_filter::SourceFilter;
use treecast_core::tree::OutgoingList;
use treecast_io::forwarder as io;
use treecast_io::sys::packet::duplicate;
use treecast_io::sys::thread::monotonic_ns;

use crate::convert::{address, exactly, ip_address, os_error, refused, socket_address, Address};
use crate::events::to_python;
use crate::handshake::Handshake;
use crate::stats::{FlowStats, PeerStats, RouteStats, SessionStats, TreeStats};

#[pyclass(module = "treecast._native", frozen)]
pub struct Forwarder(io::Forwarder);

/// Life, events, sending.
#[pymethods]
impl Forwarder {
    #[new]
    #[pyo3(signature = (*, node_index, network_id, interface, mac, mtu, listen, underlay_mtu = 1500, workers = 0, probe_interval_s = 2.0, take = false))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        node_index: u32,
        network_id: &[u8],
        interface: String,
        mac: &[u8],
        mtu: u32,
        listen: Vec<Address>,
        underlay_mtu: usize,
        workers: usize,
        probe_interval_s: f64,
        take: bool,
    ) -> PyResult<Self> {
        if !(0.001..=86_400.0).contains(&probe_interval_s) {
            return Err(PyValueError::new_err("probe_interval_s must be between 0.001 and 86400"));
        }
        let configuration = io::Configuration {
            node_index,
            network_id: exactly(network_id, "a network id")?,
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
            .map_err(|io::OpenError { what, error }| os_error(&what, &error))
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

    fn ask_workers(&self) {
        self.0.ask_workers();
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

    fn drain(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        self.0.drain(limit).into_iter().map(|event| to_python(py, event)).collect()
    }

    fn send_datagram(&self, py: Python<'_>, socket: u32, endpoint: Address, data: &[u8]) -> PyResult<bool> {
        let endpoint = Endpoint { socket, address: socket_address(&endpoint)? };
        Ok(py.detach(|| self.0.send_datagram(endpoint, data)))
    }

    fn send_control(&self, py: Python<'_>, peer: u32, data: &[u8]) -> bool {
        py.detach(|| self.0.send_control(peer, data))
    }

    fn send_control_on(&self, py: Python<'_>, session: u32, data: &[u8]) -> bool {
        py.detach(|| self.0.send_control_on(session, data))
    }

    fn inject(&self, py: Python<'_>, port: u32, frame: &[u8]) -> bool {
        py.detach(|| self.0.inject(port, frame))
    }

    fn flood(&self, py: Python<'_>, port: u32, frame: &[u8]) {
        py.detach(|| self.0.flood(port, frame));
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

    fn set_port_selective(&self, port: u32, on: bool) -> PyResult<()> {
        self.port(port)?.set_selective(on);
        Ok(())
    }

    fn set_port_group(&self, port: u32, vlan: u16, group: &[u8], exclude: bool, sources: Vec<Vec<u8>>) -> PyResult<()> {
        let sources = sources.iter().map(|source| ip_address(source)).collect::<PyResult<_>>()?;
        let filter = SourceFilter::new(exclude, sources);
        self.0.tables.set_port_group(port, vlan, ip_address(group)?, filter).map_err(refused)
    }

    fn set_port_forwarding(&self, port: u32, on: bool) -> PyResult<()> {
        self.port(port)?.set_forwarding(on);
        Ok(())
    }

    #[pyo3(signature = (port, *, broadcast_pps, multicast_pps, unknown_unicast_pps))]
    fn set_storm_limits(
        &self,
        port: u32,
        broadcast_pps: Option<u32>,
        multicast_pps: Option<u32>,
        unknown_unicast_pps: Option<u32>,
    ) -> PyResult<()> {
        self.port(port)?.set_storm_limits(broadcast_pps, multicast_pps, unknown_unicast_pps);
        Ok(())
    }

    fn storm_refused(&self, port: u32) -> PyResult<[u64; 3]> {
        Ok(self.port(port)?.storm_refused())
    }

    fn set_group_super_packets(&self, port: u32, on: bool) -> PyResult<()> {
        self.port(port)?.set_groups_singly(!on);
        Ok(())
    }

    fn set_unknown_unicast_flood(&self, port: u32, on: bool) -> PyResult<()> {
        self.port(port)?.set_unknown_unicast_flood(on);
        Ok(())
    }

    #[pyo3(signature = (port, *, ra, dhcp))]
    fn set_keep_local(&self, port: u32, ra: bool, dhcp: bool) -> PyResult<()> {
        self.port(port)?.set_keep_local(ra, dhcp);
        Ok(())
    }

    // sessions

    #[allow(clippy::too_many_arguments)]
    fn install_session(
        &self,
        handshake: &mut Handshake,
        peer: u32,
        socket: u32,
        endpoint: Address,
        aead: u8,
        confirmed: bool,
    ) -> PyResult<()> {
        let aead = Aead::from_number(aead).ok_or_else(|| PyValueError::new_err("no such AEAD"))?;
        let endpoint = Endpoint { socket, address: socket_address(&endpoint)? };
        if socket as usize >= self.0.listening().len() {
            return Err(PyValueError::new_err("no such socket"));
        }
        let out_of_order = |_| PyValueError::new_err("the handshake is not finished, or spent");
        let keys = handshake.0.take_keys().map_err(out_of_order)?;
        let (index, remote_index) = (handshake.0.index(), handshake.0.remote_index());
        let parameters = SessionParameters { index, remote_index, peer, endpoint, aead, confirmed };
        self.0.tables.install_session(parameters, &keys, monotonic_ns()).map_err(refused)
    }

    fn remove_session(&self, session: u32) {
        self.0.tables.remove_session(session);
    }

    fn set_peer_underlay_mtu(&self, peer: u32, mtu: usize) -> PyResult<()> {
        self.0.tables.set_peer_underlay_mtu(peer, mtu).map_err(refused)
    }

    fn sessions(&self) -> Vec<SessionStats> {
        let now_ns = monotonic_ns();
        self.0.tables.sessions().iter().map(|session| SessionStats::of(session, now_ns)).collect()
    }

    fn peers(&self) -> Vec<PeerStats> {
        self.0.tables.traffic().into_iter().map(PeerStats::of).collect()
    }

    fn forget_peer(&self, peer: u32) {
        self.0.tables.forget_peer(peer);
    }

    // unicast

    fn set_host(&self, vlan: u16, mac: &[u8], peer: u32) -> PyResult<()> {
        self.0.tables.set_host(vlan, exactly(mac, "a MAC address")?, peer).map_err(refused)
    }

    fn remove_host(&self, vlan: u16, mac: &[u8]) -> PyResult<()> {
        self.0.tables.remove_host(vlan, exactly(mac, "a MAC address")?);
        Ok(())
    }

    // multicast: this node is the root

    fn create_tree(&self, tree_id: u32, epoch: u32, key_id: u32) -> PyResult<()> {
        self.0.create_tree(tree_id, epoch, key_id)?.map_err(refused)
    }

    fn remove_tree(&self, tree_id: u32) {
        self.0.tables.remove_tree(tree_id);
    }

    fn set_tree_members(&self, tree_id: u32, next_hops: Vec<u32>, replicate: Vec<u32>) -> PyResult<()> {
        self.0.tables.set_tree_members(tree_id, &next_hops, &replicate).map_err(refused)
    }

    fn make_key(&self, tree_id: u32, key_id: u32) -> PyResult<()> {
        self.0.make_key(tree_id, key_id)?.map_err(refused)
    }

    fn use_key(&self, tree_id: u32, key_id: u32) -> PyResult<()> {
        self.0.tables.use_key(tree_id, key_id).map_err(refused)
    }

    fn offer_key(&self, py: Python<'_>, tree_id: u32, key_id: u32, peer: u32, context: &[u8]) -> PyResult<bool> {
        py.detach(|| self.0.offer_key(tree_id, key_id, peer, context)).map_err(refused)
    }

    #[pyo3(signature = (vlan, group, source, tree_id))]
    fn set_route(&self, vlan: u16, group: &[u8], source: Option<&[u8]>, tree_id: u32) -> PyResult<()> {
        let (group, source) = (ip_address(group)?, source.map(ip_address).transpose()?);
        self.0.tables.set_route(vlan, group, source, tree_id).map_err(refused)
    }

    #[pyo3(signature = (vlan, group, source))]
    fn remove_route(&self, vlan: u16, group: &[u8], source: Option<&[u8]>) -> PyResult<()> {
        self.0.tables.remove_route(vlan, ip_address(group)?, source.map(ip_address).transpose()?);
        Ok(())
    }

    fn set_prefix_route(&self, vlan: u16, prefix: &[u8], length: u8, tree_id: u32) -> PyResult<()> {
        self.0.tables.set_prefix_route(vlan, ip_address(prefix)?, length, tree_id).map_err(refused)
    }

    fn remove_prefix_route(&self, vlan: u16, prefix: &[u8], length: u8) -> PyResult<()> {
        self.0.tables.remove_prefix_route(vlan, ip_address(prefix)?, length);
        Ok(())
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

    // multicast: this node is on another root's tree

    #[pyo3(signature = (root, tree_id, epoch, key_id, *, deliver, next_hops))]
    fn accept_key(
        &self,
        root: u32,
        tree_id: u32,
        epoch: u32,
        key_id: u32,
        deliver: bool,
        next_hops: Vec<u32>,
    ) -> PyResult<bool> {
        let outgoing = OutgoingList { deliver, next_hops: next_hops.into() };
        self.0.tables.accept_key(TreeName { root, tree_id, epoch }, key_id, outgoing).map_err(refused)
    }

    fn refuse_key(&self, root: u32, tree_id: u32, epoch: u32, key_id: u32) {
        self.0.tables.refuse_key(TreeName { root, tree_id, epoch }, key_id);
    }

    fn remove_member_tree(&self, root: u32, tree_id: u32, epoch: u32) {
        self.0.tables.remove_member_tree(TreeName { root, tree_id, epoch });
    }

    fn trees(&self) -> Vec<TreeStats> {
        self.0.tables.downstream_trees().iter().map(|tree| TreeStats::of(tree)).collect()
    }

    // numbers

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
}

impl Forwarder {
    fn port(&self, port: u32) -> PyResult<&Port> {
        let here = self.0.has_port(port).then(|| self.0.tables.port(port)).flatten();
        here.ok_or_else(|| PyValueError::new_err("no such port"))
    }
}
