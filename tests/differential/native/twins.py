"""The data plane and its model with the same tables, at random."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from random import Random

from lab.planes import DataPlanes
from treecast.base import commands as c
from treecast.base.addresses import MacAddress
from treecast.base.flows import KeyFlow
from treecast.base.ids import BROADCAST_STREAM, NodeIndex, StreamId
from treecast.sim.datagrams import Forward, SessionDatagram, TreeDatagram
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.frame_sources import why_refused
from treecast.sim.tables import ForwardingTables
from treecast.sim.underlay import Underlay

PEERS = (2, 3)
STRANGER = 9
"""A node that no session exists with."""
GROUPS = tuple(ip_address(text) for text in ("239.1.1.1", "239.129.1.1", "232.5.5.5", "ff15::5:1", "ff3e::8000:1"))
PREFIXES = tuple(ip_network(text) for text in ("239.0.0.0/8", "239.128.0.0/9", "224.0.0.0/4", "ff00::/8", "ff3e::/16"))
SOURCES = tuple(ip_address(text) for text in ("10.9.0.1", "192.0.2.7", "fd09::1", "2001:db8::7"))
PERMITTED = (None, None, (ip_network("239.0.0.0/9"), ip_network("ff15::/16")), ())
"""Lists of the root's certificate. Its peers have heard of none, so that what it sends all the same comes there."""
HOSTS = tuple(bytes([2, 0xAA, 0, 0, 0, number]) for number in range(6))
VLANS = (0, 0, 0, 7, 4094)
ROOT = NodeIndex(1)
OF_ROOT = {ROOT: c.CertifyNode(ROOT, bridge=True, carried=False, addresses=(), signing_key=b"")}
"""The state that the peers have of it, as ``lab.planes`` has it."""
KEY_FLOWS: dict[StreamId, KeyFlow] = {
    StreamId(2): (0, PREFIXES[0], None),
    StreamId(3): (7, ip_network("ff15::5:1"), SOURCES[2]),
}
"""The frames that the peers take under keys of streams; what else takes these trees is another flow's."""


@dataclass
class Twins:
    """The same commands for both."""

    planes: DataPlanes
    model: ModelForwarder
    network: Underlay
    peers: ForwardingTables = field(default_factory=lambda: ForwardingTables(certified=OF_ROOT))
    modelled: dict[int, list[bytes]] = field(default_factory=lambda: {peer: [] for peer in PEERS})

    def hear(self, peer: int, datagram: object) -> None:
        match datagram:
            case SessionDatagram(body=Forward(destination=destination, inner=inner)):
                self.hear(destination, inner)
            case SessionDatagram(body=TreeDatagram() as broadcast):
                self.hear(peer, broadcast)
            case SessionDatagram(body=("frame", bytes() as frame)):
                if why_refused(ROOT, frame, OF_ROOT) is None:
                    self.modelled[peer].append(frame)
            case TreeDatagram(stream=stream, frame=bytes() as frame):
                of_group, flow = stream != BROADCAST_STREAM, KEY_FLOWS.get(stream)
                if self.peers.why_refused(ROOT, frame, of_group=of_group, flow=flow) is None:
                    self.modelled[peer].append(frame)

    def set_tables(self, rng: Random) -> None:
        commands: list[c.Command] = []
        for tree in range(4):
            next_hops = tuple(NodeIndex(peer) for peer in PEERS if rng.random() < 0.4)
            rest = [NodeIndex(peer) for peer in (*PEERS, STRANGER) if peer not in next_hops]
            replicate = tuple(peer for peer in rest if rng.random() < 0.3)
            commands.append(c.SetTreeMembers(StreamId(tree), next_hops, replicate))
        for vlan in set(VLANS):
            for mac in HOSTS[:4]:
                peer = NodeIndex(rng.choice((*PEERS, STRANGER)))
                commands.append(c.SetHost(vlan, MacAddress(mac), peer))
            for group in GROUPS[:4]:
                for source in (None, *(own for own in SOURCES if own.version == group.version)):
                    commands.append(c.RemoveRoute(vlan, group, source))
                    if rng.random() < 0.6:
                        tree = StreamId(rng.randrange(1, 4))
                        commands.append(c.SetRoute(vlan, group, source, tree))
            for prefix in PREFIXES:
                commands.append(c.RemovePrefixRoute(vlan, prefix))
                if rng.random() < 0.4:
                    tree = StreamId(rng.randrange(1, 4))
                    commands.append(c.SetPrefixRoute(vlan, prefix, tree))
        floods, forwards = rng.random() < 0.5, rng.random() < 0.85
        key, send_to = self.planes[0].signing_key.public, rng.choice(PERMITTED)
        own = c.CertifyNode(ROOT, bridge=True, carried=False, addresses=(), signing_key=key, send_to=send_to)
        commands += [c.SetUnknownUnicastFlood(0, floods), c.SetPortForwarding(0, forwards), own]
        self.do(*commands)

    def do(self, *commands: c.Command) -> None:
        self.planes[0].do(*commands)
        self.model.carry_out([*commands])
