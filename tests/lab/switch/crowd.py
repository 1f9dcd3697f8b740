"""Hosts on LANs that join and leave while all groups are sent to; afterwards, who got what is held against who asked.

A datagram says who sent it to which group, its number and when (CLOCK_MONOTONIC, which all machines share), so a
verdict does not depend on when a receiver had time to read.
"""

from __future__ import annotations

import math
import selectors
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random
from threading import Event, Thread

from lab import Machine, wait_until
from lab.lan import Lan

PORT = 5010
TICK_S = 0.05
LIMIT_S = 30.0
OF_LATE = slice(-20, -5)
"""Rounds of datagrams that were sent a moment ago: what is not there by now is not on its way either."""
DRAIN_S = 1.5  # what was sent last has come and is read by then
DATAGRAM = struct.Struct("!4sHHId")  # mark, sending LAN, group, number, sent at
MARK = b"crwd"
UNDER_WAY_S = 5.0
SO_BINDTODEVICE = 25  # asm-generic/socket.h
ETH_P_ALL = 3
BUFFER_BYTES = 2**22

Datagram = tuple[int, int, int, float]
"""Sending LAN, group, number, sent at."""


@dataclass(slots=True)
class Stay:
    """A host in a group, from its join to its leave."""

    joined: float
    left: float = float("inf")


@dataclass(slots=True)
class Listener:
    """One host: its sockets, by IP version, its memberships and what came."""

    machine: Machine
    lan: int
    sockets: dict[int, socket.socket]
    stays: dict[int, list[Stay]] = field(default_factory=dict)
    heard: Counter[Datagram] = field(default_factory=Counter)

    def is_in(self, group: int) -> bool:
        return bool(self.stays.get(group)) and self.stays[group][-1].left == float("inf")


class Crowd:
    """``run`` for a while, then read the verdicts; close at the end.

    Of three LANs, nobody on LAN 0 is ever in groups 0, 3, ..., on LAN 1 in 1, 4, ...: what it gets of those is unasked.
    """

    def __init__(self, lans: tuple[Lan, ...], groups: tuple[str, ...], seed: int) -> None:
        self.groups = groups
        self._rng = Random(seed)
        self._lans = lans
        self.listeners = [
            Listener(machine, number, {4: _listening(machine, 4), 6: _listening(machine, 6)})
            for number, lan in enumerate(lans)
            for machine in lan.hosts
        ]
        self.sniffed: list[Counter[Datagram]] = [Counter() for _ in lans]
        self._sniffers = [_sniffing(lan.hosts[0]) for lan in lans]
        self._speakers = [{4: _speaking(lan.hosts[-1], 4), 6: _speaking(lan.hosts[-1], 6)} for lan in lans]
        self.sent: list[Datagram] = []
        self._ended = Event()

    def run(self, duration_s: float, moves_per_s: float) -> None:
        threads = [Thread(target=self._speak), Thread(target=self._listen)]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + duration_s
            while time.monotonic() < end:
                self._move()
                self._ended.wait(self._rng.expovariate(moves_per_s))
            wait_until(self._all_are_served, LIMIT_S, "each host gets its groups from each LAN")
            self._leave_all()
            wait_until(self._is_quiet, LIMIT_S, "no LAN carries another's datagrams when all have left")
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        for listener in self.listeners:
            for own in listener.sockets.values():
                own.close()
        for own in (*self._sniffers, *(s for speaker in self._speakers for s in speaker.values())):
            own.close()

    def summary(self) -> str:
        """How much happened."""
        stays = [stay for one in self.listeners for group in one.stays.values() for stay in group]
        leaves = sum(stay.left < float("inf") for stay in stays)
        heard = sum(one.heard.total() for one in self.listeners)
        return f"{len(stays)} joins, {leaves} leaves, {len(self.sent)} datagrams sent, {heard} heard"

    def gaps(self) -> list[tuple[str, str, Datagram]]:
        """Datagrams that a host did not get between the first of a LAN that it got in a group and its leave."""
        lost: list[tuple[str, str, Datagram]] = []
        for listener in self.listeners:
            for group, stays in listener.stays.items():
                for lan in range(len(self._lans)):
                    sent = [datagram for datagram in self.sent if datagram[:2] == (lan, group)]
                    for stay in stays:
                        within = [d for d in sent if stay.joined <= d[3] < stay.left - 0.1]
                        first = next((d[3] for d in within if listener.heard[d]), math.inf)
                        missed = [d for d in within if d[3] >= first and not listener.heard[d]]
                        lost += [(listener.machine.name, self.groups[group], d) for d in missed]
        return lost

    def missing(self, settle_s: float) -> list[tuple[str, str, Datagram]]:
        """Datagrams that a host did not get though it had been in their group for ``settle_s`` when they were sent."""
        lost: list[tuple[str, str, Datagram]] = []
        for listener in self.listeners:
            for datagram in self.sent:
                _, group, _, sent_at = datagram
                stays = listener.stays.get(group, ())
                wanted = any(stay.joined + settle_s <= sent_at < stay.left - 0.1 for stay in stays)
                if wanted and not listener.heard[datagram]:
                    lost.append((listener.machine.name, self.groups[group], datagram))
        return lost

    def doubled(self) -> list[tuple[str, Datagram]]:
        return [(one.machine.name, d) for one in self.listeners for d, count in one.heard.items() if count > 1]

    def unasked(self, grace_s: float) -> list[tuple[str, Datagram]]:
        """Datagrams that a host got outside of its stays, or its LAN carried from another one while nobody there was in
        the group, nor had been within ``grace_s``.
        """
        found: list[tuple[str, Datagram]] = []
        for listener in self.listeners:
            found += [(listener.machine.name, d) for d in listener.heard if not _asked([listener], d, 0.0)]
        for number, seen in enumerate(self.sniffed):
            here = [listener for listener in self.listeners if listener.lan == number]
            found += [(f"LAN {number}", d) for d in seen if d[0] != number and not _asked(here, d, grace_s)]
        return found

    def _move(self) -> None:
        listener = self._rng.choice(self.listeners)
        group = self._rng.choice([n for n in range(len(self.groups)) if n % len(self._lans) != listener.lan])
        if listener.is_in(group):
            self._leave(listener, group)
        else:
            listener.stays.setdefault(group, []).append(Stay(time.monotonic()))
            _membership(listener, self.groups[group], join=True)

    def _leave(self, listener: Listener, group: int) -> None:
        _membership(listener, self.groups[group], join=False)
        listener.stays[group][-1].left = time.monotonic()

    def _leave_all(self) -> None:
        for listener in self.listeners:
            for group in filter(listener.is_in, listener.stays):
                self._leave(listener, group)

    def _of_late(self) -> list[Datagram]:
        each = len(self._lans) * len(self.groups)
        return self.sent[OF_LATE.start * each : OF_LATE.stop * each]

    def _all_are_served(self) -> bool:
        """Whether each host gets the groups that it is in, from each LAN."""
        came = [{d[:2] for d in self._of_late() if d in listener.heard} for listener in self.listeners]
        return all(
            (lan, group) in came[number]
            for number, listener in enumerate(self.listeners)
            for group in filter(listener.is_in, listener.stays)
            for lan in range(len(self._lans))
        )

    def _is_quiet(self) -> bool:
        """Whether each LAN has carried what was sent there of late, and nothing of the others."""
        return all((d in seen) == (d[0] == lan) for lan, seen in enumerate(self.sniffed) for d in self._of_late())

    def _speak(self) -> None:
        number = 0
        due = time.monotonic()
        while not self._ended.wait(max(due - time.monotonic(), 0)):
            due += TICK_S
            for lan, speaker in enumerate(self._speakers):
                for group, address in enumerate(self.groups):
                    datagram = (lan, group, number, time.monotonic())
                    self.sent.append(datagram)
                    speaker[ip_address(address).version].sendto(DATAGRAM.pack(MARK, *datagram), (address, PORT))
            number += 1

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for listener in self.listeners:
                for own in listener.sockets.values():
                    selector.register(own, selectors.EVENT_READ, listener.heard)
            for own, seen in zip(self._sniffers, self.sniffed, strict=True):
                selector.register(own, selectors.EVENT_READ, seen)
            end = float("inf")
            while time.monotonic() < end:
                if self._ended.is_set() and end == float("inf"):
                    end = time.monotonic() + DRAIN_S
                for key, _ in selector.select(0.2):
                    _read(key.fileobj, key.data)


