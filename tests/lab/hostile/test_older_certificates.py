"""A member that was renewed without the role bridge shows that certificate and the one before by turns."""

from __future__ import annotations

import socket
import time

from lab import wait_until
from lab.load import Sender
from lab.node import INTERFACE, PORT
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.session import Session
from tests.hostile_speaker.speaker import Speaker
from tests.lab.hostile import test_fair_turns as fair
from tests.lab.hostile.hostility import LIMIT_S, Hostility, counted, problems
from tests.lab.overlay.asking import peers_up
from treecast.adapters.storage import renew_node
from treecast.identity.rights import Role

HOSTS = 300
TURNS = 100
AT_A_TIME = 10


def showing(speaker: Speaker, certificate: bytes) -> bytes:
    """The next NODE advertisement, with this certificate."""
    address, port = speaker.own.getsockname()
    content = wire.node_content(certificate, (socket.inet_aton(address), port), b"12345678", speaker.epoch, 0)
    return speaker.advertise(wire.NODE, b"", content)


def wait_acknowledged(session: Session, *advertisements: bytes) -> None:
    """Sent until the node has acknowledged each."""
    left = {tuple(wire.advertisement_name(one)): one for one in advertisements}

    def is_done() -> bool:
        for tag, names, *_ in list(session.messages):
            for name in names if tag == wire.ACKNOWLEDGE and isinstance(names, list) else ():
                left.pop(tuple(name), None)
        session.flood(*list(left.values())[:AT_A_TIME])
        return not left

    wait_until(is_done, LIMIT_S, "all are acknowledged", poll_s=0.02)


def test_who_shows_two_certificates_by_turns_has_the_rights_of_the_newer_and_stops_nobody(
    hostility: Hostility,
) -> None:
    n0 = hostility.net[0]
    stream = Sender(n0.machine, fair.JOINED, fair.PORT, interface=INTERFACE, rate_pps=fair.RATE_PPS)
    member = hostility.admit("twofaced", "eve", Role.BRIDGE | Role.RELAY)
    older, directory = member.certificate, hostility.directory / "twofaced"
    newer = renew_node(hostility.net.network, directory, "twofaced", 30, Role.RELAY, time.time()).encode()
    with hostility.speaker(member) as speaker, hostility.linked(speaker, n0) as (session,):
        hosts = [wire.host_key(0, b"\x02\x00\x00\x01" + number.to_bytes(2, "big")) for number in range(HOSTS)]
        claims = [speaker.advertise(wire.HOST, key, wire.encode([[], 0, 0])) for key in hosts]
        wait_acknowledged(session, showing(speaker, older))
        wait_acknowledged(session, *claims)
        refused = counted(n0, "claim_without_role")
        for _ in range(TURNS):
            session.flood(showing(speaker, newer), showing(speaker, older))
        wait_acknowledged(session, showing(speaker, older))
        assert counted(n0, "claim_without_role") == refused + HOSTS, "they are judged anew once"
        again = speaker.connect((n0.machine.underlay_ipv4, PORT))
        wait_acknowledged(again, showing(speaker, older))
        assert counted(n0, "claim_without_role") == refused + HOSTS
        expected = {("claims_without_role", "twofaced"), ("older_certificate", "twofaced")}
        wait_until(lambda: expected <= problems(n0), LIMIT_S, "both problems", poll_s=0.1)
        assert fair.joins_ms(hostility)
        assert {"n1", "n2"} <= set(peers_up(n0))
    stream.stop()
