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
        ("udhcpc -bieth1", {"eth1"}),
        ("busybox udhcpc -fqi eth1 -s /tmp/script", {"eth1"}),
        ("udhcpc -bnqieth1", {"eth1"}),
        ("udhcpc -b -x hostname:ieth1", {"eth0"}),
        ("udhcpc6 -bfieth1", {"eth1"}),
        ("dhclient -i", {"lo", "eth0", "eth1", "enp3s0"}),
        ("udhcpc", {"eth0"}),
        ("dhcpcd: eth1 [ip4] [ip6]", {"eth1"}),
        ("dhcpcd: [manager] [ip4] [ip6]", {"lo", "eth0", "eth1", "enp3s0"}),
        ("/usr/sbin/dhcpcd -q eth0", {"eth0"}),
        ("pump -i eth1", {"eth1"}),
        ("/sbin/pump", {"eth0"}),
        ("/usr/sbin/ifplugd -i eth1 -q -f -u0 -d10 -w -I", {"eth1"}),
        ("ifplugd", {"eth0"}),
        ("/sbin/netplugd -i eth*", {"eth0", "eth1"}),
        ("odhcp6c -s /lib/netifd/dhcpv6.script -P0 enp3s0", {"enp3s0"}),
        ("avahi-autoipd: [eth1] bound 169.254.7.9", {"eth1"}),
        ("avahi-autoipd: [eth1] callout dispatcher", {"eth1"}),
        ("busybox zcip eth1 /etc/zcip.script", {"eth1"}),
        ("/usr/sbin/dibbler-client start", {"lo", "eth0", "eth1", "enp3s0"}),
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


@pytest.mark.parametrize(
    ("line", "served"),
    [
        ("/usr/sbin/connmand -n", {"eth0", "eth1", "enp3s0"}),
        ("connmand -i eth0,enp*", {"eth0", "enp3s0"}),
        ("connmand --device=eth1", {"eth1"}),
        ("connmand --nodevice eth1 -r", {"eth0", "enp3s0"}),
        ("connmand -Ieth*", {"enp3s0"}),
    ],
)
def test_connman_has_all_interfaces_but_those_that_it_leaves_alone(
    line: str, served: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "main.conf"
    monkeypatch.setattr(configurer, "CONNMAN_SETTINGS", settings)
    monkeypatch.setattr(configurer, "_neighbours", lambda: iter([(7, line.split())]))
    names = ("eth0", "eth1", "enp3s0", "vboxnet0")
    assert {name for name in names if configurer.configurer_of(name, 2, leased=False)} == served
    settings.write_text("[General]\n# NetworkInterfaceBlacklist = a\nNetworkInterfaceBlacklist = lan, eth1\n")
    assert configurer.configurer_of("eth1", 2, leased=False) is None
    said = str(refusal(Configurer("connmand", 7), "eth1", "tcbr-eth1"))
    assert said.startswith("connmand (pid 7) configures eth1 and would go on with that")
    assert "have it leave eth1 alone (connmand --nodevice, or NetworkInterfaceBlacklist in its main.conf)" in said


def test_wicked_has_the_interfaces_that_it_has_a_file_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configurer, "WICKED_INTERFACES", tmp_path)
    monkeypatch.setattr(configurer, "_neighbours", lambda: iter([(7, ["/usr/sbin/wickedd", "--systemd"])]))
    (tmp_path / "ifcfg-eth1").write_text("BOOTPROTO='dhcp'\n")
    found = [configurer.configurer_of(name, 2, leased=False) for name in ("eth0", "eth1")]
    assert found == [None, Configurer("wickedd", 7)]
    said = str(refusal(Configurer("wickedd", 7), "eth1", "tcbr-eth1"))
    assert said.endswith("in place of ifcfg-eth1, without BRIDGE=), and give --force")


@pytest.mark.parametrize("text", ["10.77.0.1/16", "fd00::1/64", "fe80::54:ff:fe00:1/64"])
def test_an_address_is_made_of_what_is_recorded_of_it(text: str) -> None:
    assert str(address_of(text)) == text
    assert address_of(text).ends_in_s is None


@pytest.mark.parametrize("text", ["10.77.0.0/16 254 0", "224.0.0.0/4 254 1", "ff00::/8 255 1", "fd00::/64 1000 256"])
def test_a_route_is_made_of_what_is_recorded_of_it(text: str) -> None:
    assert str(route_of(text, 3, connected=False)) == text
    assert given(route_of(text, 3, connected=False)) == route_of(text, 3, connected=False)
    assert route_of(text, 3, connected=True).is_connected
