"""Nodes that tell each other of their hosts, late and out of order, agree in the end on where each host spoke last."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.base.commands import Command, RemoveHost, SetHost
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.discovery.certified import Given
from treecast.discovery.discovery import Discovery
from treecast.discovery.limits import DEFAULTS, DiscoveryConfig
from treecast.discovery.local_hosts import HostKey
from treecast.identity.ids import node_mac
from treecast.wire import arp, ethernet
from treecast.wire.advertisement import HostContent
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType

HOSTS = [MacAddress(bytes((2, 0, 0, 0, 0, number))) for number in range(3)]
ADDRESSES = [IPv4Address("10.1.0.0") + number for number in range(3)]
MAX_HOSTS = 3


class Node:
    """One Discovery, what it publishes as versioned records, and what its data plane was told."""

    def __init__(self, index: int, config: DiscoveryConfig) -> None:
        self.index = NodeIndex(index)
        self.drops = Drops()
        self.discovery = Discovery(self.index, self.drops, config)
        self.table: dict[HostKey, NodeIndex] = {}
        self.records: dict[HostKey, list[HostContent | None]] = {}
        """Every version of each, the newest last."""
        self.seen: dict[tuple[NodeIndex, HostKey], int] = {}
        self.advertisements = 0

    def settle(self) -> None:
        for change in self.discovery.changes():
            versions = self.records.setdefault(change.key, [None])
            if change.content != versions[-1]:
                versions.append(change.content)
                self.advertisements += 1
        for command in self.discovery.commands:
            self._do(command)
        self.discovery.commands.clear()

    def _do(self, command: Command) -> None:
        match command:
            case SetHost(vlan, mac, peer):
                self.table[(vlan, mac)] = peer
            case RemoveHost(vlan, mac):
                self.table.pop((vlan, mac), None)

    def speak(self, now: Instant, mac: MacAddress, address: IPv4Address, port: int) -> None:
        """One of its hosts announces itself."""
        payload = arp.emit(ArpPacket(ArpOperation.REQUEST, mac, address, MacAddress(bytes(6)), address))
        frame = EthernetFrame(BROADCAST_MAC, mac, EtherType.ARP, payload)
        self.discovery.receive(now, port, frame, ethernet.emit(frame))
        self.settle()

    def hear(self, now: Instant, origin: Node, key: HostKey, version: int) -> None:
        """A version of a record has come, whatever was lost before it; nothing older counts after it."""
        if self.seen.get((origin.index, key), 0) < version:
            self.seen[(origin.index, key)] = version
            self.discovery.learn(now, origin.index, key, origin.records[key][version])
            self.settle()

    def owner(self, key: HostKey) -> NodeIndex | None:
        return self.index if self.discovery.local_hosts().get(key) else self.table.get(key)


class Network(RuleBasedStateMachine):
    """Four nodes; hosts speak anywhere; records travel one by one, in any order."""

    config = replace(DEFAULTS, max_moves=10_000)

    @initialize()
    def begin(self) -> None:
        self.now = Instant(100.0)
        self.nodes = [Node(index, self.config) for index in (1, 2, 3, 4)]
        for node in self.nodes:
            for other in self.nodes:
                node.discovery.certify(self.now, other.index, Given(node_mac(other.index), (), bridges=True))
        self.last: dict[MacAddress, tuple[Node, IPv4Address]] = {}

    @rule(at=st.integers(0, 3), host=st.sampled_from(HOSTS), address=st.sampled_from(ADDRESSES), port=st.integers(0, 1))
    def speak(self, at: int, host: MacAddress, address: IPv4Address, port: int) -> None:
        self.last[host] = (self.nodes[at], address)
        self.nodes[at].speak(self.now, host, address, port)

    @rule(origin=st.integers(0, 3), hearer=st.integers(0, 3), host=st.sampled_from(HOSTS), late=st.integers(0, 2))
    def travel(self, origin: int, hearer: int, host: MacAddress, late: int) -> None:
        """A record comes that may be older than what its origin says by now."""
        if origin != hearer and (0, host) in self.nodes[origin].records:
            version = max(0, len(self.nodes[origin].records[(0, host)]) - 1 - late)
            self.nodes[hearer].hear(self.now, self.nodes[origin], (0, host), version)

    @rule(seconds=st.sampled_from((0.1, 1.0, 100.0, 301.0)))
    def wait(self, seconds: float) -> None:
        self.now = Instant(self.now + seconds)
        for node in self.nodes:
            node.discovery.advance(self.now)
            node.settle()

    @rule()
    def all_arrives(self) -> None:
        self._deliver()
        self._agree()

    @rule(host=st.sampled_from(HOSTS))
    def all_arrives_and_a_host_speaks_once_more(self, host: MacAddress) -> None:
        """The node knows the sequence of the others' claims by then: the host is where it spoke last, for all nodes."""
        if host not in self.last:
            return
        self._deliver()
        node, address = self.last[host]
        node.speak(self.now, host, address, 0)
        self._deliver()
        assert [other.owner((0, host)) for other in self.nodes] == [node.index] * 4
        for other in self.nodes:
            if other is not node:
                assert other.discovery.holder(0, address) == (0, host)

    def _deliver(self) -> None:
        """Everything, again and again, until nothing is new: it must come to rest, and no host is lost by it."""
        held = {key for node in self.nodes for key, _ in node.discovery.local_hosts().items()}
        for _ in range(20):
            before = sum(node.advertisements for node in self.nodes)
            on_their_way = [
                (hearer, origin, key, len(origin.records[key]) - 1)
                for hearer in self.nodes
                for origin in self.nodes
                for key in sorted(origin.records)
                if origin is not hearer
            ]
            for hearer, origin, key, version in on_their_way:
                hearer.hear(self.now, origin, key, version)
            if sum(node.advertisements for node in self.nodes) == before:
                assert all(self.nodes[0].owner(key) is not None for key in held)
                return
        raise AssertionError("the nodes do not come to rest")

    def _agree(self) -> None:
        for host in HOSTS:
            owners = Counter(node.owner((0, host)) for node in self.nodes)
            assert len(owners) == 1, owners
            claims = [node for node in self.nodes if node.records.get((0, host), [None])[-1] is not None]
            assert len(claims) <= 1

    @invariant()
    def tables_are_consistent_and_bounded(self) -> None:
        for node in getattr(self, "nodes", []):
            local = node.discovery.local_hosts()
            for key, host in local.items():
                assert key not in node.table
                assert all(local.holder(0, address) == key for address in host.addresses)
            remote = {key: claim.node for key, claim in node.discovery.remote_hosts().items()}
            assert node.table == {key: peer for key, peer in remote.items() if local.get(key) is None}
            assert len(local.items()) <= len(HOSTS)
            hosts = dict(local.items())
            assert all(local.holder(0, address) in (None, *hosts) for address in ADDRESSES)
            assert dict(local.ports()) == Counter(host.port for host in hosts.values())
            ends = [host.last_received + self.config.host_lifetime for host in hosts.values()]
            ends += [at + self.config.address_lifetime for host in hosts.values() for at in host.addresses.values()]
            assert local.next_deadline() == min(ends, default=None)


