"""The lines about handshakes at debug level."""

from __future__ import annotations

from treecast.daemon.log_lines import Log
from treecast.daemon.logs import present_level
from treecast.links.trace import Trace


def log_handshakes(log: Log, trace: Trace) -> None:
    """One line for each step since the last call; without debug level they are only taken away."""
    steps, left_out = trace.take()
    if not steps or present_level() != "debug":
        return
    for one in steps:
        payload = str(one.payload) if one.payload is not None else ""
        addresses = " ".join(map(str, one.endpoints))
        fields = {"peer": one.peer, "addresses": addresses, "reason": one.reason, "payload": payload}
        log.debug(str(one.step), **{name: value for name, value in fields.items() if value})
    if left_out:
        log.debug("more handshake steps", times=left_out)
