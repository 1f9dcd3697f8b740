"""The configurer of an interface: read from command lines and state files, as the programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from treecast.adapters import configurer
from treecast.adapters.configurer import Configurer, refusal, serves
from treecast.adapters.interface_configuration import address_of, given, route_of

THERE = frozenset({"lo", "eth0", "eth1", "enp3s0"})


@pytest.mark.parametrize(
    ("line", "served"),
    [
        ("dhclient -4 -v -i -pf /run/dhclient.eth1.pid -lf /var/lib/dhcp/dhclient.eth1.leases -I eth1", {"eth1"}),
        ("/sbin/dhclient eth0 eth1", {"eth0", "eth1"}),
        ("/sbin/dhclient", {"lo", "eth0", "eth1", "enp3s0"}),
        ("udhcpc -i eth1 -f -s /tmp/script", {"eth1"}),
        ("busybox udhcpc -ienp3s0", {"enp3s0"}),
        ("udhcpc --interface=eth1", {"eth1"}),
        ("udhcpc", {"eth0"}),
        ("dhcpcd: eth1 [ip4] [ip6]", {"eth1"}),
        ("dhcpcd: [manager] [ip4] [ip6]", {"lo", "eth0", "eth1", "enp3s0"}),
        ("/usr/sbin/dhcpcd -q eth0", {"eth0"}),
        ("vi dhclient eth1", set()),
        ("busybox", set()),
        ("", set()),
    ],
)
def test_a_clients_command_line_says_which_interfaces_it_serves(line: str, served: set[str]) -> None:
    assert {name for name in THERE if serves(line.split(), name, THERE)} == served


@pytest.mark.parametrize(
    ("program", "directory", "mine", "not_mine"),
    [
        (
            "systemd-networkd",
            "NETWORKD_LINKS",
            "ADMIN_STATE=configured\nNETWORK_FILE=/etc/x",
            "ADMIN_STATE=unmanaged\n",
        ),
        ("NetworkManager", "NETWORK_MANAGER_DEVICES", "[device]\nmanaged=true\n", "[device]\nmanaged=false\n"),
    ],
)
def test_a_daemon_configures_what_its_state_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, directory: str, mine: str, not_mine: str
) -> None:
    monkeypatch.setattr(configurer, directory, tmp_path)
    monkeypatch.setattr(configurer, "_neighbours", lambda: iter([(7, [f"/usr/sbin/{program}", "--no-daemon"])]))
    (tmp_path / "2").write_text(mine)
    (tmp_path / "3").write_text(not_mine)
    found = [configurer.configurer_of("eth1", index, leased=False) for index in (2, 3, 4)]
    assert found == [Configurer(program, 7), None, None]
    said = str(refusal(Configurer(program, 7), "eth1", "tcbr-eth1"))
    assert said.startswith(f"{program} (pid 7) configures eth1 and would go on with that")
    assert said.endswith("docs/switch-mode.md shows, and give --force")


@pytest.mark.parametrize("text", ["10.77.0.1/16", "fd00::1/64", "fe80::54:ff:fe00:1/64"])
def test_an_address_is_made_of_what_is_recorded_of_it(text: str) -> None:
    assert str(address_of(text)) == text
    assert address_of(text).ends_in_s is None


@pytest.mark.parametrize("text", ["10.77.0.0/16 254 0", "224.0.0.0/4 254 1", "ff00::/8 255 1", "fd00::/64 1000 256"])
def test_a_route_is_made_of_what_is_recorded_of_it(text: str) -> None:
    assert str(route_of(text, 3, connected=False)) == text
    assert given(route_of(text, 3, connected=False)) == route_of(text, 3, connected=False)
    assert route_of(text, 3, connected=True).is_connected