class DampedNetwork(Network):
    """The same with damping: nodes agree on one owner, though perhaps not on the last place."""

    config = DEFAULTS

    @rule(host=st.sampled_from(HOSTS))
    def all_arrives_and_a_host_speaks_once_more(self, host: MacAddress) -> None:
        self._deliver()
        self._agree()

    @rule(host=st.sampled_from(HOSTS), address=st.sampled_from(ADDRESSES))
    def a_host_behind_two_lans(self, host: MacAddress, address: IPv4Address) -> None:
        """Two nodes hear the host in turn: after a few moves it stays, and the network is told nothing more."""
        self.wait(400.0)
        for turn in range(12):
            self.nodes[turn % 2].speak(self.now, host, address, 0)
            self._deliver()
        before = sum(node.advertisements for node in self.nodes)
        for turn in range(12):
            self.nodes[turn % 2].speak(self.now, host, address, 0)
            self._deliver()
        assert sum(node.advertisements for node in self.nodes) == before
        self._agree()
        assert all(
            view.duplicate
            for node in self.nodes[:2]
            for view in filter(None, node.discovery.hosts(self.now))
            if (view.vlan, view.mac) == (0, host)
        )


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
TestDampedNetwork = DampedNetwork.TestCase
TestDampedNetwork.settings = settings(max_examples=40, stateful_step_count=30, deadline=None, derandomize=True)
