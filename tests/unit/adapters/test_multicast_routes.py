"""Groups that programs on this machine have joined, as the kernel lists them."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from treecast.adapters.multicast_routes import Joined, joined_elsewhere, needs_interface
from treecast.base.addresses import IPNetwork

GROUP4, GROUP6 = "239.123.45.67", "ff15::123:45"


def test_a_group_that_a_program_has_joined_on_another_interface_is_named_and_none_of_the_kernel_s() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as two,
    ):
        one.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP4) + socket.inet_aton("127.0.0.1")
        )
        expected = [Joined("lo", IPv4Address(GROUP4))]
        with suppress(OSError):  # IPv6 may be off
            index = socket.if_nametoindex("lo").to_bytes(4, "little")
            two.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, GROUP6) + index
            )
            expected.append(Joined("lo", IPv6Address(GROUP6)))
        prefixes: list[IPNetwork] = [IPv4Network("224.0.0.0/4"), IPv6Network("ff00::/8")]
        found = [joined for joined in joined_elsewhere([], prefixes) if joined.interface == "lo"]
        assert found == expected
        assert str(found[0]) == "239.123.45.67 on lo"
        assert [j for j in joined_elsewhere([], [IPv4Network("239.1.0.0/16")]) if j.interface == "lo"] == []
        assert [j for j in joined_elsewhere(["lo"], prefixes) if j.interface == "lo"] == []


def test_only_groups_of_one_link_or_interface_need_an_interface() -> None:
    assert needs_interface(IPv6Network("ff02::/16"))
    assert needs_interface(IPv6Network("ff11::1/128"))
    assert not needs_interface(IPv6Network("ff00::/8"))
    assert not needs_interface(IPv6Network("ff15::/16"))
    assert not needs_interface(IPv4Network("224.0.0.0/24"))
