"""The election counts or believes any bytes that come as a beacon, and sends what it owes, twice a second."""

from __future__ import annotations

from random import Random

from tests.fuzz.wire.mutations import mutations
from treecast.base.addresses import MacAddress
from treecast.base.commands import Inject
from treecast.base.counters import Drops
from treecast.base.ids import NetworkId, NodeId, NodeIndex
from treecast.base.limits import MAX_CANDIDATES
from treecast.base.storm_control import LAN_LIMITS
from treecast.base.time import Instant
from treecast.designated_forwarder.designated_forwarder import DesignatedForwarder, Sender
from treecast.wire.beacon import Beacon, BeaconState, beacon_frame

MAC = MacAddress.parse("02:54:00:00:00:05")
NETWORK, ME = b"N" * 16, b"m" * 16


def beacons() -> list[bytes]:
    """Payloads: of others, of itself, of another network."""
    senders = [(NETWORK, b"a" * 16, 1), (NETWORK, b"b" * 16, 9), (NETWORK, ME, 5), (b"M" * 16, b"c" * 16, 2)]
    return [
        beacon_frame(Beacon(1, network, node, index, 1000 + index, state, 1), MAC)[14:]
        for network, node, index in senders
        for state in BeaconState
    ]


def test_the_listener_survives_any_beacon() -> None:
    drops = Drops()
    designated_forwarder = DesignatedForwarder(Sender(NetworkId(NETWORK), NodeId(ME), NodeIndex(5), MAC, 1000), drops)
    designated_forwarder.open(Instant(0.0), 0, MAC, (), LAN_LIMITS)
    rng = Random(1)
    now, beacons_sent, received = 0.0, 0, 0
    for payload in mutations(rng, beacons(), cases=15_000):
        now += 0.001
        received += 1
        designated_forwarder.receive(Instant(now), 0, payload)
        deadline = designated_forwarder.next_deadline(Instant(now))
        assert deadline is not None
        designated_forwarder.advance(Instant(now), able=rng.random() < 0.99)
        sent = [command for command in designated_forwarder.commands if isinstance(command, Inject)]
        beacons_sent += len(sent)
        designated_forwarder.commands.clear()
        assert len(designated_forwarder.ports(Instant(now))[0].nodes) <= MAX_CANDIDATES + 1
    assert received > 1000
    assert beacons_sent >= 2 * now - 1
    assert {"beacon_malformed", "beacon_own", "beacon_other_network", "beacon_repeated"} <= drops.snapshot().keys()
