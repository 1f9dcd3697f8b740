"""The interface's problems: when it is looked at, and what is said of group routes that it lacks."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Interface, IPv4Network, IPv6Network, ip_address
from typing import Any, cast

import pytest

from treecast.adapters.interface import Settings
from treecast.adapters.netdevice import flags_of
from treecast.base.addresses import IPAddress, MacAddress
from treecast.daemon import interface_watch
from treecast.daemon.interface_changes import ExpectedInterface
from treecast.daemon.interface_watch import InterfaceWatch

GROUPS = (IPv4Network("239.1.0.0/16"), IPv6Network("ff00::/8"))
SETTINGS = Settings(MacAddress.parse("02:54:00:00:00:01"), IPv4Interface("10.77.0.1/16"), None, (), GROUPS)


def texts(monkeypatch: pytest.MonkeyPatch, source: IPAddress | None) -> list[str]:
    monkeypatch.setattr(interface_watch, "source_to", lambda prefix: source)
    monkeypatch.setattr(interface_watch, "interface_to", lambda prefix: "eth0" if source else "")
    monkeypatch.setattr(Settings, "usable_groups", GROUPS)
    return [problem.text for problem in interface_watch._routes("treecast0", SETTINGS)]


def test_a_group_route_that_is_gone_is_to_be_added_by_the_command_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert texts(monkeypatch, None) == [
        "programs that name no interface reach groups of 239.1.0.0/16 nowhere, not by treecast0: "
        "ip route add 239.1.0.0/16 dev treecast0, or start the node again",
        "programs that name no interface reach groups of ff00::/8 nowhere, not by treecast0: "
        "ip -6 route add multicast ff00::/8 dev treecast0 table local metric 1, or start the node again",
    ]


def test_a_group_route_of_another_interface_is_to_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in texts(monkeypatch, ip_address("192.0.2.1")):
        assert "by the interface that has 192.0.2.1, not by treecast0: remove this machine's other route" in text


class Machine:
    """The loopback interface as a node's own, in switch mode; ``looks``: how often it was looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self.keeps = True
        self.names: dict[str, str] = {}
        self.is_up = True
        self.changed = asyncio.Event()
        self.changed.set()
        monkeypatch.setattr(interface_watch, "flags_of", self._flags)
        settings = Settings(MacAddress(bytes(6)), None, None, (IPv4Network("127.0.0.0/8"),), ())
        self._watch = InterfaceWatch("lo", settings, 2**16, cast("Any", self))

    def _flags(self, name: str) -> int:
        self.looks += 1
        return flags_of(name) if self.is_up else 0

    def is_running(self) -> bool:
        return self.keeps

    def kinds(self, *, bridged: bool = True) -> set[str]:
        found = self._watch.problems(self.changed, bridged=bridged, owner=lambda what: self.names.get(str(what), ""))
        return {problem.kind for problem in found}


def test_a_sound_interface_is_looked_at_when_the_machine_s_network_has_changed_and_never_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ExpectedInterface, "changes", lambda *_, **__: ())
    machine = Machine(monkeypatch)
    for _ in range(100):
        assert machine.kinds() == set()
    assert (machine.looks, machine.changed.is_set()) == (1, False)
    machine.is_up = False
    assert machine.kinds() == set(), "nobody has said so"
    machine.changed.set()
    assert machine.kinds() == {"interface_down"}
    machine.is_up = True
    assert machine.kinds() == set(), "one with a problem is looked at each time"


def test_what_changes_without_the_machine_s_network_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExpectedInterface, "changes", lambda *_, **__: ())
    machine = Machine(monkeypatch)
    assert machine.kinds() == set()
    machine.names["127.0.0.1"] = "n7"
    assert machine.kinds() == {"address_of_another_node"}, "a node that was learned later"
    machine.names.clear()
    machine.keeps = False
    assert machine.kinds() == {"interface_unkept"}
    machine.keeps = True
    assert machine.kinds() == set()
    looks = machine.looks
    machine.kinds(bridged=False)
    assert machine.looks == looks + 1, "switch mode begins or ends"