def _read(own: object, counter: Counter[Datagram]) -> None:
    if not isinstance(own, socket.socket):
        raise TypeError("only sockets are registered")
    data, address = own.recvfrom(2048)
    if own.family == socket.AF_PACKET and address[2] == socket.PACKET_OUTGOING:
        return
    at = data.find(MARK)
    if at >= 0 and len(data) >= at + DATAGRAM.size:
        _, lan, group, number, sent_at = DATAGRAM.unpack_from(data, at)
        counter[lan, group, number, sent_at] += 1


def _asked(listeners: list[Listener], datagram: Datagram, grace_s: float) -> bool:
    """A datagram that was sent before a stay may have been on its way when that began."""
    _, group, _, sent_at = datagram
    stays = (stay for listener in listeners for stay in listener.stays.get(group, ()))
    return any(stay.joined - UNDER_WAY_S <= sent_at <= stay.left + grace_s for stay in stays)


def _membership(listener: Listener, group: str, *, join: bool) -> None:
    address = ip_address(group)
    with listener.machine.enter():
        index = socket.if_nametoindex("eth0")
    own = listener.sockets[address.version]
    if address.version == 4:
        request = address.packed + bytes(4) + index.to_bytes(4, "little")  # struct ip_mreqn (ip(7))
        own.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP if join else socket.IP_DROP_MEMBERSHIP, request)
    else:
        request = address.packed + index.to_bytes(4, "little")
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP if join else socket.IPV6_LEAVE_GROUP, request)


def _listening(machine: Machine, version: int) -> socket.socket:
    own = _udp(machine, version)
    own.bind(("", PORT))
    return own


def _speaking(machine: Machine, version: int) -> socket.socket:
    own = _udp(machine, version)
    if version == 4:
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
    else:
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 4)
        with machine.enter():
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
    return own


def _udp(machine: Machine, version: int) -> socket.socket:
    with machine.enter():
        own = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        own.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    if version == 6:
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return own


def _sniffing(machine: Machine) -> socket.socket:
    with machine.enter():
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    own.bind(("eth0", ETH_P_ALL))
    return own
