"""Switch mode as the running node sees it: what is bridged, and how the election on that LAN stands.

The bridging itself is done by whoever runs ``treecast bridge``, with that account's rights; the node keeps none for it.
"""

from __future__ import annotations

from pathlib import Path

from structlog.typing import FilteringBoundLogger

from treecast.adapters.bridge import BridgeRecord, load_record
from treecast.api.records import Bridge
from treecast.base.errors import OperatorError


class Bridging:
    """``reread`` after somebody has changed the node's ``bridge.json``."""

    def __init__(self, directory: Path, log: FilteringBoundLogger) -> None:
        self._directory = directory
        self._log = log
        self._record: BridgeRecord | None = None

    def reread(self) -> None:
        try:
            record = load_record(self._directory)
        except OperatorError as error:
            self._log.warning("bridge not known", reason=str(error))
            return
        if (record is None) != (self._record is None):
            shown = record or self._record
            event = "bridged" if record is not None else "no longer bridged"
            self._log.info(event, interface=shown.interface if shown else "", bridge=shown.bridge if shown else "")
        self._record = record

    def answer(self) -> Bridge:
        if self._record is None:
            return Bridge(interface="", bridge="")
        return Bridge(interface=self._record.interface, bridge=self._record.bridge)
