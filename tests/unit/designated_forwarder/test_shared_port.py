"""Commands to the data plane for a port that shares a LAN, and for one that does no more."""

from __future__ import annotations

from treecast.base.addresses import MacAddress
from treecast.base.commands import (
    Command,
    Inject,
    SetKeepLocal,
    SetPortForwarding,
    SetStormLimits,
    SetUnknownUnicastFlood,
)
from treecast.base.counters import Drops
from treecast.base.ids import NetworkId, NodeIndex
from treecast.base.keep_local import KEEP_NOTHING, KeepLocal
from treecast.base.storm_control import StormLimits
from treecast.base.time import Instant
from treecast.designated_forwarder.designated_forwarder import BeaconSigner, DesignatedForwarder
from treecast.identity.keys import SigningKey
from treecast.wire import ethernet
from treecast.wire.beacon import BeaconState, parse_beacon_frame

MAC = MacAddress.parse("02:54:00:00:00:05")
NOW = Instant(10.0)
SENDER = BeaconSigner(NetworkId(b"N" * 16), NodeIndex(5), MAC, 1000, SigningKey(bytes(32)))
LIMITS = StormLimits(1, 2, 3)
KEEPS = KeepLocal(ra=True, dhcp=False)


def shared() -> DesignatedForwarder:
    forwarder = DesignatedForwarder(SENDER, Drops(), find_signer=lambda _: None, may_carry=lambda _: True)
    forwarder.open(NOW, 1, MAC, (), LIMITS, KEEPS)
    return forwarder


def taken(forwarder: DesignatedForwarder) -> list[Command]:
    commands, forwarder.commands = forwarder.commands, []
    return commands


def test_a_shared_port_is_blocked_at_first_with_its_limits_and_what_it_keeps() -> None:
    assert taken(shared()) == [
        SetPortForwarding(1, on=False),
        SetUnknownUnicastFlood(1, on=True),
        SetStormLimits(1, 1, 2, 3),
        SetKeepLocal(1, KEEPS),
    ]


def test_a_port_that_is_the_node_s_own_again_forwards_without_limits_and_keeps_nothing() -> None:
    forwarder = shared()
    taken(forwarder)
    forwarder.close(1)
    beacon, copy, *others = taken(forwarder)
    assert [said(command) for command in (beacon, copy)] == [(1, BeaconState.SILENT)] * 2
    assert others == [
        SetPortForwarding(1, on=True),
        SetUnknownUnicastFlood(1, on=False),
        SetStormLimits(1, None, None, None),
        SetKeepLocal(1, KEEP_NOTHING),
    ]


def test_every_shared_port_s_last_beacon_says_that_it_is_silent() -> None:
    forwarder = shared()
    forwarder.open(NOW, 3, MAC, (), LIMITS)
    last = [said(command) for command in forwarder.goodbye() if isinstance(command, Inject)]
    assert last == [(port, BeaconState.SILENT) for port in (1, 1, 3, 3)]


def said(command: object) -> tuple[int, BeaconState]:
    """The port and state of a beacon."""
    assert isinstance(command, Inject)
    return command.port, parse_beacon_frame(ethernet.parse(command.frame)).beacon.state
