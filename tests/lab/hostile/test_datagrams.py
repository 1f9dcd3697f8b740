"""Datagrams at the UDP port from a machine without identity: each is counted under its reason and changes nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from lab.node import PORT
from tests.lab.hostile.siege import OUTSIDER_PORT, Siege, answers, counting, judged
from tests.lab.hostile.verdicts import HANDSHAKE_LENGTH, of_altered, of_noise
from tests.lab.overlay.asking import drops
from tests.lab.overlay.captured import FINAL, INIT, RESPONSE, SESSION, TREE, Datagram, stream_trees
from treecast import _native
from treecast.adapters.noise import native_network
from treecast.adapters.storage import load_network

LONGEST = 1472  # that an underlay of 1500 bytes carries in one packet
EACH_KIND = (INIT, RESPONSE, FINAL, SESSION, TREE)


def garbage(rng: random.Random) -> Iterator[bytes]:
    """All lengths, all first bytes; those of our own kinds with right and wrong second bytes."""
    for length in range(LONGEST + 1):
        yield rng.randbytes(length)
    for first in range(256):
        for length in (1, 16, 100):
            yield bytes((first,)) + rng.randbytes(length - 1)
    for first in EACH_KIND:
        for length in (4, 8, 20, 35, 36, 55, 56, 87, 88, 123, 124, 511, 1000, 1135, 1136, 1137, 1452, 1453):
            for start in (b"\0\0\0", b"\1\0\0", b"\0\0\1"):
                yield bytes((first,)) + start + rng.randbytes(length - 4)
    yield rng.randbytes(9000)  # fragments of IP, put together again
    yield bytes(9000)


def to_n1(siege: Siege, kind: int) -> list[Datagram]:
    """Genuine datagrams of a kind that came to n1, oldest first."""
    own = siege.net[1].machine.underlay_ipv4
    return [d for d in siege.captured if d.kind == kind and d.destination == own and d.destination_port == PORT]


def from_n1(siege: Siege, kind: int) -> list[Datagram]:
    own = siege.net[1].machine.underlay_ipv4
    return [d for d in siege.captured if d.kind == kind and d.source == own and d.source_port == PORT]


def genuine_handshakes(siege: Siege) -> list[Datagram]:
    return [d for kind in (INIT, RESPONSE, FINAL) for d in to_n1(siege, kind)]


def test_garbage_of_all_lengths_and_first_bytes_is_counted_by_what_is_wrong_with_it(siege: Siege) -> None:
    thrown = list(garbage(random.Random(1)))
    victim = siege.net[1]
    with siege.undisturbed(), siege.open_socket() as own, counting(victim, Counter(map(of_noise, thrown))):
        siege.throw(own, victim, thrown)


def test_truncated_and_bit_flipped_copies_of_real_datagrams_are_counted_and_change_nothing(siege: Siege) -> None:
    rng = random.Random(2)
    sessions, trees = to_n1(siege, SESSION), stream_trees(to_n1(siege, TREE))
    real = [*genuine_handshakes(siege), min(sessions, key=lambda d: len(d.payload)), sessions[-1], trees[0], trees[-1]]
    assert {d.kind for d in real} >= {SESSION, TREE}
    thrown: list[bytes] = []
    expected: Counter[str] = Counter()
    for genuine in (datagram.payload for datagram in real):
        altered = [genuine[:length] for length in range(0, len(genuine), 1 + len(genuine) // 150)]
        positions = [
            *range(min(64, len(genuine))),
            *range(64, len(genuine), 11),
            *range(len(genuine) - 24, len(genuine)),
        ]
        for position in positions:
            copy = bytearray(genuine)
            copy[position] ^= 1 << rng.randrange(8)
            altered.append(bytes(copy))
        if genuine[0] == INIT:  # its cookie is not looked at
            altered = [copy for copy in altered if copy[:-16] != genuine[:-16]]
        thrown += altered
        expected.update(of_altered(copy, genuine) for copy in altered)
    victim = siege.net[1]
    with siege.undisturbed(), counting(victim, expected):
        siege.forge(victim, [(real[0].source, PORT, datagram) for datagram in thrown])


def test_replayed_datagrams_are_counted_from_whatever_address_they_come(siege: Siege) -> None:
    """Tree datagrams from an address of no session are not even looked into."""
    sessions, trees = to_n1(siege, SESSION), stream_trees(to_n1(siege, TREE))[-300:]
    victim = siege.net[1]
    expected = Counter({"session_replay": 2 * len(sessions), "tree_replay": len(trees), "tree_rpf": len(trees)})
    replayed = [*sessions, *trees]
    with siege.undisturbed(), counting(victim, expected), siege.open_socket() as own:
        siege.forge(victim, [(d.source, d.source_port, d.payload) for d in replayed])
        siege.throw(own, victim, [d.payload for d in replayed])


def test_replayed_handshakes_make_no_peer_and_move_none(siege: Siege) -> None:
    late = [d for kind in (RESPONSE, FINAL) for d in to_n1(siege, kind)]
    inits = [*to_n1(siege, INIT), *from_n1(siege, INIT)]
    assert inits
    victim = siege.net[1]
    with siege.undisturbed():
        before = drops(victim)
        siege.forge(victim, [(d.source, d.source_port, d.payload) for d in late])
        assert judged(victim, before).keys() <= {"handshake_unknown"}, "too late, or a repetition, which is no drop"
        with siege.open_socket() as own:
            for init in inits:
                siege.throw(own, victim, [init.payload])
                answer = own.recv(2048)
                assert (answer[0], len(answer) <= len(init.payload)) == (RESPONSE, True)


def test_a_node_s_own_datagrams_sent_back_to_it_are_refused(siege: Siege) -> None:
    sessions = from_n1(siege, SESSION)
    trees = stream_trees(to_n1(siege, TREE))[:100]
    source, subscriber = siege.net[0], siege.net[1]
    with siege.undisturbed():
        with counting(subscriber, Counter({"session_unknown": len(sessions)})):
            siege.forge(subscriber, [(d.destination, d.destination_port, d.payload) for d in sessions])
        with counting(source, Counter({"tree_reflected": len(trees)})):
            siege.forge(source, [(subscriber.machine.underlay_ipv4, PORT, d.payload) for d in trees])


def test_an_init_echoed_to_its_sender_is_refused(siege: Siege) -> None:
    """n2 was told that the outsider is a node; the outsider sends back what n2 sends."""
    victim = siege.net[2]
    with siege.undisturbed(), siege.open_socket(OUTSIDER_PORT) as own, counting(victim, Counter(handshake_reflected=2)):
        init, address = own.recvfrom(2048)
        assert init[0] == INIT
        for _ in range(2):
            own.sendto(init, address)


def test_a_flood_of_handshakes_without_the_network_key_costs_a_hash_each(siege: Siege) -> None:
    rng = random.Random(3)
    flood = [bytes((INIT, 2, 0, 0)) + rng.randbytes(HANDSHAKE_LENGTH - 4) for _ in range(5000)]
    victim = siege.net[1]
    with siege.undisturbed(), siege.open_socket() as own, counting(victim, Counter(handshake_mac=len(flood))):
        siege.throw(own, victim, flood)
        answers(victim)


def test_a_flood_of_good_inits_is_limited_by_source_and_in_all(siege: Siege) -> None:
    """Somebody who knows the network key, as a former member does, first from one address and then from many."""
    network = native_network(load_network(siege.net.network))
    key = _native.StaticKey(random.Random(4).randbytes(32))
    inits = [_native.Handshake.initiate(key, network, 1 + n).init_datagram() for n in range(3000)]
    victim = siege.net[1]
    limits = ("handshake_rate_source", "handshake_rate_global", "handshake_under_load", "punt_handshakes_full")
    with siege.undisturbed():
        before = victim.status().drops
        with siege.open_socket() as own:
            siege.throw(own, victim, inits[:1000])
        one_source = victim.status().drops
        assert one_source["handshake_under_load"] - before.get("handshake_under_load", 0) > 500
        siege.forge(victim, [(f"198.18.0.{50 + n % 200}", 7000 + n, init) for n, init in enumerate(inits[1000:])])
        many = victim.status().drops
        refused = sum(many.get(reason, 0) - one_source.get(reason, 0) for reason in limits)
        assert refused > 1000
        assert not {reason for reason in many if reason.startswith("handshake_crypto")}
        answers(victim)
