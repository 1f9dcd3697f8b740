"""Switch mode as the running node sees it: what is bridged, and how the election on that LAN stands.

The bridging itself is done by whoever runs ``treecast bridge``, with that account's rights; the node keeps none for it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from structlog.typing import FilteringBoundLogger

from treecast.adapters import clock
from treecast.adapters.bridge_record import BridgeRecord, load_record
from treecast.adapters.interface import lan_ipv4
from treecast.api.records import Bridge
from treecast.base.addresses import MacAddress
from treecast.base.errors import OperatorError
from treecast.base.keep_local import WORDS
from treecast.base.lan import BridgedLan
from treecast.daemon.node import RunningNode
from treecast.daemon.packet_ports import PacketPorts
from treecast.identity.network import Network
from treecast.multicast import TAP


class Bridging:
    """``reread`` after somebody has changed the node's ``bridge.json``."""

    def __init__(
        self,
        directory: Path,
        network: Network,
        node: RunningNode,
        packet_ports: PacketPorts,
        log: FilteringBoundLogger,
    ) -> None:
        self._directory = directory
        self._network = network
        self._node = node
        self._packet_ports = packet_ports
        self._log = log
        self._record: BridgeRecord | None = None

    def reread(self) -> None:
        """Share the TAP with the LAN that the file names, or take it back; open and close packet ports."""
        try:
            record = load_record(self._directory)
            self._packet_ports.reread()
        except OperatorError as error:
            self._log.warning("bridge not known", reason=str(error))
            return
        before, self._record = self._record, record
        if record is not None and before is None:
            self._node.share_port(record.bridge, self._lan(record))
            self._log.info("bridged", interface=record.interface, bridge=record.bridge)
        elif record is not None:
            self._node.ask_hosts()
        elif before is not None:
            self._node.own_port()
            self._log.info("no longer bridged", interface=before.interface)

    def _lan(self, record: BridgeRecord) -> BridgedLan:
        """Its addresses may be still on the interface, or on the bridge already."""
        ipv4 = lan_ipv4((record.interface, record.bridge), self._network.ipv4)
        return BridgedLan(MacAddress.parse(record.mac), ipv4, record.limits(), record.kept())

    def port_names(self) -> dict[int, str]:
        """The interface of each port."""
        return {TAP: self._node.plane.interface, **self._packet_ports.names()}

    def answer(self) -> Bridge:
        """As ``bridge show`` has it."""
        engine = self._node.engine
        states = {state.port: state for state in engine.listener.ports(clock.monotonic())}
        packet_ports = self._packet_ports.answer(states)
        if self._record is None:
            return Bridge(interface="", bridge="", packet_ports=packet_ports, kept_local=self._kept_local())
        here = Bridge(
            interface=self._record.interface,
            bridge=self._record.bridge,
            packet_ports=packet_ports,
            keep_local=list(self._record.kept().words()),
            kept_local=self._kept_local(),
        )
        state = states.get(TAP)
        if state is None:
            return here
        return msgspec.structs.replace(
            here,
            state=state.state.name.lower(),
            forwarder=engine.nodes.name(state.forwarder) if state.forwarder is not None else "",
            nodes=[engine.nodes.name(node) for node in state.nodes],
            looped=state.looped,
        )

    def _kept_local(self) -> dict[str, int]:
        """Frames by word, on all ports."""
        drops = self._node.plane.drops()
        return {word: drops.get(f"kept_local_{word}", 0) for word in WORDS}
