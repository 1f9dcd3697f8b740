"""The election counts or believes any bytes that come as a beacon, and sends what it owes, twice a second."""

from __future__ import annotations

from random import Random

from tests.fuzz.wire.mutations import mutations
from treecast.base.addresses import MacAddress
from treecast.base.commands import Inject
from treecast.base.counters import Drops
from treecast.base.ids import NetworkId, NodeIndex
from treecast.base.limits import MAX_CANDIDATES
from treecast.base.storm_control import LAN_LIMITS
from treecast.base.time import Instant
from treecast.designated_forwarder.designated_forwarder import BeaconSigner, DesignatedForwarder
from treecast.identity.keys import SigningKey
from treecast.wire.beacon import (
    BEACON_CONTEXT,
    BEACON_ETHERTYPE,
    BEACON_GROUP,
    Beacon,
    BeaconState,
    beacon_frame,
    network_hash,
)
from treecast.wire.ethernet import EthernetFrame

MAC = MacAddress.parse("02:54:00:00:00:05")
NETWORK, KEY, EPOCH = NetworkId(b"N" * 16), SigningKey(bytes(32)), 1000


def beacons() -> list[bytes]:
    """Payloads: of others, of itself, of another network."""
    senders = [(NETWORK, 1, 1001), (NETWORK, 9, 1009), (NETWORK, 5, 1001), (NetworkId(b"M" * 16), 2, 1002)]
    return [
        beacon_frame(Beacon(2, network_hash(network), index, EPOCH, sequence, state, 1), MAC, sign)[14:]
        for network, index, sequence in senders
        for state in BeaconState
    ]


def sign(body: bytes) -> bytes:
    return KEY.sign(BEACON_CONTEXT, body)


def test_the_listener_survives_any_beacon() -> None:
    drops = Drops()
    sender = BeaconSigner(NETWORK, NodeIndex(5), MAC, EPOCH, KEY)
    designated_forwarder = DesignatedForwarder(
        sender, drops, find_signer=lambda _: (KEY.public, EPOCH), may_carry=lambda _: True
    )
    designated_forwarder.open(Instant(0.0), 0, MAC, (), LAN_LIMITS)
    rng = Random(1)
    now, beacons_sent, received = 0.0, 0, 0
    for payload in mutations(rng, beacons(), cases=15_000):
        now += 0.001
        received += 1
        designated_forwarder.receive(Instant(now), 0, EthernetFrame(BEACON_GROUP, MAC, BEACON_ETHERTYPE, payload))
        deadline = designated_forwarder.next_deadline(Instant(now))
        assert deadline is not None
        designated_forwarder.advance(Instant(now), able=rng.random() < 0.99)
        sent = [command for command in designated_forwarder.commands if isinstance(command, Inject)]
        beacons_sent += len(sent)
        designated_forwarder.commands.clear()
        assert len(designated_forwarder.ports(Instant(now))[0].nodes) <= MAX_CANDIDATES + 1
    assert received > 1000
    assert beacons_sent >= 2 * now - 1
    kinds = ("malformed", "own", "other_network", "repeated", "bad_signature")
    assert {f"beacon_{kind}" for kind in kinds} <= drops.snapshot().keys()
