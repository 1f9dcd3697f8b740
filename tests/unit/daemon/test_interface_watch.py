"""Group routes that the interface lacks: what to do depends on whether another one has them."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Network, ip_address

import pytest

from treecast.adapters.interface import Settings
from treecast.base.addresses import IPAddress, MacAddress
from treecast.daemon import interface_watch

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
        assert "by the interface that has 192.0.2.1, not by treecast0: remove the other route" in text
