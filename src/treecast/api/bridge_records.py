"""The answer to ``bridge``: the LANs that a running node carries."""

from __future__ import annotations

import msgspec


class Storm(msgspec.Struct, frozen=True):
    """Frames of a kind (``broadcast``, ``multicast``, ``unknown_unicast``) that a LAN may send into the overlay a
    second, None without limit; and how many were above it.
    """

    kind: str
    limit_pps: int | None
    dropped: int


class PacketPort(msgspec.Struct, frozen=True):
    """An interface that cannot be bridged, of which the node takes and gives multicast. ``port`` None: it is not open.

    ``remembered_as``: its name when it was added, while it is open. The rest as in ``Bridge``.
    """

    interface: str
    port: int | None
    state: str = ""
    forwarder: str = ""
    nodes: list[str] = []
    looped: bool = False
    keep_local: list[str] = []
    why: str = ""
    storms: list[Storm] = []
    remembered_as: str = ""


class Bridge(msgspec.Struct, frozen=True):
    """Switch mode. ``interface`` and ``bridge`` are empty where the node bridges nothing.

    ``state``: ``forwarding``, ``capable`` (another node forwards), ``silent`` (it listens, has no links, or is in a
    loop), ``down`` (its interface or bridge is gone, down, unplugged or taken apart); ``forwarder``: the node that
    carries the LAN, as far as is known (unknown while ``down``); ``nodes``: the others on it.
    """

    interface: str
    bridge: str
    state: str = ""
    forwarder: str = ""
    nodes: list[str] = []
    looped: bool = False
    """Its own beacons come back: there are two ways to this LAN."""
    packet_ports: list[PacketPort] = []
    keep_local: list[str] = []
    """Frames that stay on the LAN: ``ra``, ``dhcp``."""
    kept_local: dict[str, int] = {}
    """Frames that stayed on their LANs so far, by the same words; of packet ports too."""
    why: str = ""
    """The reason for ``state``, in words."""
    storms: list[Storm] = []
    frames_from_lan: int = 0
    """Frames by the TAP, since the node's start; those of the machine itself too."""
    frames_to_lan: int = 0
