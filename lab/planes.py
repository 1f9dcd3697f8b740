"""Data planes without a control plane: a Forwarder per machine of a lab, wired by hand.

Machines n0, n1, ... on one switch; machine k has node index k + 1, TAP ``tc0`` with 10.9.0.(k+1)/24 and fd09::(k+1)/64,
and permanent neighbours instead of ARP and ND::

      n0                      n1                      n2
     +--------------------+  +--------------------+  +--------------------+
     | tc0 10.9.0.1       |  | tc0 10.9.0.2       |  | tc0 10.9.0.3       |
     |  Forwarder, node 1 |  |  Forwarder, node 2 |  |  Forwarder, node 3 |
     | eth0 198.18.0.1    |  | eth0 198.18.0.2    |  | eth0 198.18.0.3    |
     +---------||---------+  +---------||---------+  +---------||---------+
     +---------------------------switch-----------------------------------+
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from pyroute2 import IPRoute

from lab import Lab
from lab.machine import IFA_F_NODAD, Machine
from lab.topology import DEFAULT_MTU_BYTES
from lab.waiting import wait_until
from treecast import _native
from treecast.adapters.native import apply
from treecast.adapters.native_records import emit_endpoint, parse_endpoint, parse_events
from treecast.adapters.noise import NoiseHandshake
from treecast.base import commands as c
from treecast.base import events as e
from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.downstream_commands import AcceptKey, AcceptTree
from treecast.base.flows import KeyFlow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch

NETWORK = _native.Network(bytes(range(16)), bytes(range(32)))
INTERFACE = "tc0"
MTU = 1374
LIMIT_S = 15.0
START_LIMIT_S = 30.0
GSO_MAX_SEGMENTS = 44

Kind = TypeVar("Kind", bound=e.FromDataPlane)


class DataPlane:
    """One machine's forwarder and what it told Python so far."""

    def __init__(
        self,
        machine: Machine,
        node: int,
        *,
        ipv6_underlay: bool = False,
        mtu_bytes: int = MTU,
        underlay_mtu_bytes: int = DEFAULT_MTU_BYTES,
        probe_interval_s: float = 2.0,
        workers: int = 0,
    ) -> None:
        self.machine = machine
        self.node = node
        self.events: list[e.FromDataPlane] = []
        self.key = _native.StaticKey(os.urandom(32))
        self.signing_key = _native.SigningKey(os.urandom(32))
        listen = machine.underlay_ipv6 if ipv6_underlay else machine.underlay_ipv4
        with machine.enter():
            self.forwarder = _native.Forwarder(
                node_index=node,
                network=NETWORK,
                signing_key=self.signing_key,
                interface=INTERFACE,
                mac=mac(node),
                mtu=mtu_bytes,
                underlay_mtu=underlay_mtu_bytes,
                listen=[emit_endpoint(Endpoint(ip_address(listen), 7700))],
                workers=workers,
                probe_interval_s=probe_interval_s,
            )
            with IPRoute() as netlink:
                index = netlink.link_lookup(ifname=INTERFACE)[0]
                netlink.link("set", index=index, gso_max_segs=GSO_MAX_SEGMENTS, state="up")
                netlink.addr("add", index=index, address=ipv4(node), prefixlen=24)
                netlink.addr("add", index=index, address=ipv6(node), prefixlen=64, flags=IFA_F_NODAD)
                netlink.route("add", dst="224.0.0.0/4", oif=index)
        before = _own_threads()
        self.forwarder.start()
        self.threads = sorted(_own_threads() - before)

    @contextmanager
    def listen_raw(self, ethertype: int) -> Iterator[socket.socket]:
        """All frames of an EtherType that the TAP delivers."""
        with self.machine.enter():
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
        with raw:
            raw.bind((INTERFACE, ethertype))
            raw.settimeout(LIMIT_S)
            yield raw

    def neighbour(self, other: DataPlane) -> None:
        """A permanent ARP and ND entry, and the host in the table; it is a bridge: its frames may be of any host."""
        node = other.node
        with self.machine.enter(), IPRoute() as netlink:
            index = netlink.link_lookup(ifname=INTERFACE)[0]
            text = ":".join(f"{octet:02x}" for octet in mac(node))
            for address in (ipv4(node), ipv6(node)):
                netlink.neigh("replace", dst=address, lladdr=text, ifindex=index, state=0x80)
        self.do(
            c.SetHost(0, MacAddress(mac(node)), NodeIndex(node)),
            c.CertifyNode(
                NodeIndex(node), bridge=True, carried=False, addresses=(), signing_key=other.signing_key.public
            ),
        )

    def do(self, *commands: c.Command) -> None:
        """Carries out commands, none of which is refused."""
        refused = apply(self.forwarder, commands)
        assert not refused, refused

    def new_events(self) -> list[e.FromDataPlane]:
        return parse_events(self.forwarder.drain(10_000))

    def collect(self) -> list[e.FromDataPlane]:
        self.events += self.new_events()
        return self.events

    def seen(self, kind: type[Kind]) -> list[Kind]:
        """Events of a kind so far."""
        return [event for event in self.collect() if isinstance(event, kind)]

    def wait_for(self, kind: type[Kind], count: int = 1) -> list[Kind]:
        return wait_until(lambda: found if len(found := self.seen(kind)) >= count else [], LIMIT_S, kind.__name__)

    def wait_probed(self, node: int) -> float:
        """The round-trip time of a node that has answered a probe on its newest session, in milliseconds."""

        def measured() -> list[float]:
            newest = [report.rtt_ms for report in self.forwarder.sessions() if report.peer == node][-1]
            return [newest] if newest is not None else []

        return wait_until(measured, LIMIT_S, "a probe's answer")[0]

    @property
    def endpoint(self) -> Endpoint:
        return parse_endpoint(self.forwarder.listening[0])

    @property
    def address(self) -> tuple[str, int]:
        """The endpoint, as sockets have it."""
        return str(self.endpoint.address), self.endpoint.port


