//! What a forwarder has open: the TAP, the packet ports and the sockets.

use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;

use crate::packet_port::PacketPorts;
use crate::socket_group::SocketGroup;
use crate::sys::tap::Tap;
use crate::sys::udp::Socket;
use crate::underlay::UnderlayMtu;

/// What a forwarder has open. Dropping it closes everything.
#[derive(Debug)]
pub struct Ports {
    /// The TAP.
    pub tap: Tap,
    /// The sockets, in the order of `listen`.
    pub sockets: Vec<SocketGroup>,
    /// Interfaces that cannot be bridged.
    pub packets: PacketPorts,
    /// How long a datagram may leave.
    pub underlay_mtu: UnderlayMtu,
}

impl Ports {
    /// Takes over what the kernel has counted.
    pub fn note_overruns(&self, tables: &ForwardingTables) {
        tables.drops.set(Reason::TapOverrun, self.tap.overruns());
        let sockets = self.sockets.iter().flat_map(SocketGroup::all);
        tables.drops.set(Reason::SocketOverrun, sockets.map(Socket::overruns).sum());
    }

    /// What the kernel granted, by name.
    pub fn offloads(&self) -> Vec<&'static str> {
        let tap = self.tap.offloads();
        let sockets = || self.sockets.iter().flat_map(SocketGroup::all);
        let udp = |has: fn(&Socket) -> bool| sockets().all(has) && sockets().next().is_some();
        let all = [
            ("tap-csum", tap.csum),
            ("tap-tso", tap.tso),
            ("tap-uso", tap.uso),
            ("tap-queues", self.tap.queues().len() > 1),
            ("udp-gso", udp(Socket::gso)),
            ("udp-gro", udp(Socket::gro)),
        ];
        all.into_iter().filter(|(_, granted)| *granted).map(|(name, _)| name).collect()
    }
}
