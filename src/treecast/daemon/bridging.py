"""Switch mode as the running node sees it: what is bridged, and how the election on that LAN stands.

The bridging itself is done by whoever runs ``treecast bridge``, with that account's rights; the node keeps none for it.
"""

from __future__ import annotations

from pathlib import Path

from structlog.typing import FilteringBoundLogger

from treecast.adapters import clock
from treecast.adapters.bridge import BridgeRecord, load_record
from treecast.api.records import Bridge
from treecast.base.addresses import MacAddress
from treecast.base.errors import OperatorError
from treecast.daemon.node import RunningNode


class Bridging:
    """``reread`` after somebody has changed the node's ``bridge.json``."""

    def __init__(self, directory: Path, node: RunningNode, log: FilteringBoundLogger) -> None:
        self._directory = directory
        self._node = node
        self._log = log
        self._record: BridgeRecord | None = None

    def reread(self) -> None:
        """Share the TAP with the LAN that the file names, or take it back."""
        try:
            record = load_record(self._directory)
        except OperatorError as error:
            self._log.warning("bridge not known", reason=str(error))
            return
        before, self._record = self._record, record
        if record is not None and before is None:
            self._node.share_port(record.bridge, MacAddress.parse(record.mac), record.limits())
            self._log.info("bridged", interface=record.interface, bridge=record.bridge)
        elif record is not None:
            self._node.ask_hosts()
        elif before is not None:
            self._node.own_port()
            self._log.info("no longer bridged", interface=before.interface)

    def answer(self) -> Bridge:
        """As ``bridge show`` has it."""
        if self._record is None:
            return Bridge(interface="", bridge="")
        engine = self._node.engine
        for port in engine.listener.ports(clock.monotonic()):
            return Bridge(
                interface=self._record.interface,
                bridge=self._record.bridge,
                state=port.state.name.lower(),
                forwarder=engine.nodes.name(port.forwarder) if port.forwarder is not None else "",
                nodes=[engine.nodes.name(node) for node in port.nodes],
                looped=port.looped,
            )
        return Bridge(interface=self._record.interface, bridge=self._record.bridge)