class DataPlanes:
    """A lab with as many planes as asked for, each with a session to each; all gone at the end of the block."""

    def __init__(
        self,
        count: int,
        *,
        aead: int = _native.AEAD_AES_256_GCM,
        ipv6_underlay: bool = False,
        mtu_bytes: int = MTU,
        underlay_mtu_bytes: int = DEFAULT_MTU_BYTES,
        probe_interval_s: float = 2.0,
        workers: int = 0,
    ) -> None:
        self.count = count
        self.mtu_bytes = mtu_bytes
        self.underlay_mtu_bytes = underlay_mtu_bytes
        self.aead = aead
        self.ipv6_underlay = ipv6_underlay
        self.probe_interval_s = probe_interval_s
        self.workers = workers
        self._stack = ExitStack()
        self._next_session = 100

    def __enter__(self) -> DataPlanes:
        with ExitStack() as stack:
            self.began_at = time.monotonic()
            self.lab = stack.enter_context(Lab())
            switch = self.lab.switch(self.underlay_mtu_bytes)
            machines = [self.lab.machine(f"n{number}", switch) for number in range(self.count)]
            self.planes: list[DataPlane] = []
            for number, machine in enumerate(machines):
                plane = DataPlane(
                    machine,
                    number + 1,
                    ipv6_underlay=self.ipv6_underlay,
                    mtu_bytes=self.mtu_bytes,
                    underlay_mtu_bytes=self.underlay_mtu_bytes,
                    probe_interval_s=self.probe_interval_s,
                    workers=self.workers,
                )
                stack.callback(plane.forwarder.stop)
                self.planes.append(plane)
            for number, one in enumerate(self.planes):
                for other in self.planes[number + 1 :]:
                    self.join(one, other)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __getitem__(self, number: int) -> DataPlane:
        return self.planes[number]

    def join(self, one: DataPlane, other: DataPlane) -> None:
        """A handshake over the wire, sessions on both sides, neighbours and hosts of each other."""
        handshake(one, other, self._new_index(), self._new_index(), self.aead)
        one.neighbour(other)
        other.neighbour(one)

    def tree(self, root: DataPlane, stream: int, members: Sequence[DataPlane], *, group: str | None = None) -> None:
        """A tree on which all members are next hops of the root and deliver."""
        tree = StreamId(stream)
        root.do(c.CreateTree(tree, TreeEpoch(1), KeyId(1)))
        for member in members:
            give_key(root, member, stream, 1)
            give_place(root, member, stream, 1)
        root.do(c.SetTreeMembers(tree, tuple(NodeIndex(member.node) for member in members), ()))
        if group is not None:
            root.do(c.SetRoute(0, ip_address(group), None, tree))

    def relay_tree(
        self,
        root: DataPlane,
        stream: int,
        relay: DataPlane,
        leaves: Sequence[DataPlane],
        *,
        group: str,
        relay_delivers: bool = False,
    ) -> None:
        """A tree on which the root sends to the relay alone, and that to the leaves, which deliver."""
        tree = StreamId(stream)
        root.do(c.CreateTree(tree, TreeEpoch(1), KeyId(1)))
        for leaf in leaves:
            give_key(root, leaf, stream, 1)
            give_place(root, leaf, stream, 1, parent=relay.node)
        if relay_delivers:
            give_key(root, relay, stream, 1)
        beyond = tuple(NodeIndex(leaf.node) for leaf in leaves)
        give_place(root, relay, stream, 1, children=beyond)
        served = c.SetTreeMembers(tree, (NodeIndex(relay.node),), (), beyond)
        root.do(served, c.SetRoute(0, ip_address(group), None, tree))

    def _new_index(self) -> int:
        self._next_session += 1
        return self._next_session


