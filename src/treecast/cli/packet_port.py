"""``bridge add --packet``: an interface that cannot be bridged."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import typer

from treecast.adapters.bridge_record import PacketPortRecord, load_packet_ports, load_record
from treecast.adapters.netdevice import index_of
from treecast.adapters.packet_port import add_packet_port, remove_packet_port
from treecast.adapters.sysfs import distinct_mac
from treecast.api.client import fetch_bridge, fetch_status
from treecast.api.handover import hand_over
from treecast.base.errors import OperatorError
from treecast.base.keep_local import KeepLocal


def remembered_name(directory: Path, interface: str) -> str:
    """The name under which ``bridge.json`` has a packet port that is called ``interface`` now, as the running node
    knows; otherwise ``interface``.
    """
    with suppress(OperatorError):  # the node does not run
        for port in fetch_bridge(directory).packet_ports:
            if port.interface == interface and port.remembered_as:
                return port.remembered_as
    return interface


def remove(directory: Path, interface: str) -> str | None:
    """Forgets the packet port that the operator calls so, and returns the name that its interface has now; None when
    that is none. OperatorError.
    """
    found = _port_called(directory, interface)
    if found is None:
        return None
    remembered, now = found
    return now if remove_packet_port(directory, remembered) else None


def _port_called(directory: Path, interface: str) -> tuple[str, str] | None:
    """The name that ``bridge.json`` has for it, and the one that it has now. Present names go before remembered ones,
    which may be another interface's by now.
    """
    now: dict[str, str] = {}
    with suppress(OperatorError):  # the node does not run
        now = {port.remembered_as: port.interface for port in fetch_bridge(directory).packet_ports}
        now.pop("", None)  # not open
    for remembered, name in now.items():
        if name == interface:
            return remembered, name
    bridged = load_record(directory)
    if bridged is not None and bridged.interface_now == interface:
        return None
    records = load_packet_ports(directory)
    closed = [record for record in records if record.interface not in now]
    claims = [(record.claim(interface), record.interface) for record in closed]
    claim, remembered = max(claims, default=(0, ""))
    if claim:
        return remembered, interface
    if interface in now and not index_of(interface):
        return interface, now[interface]
    return None


def add(directory: Path, interface: str, multicast_pps: int | None, keep_local: KeepLocal) -> None:
    """Opens the port on the running node; OperatorError, and all remembered as it was, when that does not do it."""
    tap = fetch_status(directory).interface
    before = remembered_name(directory, interface)
    renamed_from = before if before != interface else ""  # the node remembers its new name
    record = PacketPortRecord(interface, multicast_pps, keep_local.words(), distinct_mac(interface))

    def have_opened(descriptor: int) -> None:
        hand_over(directory, interface, descriptor)
        answer = fetch_bridge(directory, changed=True)
        if not any(port.interface == interface and port.port is not None for port in answer.packet_ports):
            raise OperatorError(f"the node did not open {interface}: its log says why")

    try:
        added = add_packet_port(directory, tap, record, have_opened, instead_of=renamed_from)
    except OperatorError:
        with suppress(OperatorError):  # the first error counts
            fetch_bridge(directory, changed=True)
        raise
    typer.echo(
        f"{interface} is a packet port: multicast of its LAN is carried, nothing of its own is changed"
        if added
        else f"{interface} is a packet port already, and was opened anew"
    )
