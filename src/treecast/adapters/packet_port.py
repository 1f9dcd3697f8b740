"""Packet ports: interfaces that cannot be bridged, like Wi-Fi stations. What is opened, and what is remembered.

A packet socket needs rights that the node has given up (CAP_NET_RAW). Whoever runs the verb opens it and hands it to
the node; ``up`` opens those of ``bridge.json`` before it gives its rights up. To put it on an interface needs none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from pyroute2 import IPRoute

from treecast.adapters.bridge_record import (
    PacketPortRecord,
    load_packet_ports,
    load_record,
    locked,
    write_packet_ports,
)
from treecast.adapters.link import refusals, require_free, require_lan_interface
from treecast.adapters.native import open_packet_socket, open_unbound_packet_socket
from treecast.base.errors import OperatorError
from treecast.base.limits import MAX_PACKET_PORTS


def add_packet_port(
    directory: Path, tap: str, record: PacketPortRecord, hand_over: Callable[[int], None], *, instead_of: str = ""
) -> bool:
    """Opens the socket, remembers the port and hands the socket over; False when it was remembered. OperatorError, and
    then what was remembered before is remembered as it was.

    One that is remembered already is opened and handed over anew. ``instead_of``: the name under which it may be.
    """
    with locked(directory):
        before = load_packet_ports(directory)
        _require_usable(directory, tap, record.interface)
        kept = [known for known in before if known.interface != instead_of and not _is_replaced(known, record)]
        others = _apart(kept, record.interface)
        if len(others) == MAX_PACKET_PORTS:
            raise OperatorError(f"this node has {MAX_PACKET_PORTS} packet ports already: remove one first")
        descriptor = open_packet_socket(record.interface)
        try:
            write_packet_ports(directory, [*others, record])
            try:
                hand_over(descriptor)
            except OperatorError:
                write_packet_ports(directory, before)
                raise
        finally:
            os.close(descriptor)
    return others == before


def _is_replaced(known: PacketPortRecord, record: PacketPortRecord) -> bool:
    """Whether both are the same interface, which may have been renamed in between."""
    now = known.interfaces_now()
    return record.interface in now if now else known.interface == record.interface


def _apart(others: list[PacketPortRecord], name: str) -> list[PacketPortRecord]:
    """The other ports, none of them called ``name``, which becomes another's: one that has swapped names with it goes
    by its own name now, and so on.
    """
    for known in others:
        if known.interface == name:
            left = [other for other in others if other is not known]
            now = known.interfaces_now()
            if not now or now[0] == name:
                return left
            return [msgspec.structs.replace(known, interface=now[0]), *_apart(left, now[0])]
    return others


def remove_packet_port(directory: Path, interface: str) -> bool:
    """Remembers it no more; False when there is none on this interface. OperatorError."""
    with locked(directory):
        before = load_packet_ports(directory)
        left = [known for known in before if known.interface != interface]
        if left != before:
            write_packet_ports(directory, left)
        return left != before


def open_remembered(directory: Path) -> tuple[dict[str, int], list[str]]:
    """Sockets for the remembered ports by interface, the caller's to close, and a sentence for each that failed. They
    are on no interface yet: one may not be there, or be called otherwise.
    """
    descriptors: dict[str, int] = {}
    notes: list[str] = []
    for record in load_packet_ports(directory):
        try:
            descriptors[record.interface] = open_unbound_packet_socket()
        except OperatorError as error:
            notes.append(str(error))
    return descriptors, notes


def _require_usable(directory: Path, tap: str, interface: str) -> None:
    with refusals(f"look at {interface}"), IPRoute() as ipr:
        record = load_record(directory)
        made = (record.bridge, record.interface) if record is not None else ("", "")
        link = require_lan_interface(ipr, interface, tap, *made)
        if record is not None and record.is_of(interface):
            raise OperatorError(f"this node bridges {interface} already: remove that first")
        require_free(ipr, link)