def _own_threads() -> set[int]:
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


def handshake(one: DataPlane, other: DataPlane, index: int, other_index: int, aead: int) -> None:
    """INIT, RESPONSE and FINAL travel as datagrams; both sides install the session."""
    first = _native.Handshake.initiate(one.key, NETWORK, index)

    def sent_inits() -> list[e.HandshakeDatagram]:
        """Repeated, because the switch may not carry anything yet."""
        sent = first.init_datagram()
        one.do(c.SendDatagram(0, other.endpoint, sent))
        return [event for event in other.seen(e.HandshakeDatagram) if event.data == sent]

    init = wait_until(sent_inits, START_LIMIT_S, "INIT", poll_s=0.1)[0]
    second = _native.Handshake.respond(other.key, NETWORK, other_index, init.data)
    before = len(one.seen(e.HandshakeDatagram))
    other.do(c.SendDatagram(init.socket, init.source, second.write_response(b"response")))
    response = one.wait_for(e.HandshakeDatagram, before + 1)[-1]
    assert first.read_response(response.data) == b"response"
    assert second.read_final(first.write_final(b"final")) == b"final"
    one.do(session_of(first, other.node, other.endpoint, aead))
    other.do(session_of(second, one.node, one.endpoint, aead))


def session_of(handshake: _native.Handshake, node: int, endpoint: Endpoint | None, aead: int) -> c.InstallSession:
    """A finished handshake's, confirmed."""
    return c.InstallSession(
        NoiseHandshake(handshake), handshake.index, NodeIndex(node), 0, endpoint, aead, confirmed=True
    )


def give_key(root: DataPlane, member: DataPlane, stream: int, key_id: int, flow: KeyFlow | None = None) -> None:
    """Offers a key over the wire; the member takes it, for frames of this flow."""
    before = len(member.seen(e.KeyOffered))
    tree, key = StreamId(stream), KeyId(key_id)
    root.do(c.OfferKey(tree, key, NodeIndex(member.node), b"\xc0", KeyId(key_id - 1), 60_000))
    member.wait_for(e.KeyOffered, before + 1)
    member.do(AcceptKey(NodeIndex(root.node), tree, key, flow, b""))


def give_place(
    root: DataPlane,
    node: DataPlane,
    stream: int,
    epoch: int,
    *,
    parent: int | None = None,
    children: tuple[NodeIndex, ...] = (),
) -> None:
    """Sends a tree's state over the wire; the node takes its place on it. ``parent`` None: the root."""
    before = len(node.seen(e.TreeOffered))
    tree, at = StreamId(stream), TreeEpoch(epoch)
    above = NodeIndex(root.node if parent is None else parent)
    root.do(c.OfferTree(tree, at, NodeIndex(node.node), above, children=children))
    offered = node.wait_for(e.TreeOffered, before + 1)[-1]
    node.do(AcceptTree(NodeIndex(root.node), tree, at, offered.number, b""))


def mac(node: int) -> bytes:
    return b"\x02\x54" + node.to_bytes(4, "big")


def ipv4(node: int) -> str:
    return f"10.9.0.{node}"


def ipv6(node: int) -> str:
    return f"fd09::{node:x}"
