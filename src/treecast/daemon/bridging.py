"""Switch mode as the running node sees it: what is bridged, and how the election on that LAN stands.

The bridging itself is done by whoever runs ``treecast bridge``, with that account's rights; the node keeps none for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path

import msgspec

from treecast.adapters import clock
from treecast.adapters.bridge_record import BridgeRecord, load_record
from treecast.adapters.interface import lan_addresses
from treecast.adapters.netdevice import IFF_UP, flags_of
from treecast.api.bridge_records import Bridge
from treecast.base.addresses import MacAddress
from treecast.base.errors import OperatorError
from treecast.base.keep_local import WORDS
from treecast.base.lan import BridgedLan
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.daemon.lan_faults import (
    GRACE,
    changed,
    ipv6_switched_off,
    lan_down,
    port_filters,
    port_silent,
    renamed,
    taken_apart,
)
from treecast.daemon.lan_words import state_of, storms_of
from treecast.daemon.log_lines import Log
from treecast.daemon.node import RunningNode
from treecast.daemon.packet_ports import PacketPorts
from treecast.identity.network import Network
from treecast.multicast import TAP

CLIENT_TIME: Duration = 5.0
"""A DHCP client that begins takes the old address away first."""


class Bridging:
    """``reread`` after somebody has changed the node's ``bridge.json``."""

    def __init__(
        self,
        directory: Path,
        network: Network,
        node: RunningNode,
        packet_ports: PacketPorts,
        log: Log,
    ) -> None:
        self._directory = directory
        self._network = network
        self._node = node
        self._packet_ports = packet_ports
        self._log = log
        self._record: BridgeRecord | None = None
        self._last_address: IPv4Interface | None = None
        """This machine's on the LAN, while it is bridged."""

    def reread(self) -> None:
        """Share the TAP with the LAN that the file names, or take it back; open and close packet ports."""
        try:
            record = load_record(self._directory)
            self._packet_ports.reread()
        except OperatorError as error:
            self._log.warning("bridge not known", reason=str(error))
            return
        before, self._record = self._record, record
        self._name_port()
        self._node.identify_port(TAP, "own" if record is None else f"lan {record.mac}")
        if record is not None and before is None:
            self._node.enter_switch_mode(record.bridge, self._lan(record))
            self._last_address = self._address
            self._log.info("bridged", interface=record.interface_now, bridge=record.bridge)
        elif record is not None:
            self._node.restart_startup_queries()
        elif before is not None:
            self._last_address = None
            self._node.leave_switch_mode()
            self._log.info("no longer bridged", interface=before.interface_now)

    def _name_port(self) -> None:
        """Names the port by the LAN's interface, which may be renamed at any time."""
        now = self._record.interface_now if self._record is not None else self._node.plane.interface
        self._node.engine.name_port(TAP, now)

    def _lan(self, record: BridgeRecord) -> BridgedLan:
        """Its addresses may be still on the interface, or on the bridge already."""
        found = lan_addresses((record.interface_now, record.bridge), self._network.ipv4)
        return BridgedLan(MacAddress.parse(record.mac), found, record.limits(), record.kept())

    @property
    def lan_addresses(self) -> tuple[IPv4Interface, ...]:
        """This machine's own addresses on the LAN that it is bridged to."""
        return self._node.lan_addresses

    @property
    def _address(self) -> IPv4Interface | None:
        """The first of these."""
        return next(iter(self.lan_addresses), None)

    def port_names(self) -> dict[int, str]:
        """The interface of each port."""
        return {TAP: self._node.plane.interface, **self._packet_ports.names()}

    @property
    def bridge(self) -> str:
        """The bridge that the TAP is to be in; empty for none."""
        return self._record.bridge if self._record is not None else ""

    @property
    def is_on(self) -> bool:
        """Whether the TAP is to be in a bridge."""
        return self._record is not None

    def problems(self, _: Instant) -> Iterator[Problem]:
        """The bridge is not as ``bridge.json`` has it, or its LAN not there. While it is being made, that is none."""
        record = self._record
        if record is None:
            return
        self._name_port()
        interface = record.interface_now
        tap = self._node.plane.interface
        fault = taken_apart(record, interface, tap) or changed(record)
        yield from self._broken(interface, fault)
        port = port_silent(interface, tap) or port_filters(interface, tap) or ipv6_switched_off(record, interface)
        if port and not fault and flags_of(record.bridge) & IFF_UP:
            yield Problem("bridge_broken", interface, port, patience=GRACE)
        if interface != record.interface:
            yield renamed(self._directory, record.interface, interface)
        yield from lan_down(interface, record.bridge)
        if not fault:
            yield from self._address_lost(record.bridge)

    def _address_lost(self, bridge: str) -> Iterator[Problem]:
        """An IPv4 address on the LAN that this machine had since it is bridged."""
        self._last_address = self._address or self._last_address
        if self._address is None and self._last_address is not None:
            text = f"{bridge} has lost {self._last_address}, this machine's address on the LAN"
            advice = f"run its DHCP client on {bridge}, or, where it was static, add it to {bridge} again"
            yield Problem("lan_address_lost", bridge, f"{text}: {advice}", patience=CLIENT_TIME)

    def _broken(self, interface: str, fault: str) -> Iterator[Problem]:
        """``fault``: a sentence's beginning, empty for none."""
        if fault:
            again = f"run treecast bridge add {self._directory} {interface}, which mends it or says why not"
            yield Problem("bridge_broken", interface, f"{fault}: {again}", patience=GRACE)

    def _not_carried(self, record: BridgeRecord, interface: str) -> Iterator[Problem]:
        """Problems that keep the LAN from being carried at all."""
        yield from self._broken(interface, taken_apart(record, interface, self._node.plane.interface))
        yield from lan_down(interface, record.bridge)
        silent = port_silent(interface, self._node.plane.interface)
        if silent:
            yield Problem("bridge_broken", interface, silent)

    def answer(self) -> Bridge:
        """The bridge for ``bridge show``."""
        view = self._node.engine.view
        states = {state.port: state for state in view.lans(clock.monotonic())}
        packet_ports = self._packet_ports.answer(states)
        if self._record is None:
            return Bridge(interface="", bridge="", packet_ports=packet_ports, kept_local=self._kept_local())
        interface = self._record.interface_now
        here = Bridge(
            interface=interface,
            bridge=self._record.bridge,
            packet_ports=packet_ports,
            keep_local=list(self._record.kept().words()),
            kept_local=self._kept_local(),
        )
        state = states.get(TAP)
        if state is None:
            return here
        counters, name = self._node.plane.counters(), view.name
        shown, why, forwarder = state_of(state, name, self._not_carried(self._record, interface))
        return msgspec.structs.replace(
            here,
            state=shown,
            why=why,
            storms=storms_of(self._record.limits(), self._node.plane.storm_refused(TAP)),
            frames_from_lan=counters["tap_rx_frames"],
            frames_to_lan=counters["tap_tx_frames"],
            forwarder=forwarder,
            nodes=[name(node) for node in state.nodes],
            looped=state.looped,
        )

    def _kept_local(self) -> dict[str, int]:
        """Frames by word, on all ports."""
        drops = self._node.plane.drops()
        return {word: drops.get(f"kept_local_{word}", 0) for word in WORDS}
