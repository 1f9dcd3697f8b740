"""Values of typed arguments."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from treecast.base.addresses import Endpoint, HostPort
from treecast.base.errors import OperatorError
from treecast.cli import values


def test_listen_endpoints_are_each_taken_once_in_their_order() -> None:
    assert values.listen_endpoints(["[::]:7700", "192.0.2.1:1", "[0:0::]:7700"]) == (
        Endpoint(IPv6Address("::"), 7700),
        Endpoint(IPv4Address("192.0.2.1"), 1),
    )
    assert values.listen_endpoints([]) == ()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("node.example.net:7700", "node.example.net", 7700),
        ("node:1", "node", 1),
        ("my_host.local.:65535", "my_host.local.", 65535),
        ("192.0.2.1:7700", "192.0.2.1", 7700),
        ("[2001:db8::1]:7700", "2001:db8::1", 7700),
        ("[2001:0db8:0::1]:7700", "2001:db8::1", 7700),
        ("[fe80::1%eth0]:7700", "fe80::1%eth0", 7700),
        ("node.example.net", "node.example.net", 7700),
        ("192.0.2.1", "192.0.2.1", 7700),
        ("[2001:db8::1]", "2001:db8::1", 7700),
    ],
)
def test_peers_are_hosts_and_ports(text: str, host: str, port: int) -> None:
    assert values.peers([text, text]) == (HostPort(host, port),)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "[]",
            "2001:db8::1",
            "::1::",
            ":7700",
            "node:",
            "node:0",
            "node:65536",
            "node:-1",
            "node:1e3",
            "node:٣",
            "node:0000077000000",
        ),
        *("2001:db8::1:7700", "[node]:7700", "[]:7700", "[192.0.2.1]:7700", "192.0.2.256:7700", "192.0.2:7700"),
        *("a b:7700", "a..b:7700", "-a:7700", "a/b:7700", "a\n:7700", "x" * 64 + ":7700", "a." * 127 + "aa:7700"),
    ],
)
def test_what_is_no_peer_is_refused(text: str) -> None:
    with pytest.raises(OperatorError, match=r"is not a peer: (give HOST or HOST:PORT|an IPv6 address is in brackets)"):
        values.peers([text])


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("fe80::1%eth0", "[fe80::1%eth0]"),
        ("fe80::1%eth0:7700", "[fe80::1%eth0]:7700"),
        ("2001:db8::a", "[2001:db8::a]"),
        ("2001:db8::1:7700", "[2001:db8::1:7700], or [2001:db8::1]:7700 where that is its port"),
    ],
)
def test_an_ipv6_address_without_brackets_is_given_back_in_brackets(text: str, advice: str) -> None:
    with pytest.raises(OperatorError) as caught:
        values.peers([text])
    assert str(caught.value) == f"{text!r} is not a peer: an IPv6 address is in brackets, {advice}"


@pytest.mark.parametrize("name", ["treecast0", "a", "all0", "x" * 15, "tap-1.2", "ä"])
def test_interface_names_are_what_the_kernel_takes(name: str) -> None:
    assert values.interface_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "x" * 16, "ä" * 8, "a b", "a/b", "a:b", "tap%d", "a\n", "a\0", "all", "default"]
)
def test_other_interface_names_are_refused(name: str) -> None:
    with pytest.raises(OperatorError, match="cannot be the name of an interface"):
        values.interface_name(name)


def test_routes_are_those_named_or_all_or_none() -> None:
    assert [str(prefix) for prefix in values.group_prefixes([], none=False)] == ["224.0.0.0/4", "ff00::/8"]
    assert values.group_prefixes([], none=True) == ()
    named = values.group_prefixes(["239.1.0.0/16", "ff15::/16", "239.1.0.0/16"], none=False)
    assert [str(prefix) for prefix in named] == ["239.1.0.0/16", "ff15::/16"]


@pytest.mark.parametrize("text", ["10.0.0.0/8", "239.1.0.1/16", "192.0.0.0/2", "ff00::/7", "239.1.0.0/x", ""])
def test_routes_that_are_no_prefix_of_groups_are_refused(text: str) -> None:
    with pytest.raises(OperatorError, match="no prefix of groups"):
        values.group_prefixes([text], none=False)


def test_routes_and_no_routes_contradict_each_other() -> None:
    with pytest.raises(OperatorError, match="contradict"):
        values.group_prefixes(["239.1.0.0/16"], none=True)


def test_groups_of_routers_are_prefixes_that_routes_lead_to() -> None:
    named = values.routed_prefixes("--router-groups", ["239.1.0.0/16", "ff15::/16", "239.1.0.0/16"])
    assert [str(prefix) for prefix in named] == ["239.1.0.0/16", "ff15::/16"]
    assert values.routed_prefixes("--router-groups", ["224.0.0.0/4", "ff00::/8"])
    for text in ("224.0.0.0/24", "ff02::/16"):
        with pytest.raises(OperatorError, match="link-local groups only"):
            values.routed_prefixes("--router-groups", [text])
    with pytest.raises(OperatorError, match="no prefix of groups"):
        values.routed_prefixes("--router-groups", ["10.0.0.0/8"])
    with pytest.raises(OperatorError, match="at most 64"):
        values.routed_prefixes("--router-groups", [f"239.0.{number}.0/24" for number in range(65)])


def test_who_gives_a_prefix_of_no_groups_reads_which_option_has_too_many() -> None:
    with pytest.raises(OperatorError, match=r"^65 --replicate are too many: give at most 64$"):
        values.routed_prefixes("--replicate", [f"239.0.{number}.0/24" for number in range(65)])
    assert values.routed_prefixes("--replicate", None) == ()


def test_no_group_is_protected_and_replicated() -> None:
    named = values.protected_groups(["239.1.0.0/16", "ff15::/16"], ["239.2.0.0/16"])
    assert [str(prefix) for prefix in named] == ["239.1.0.0/16", "ff15::/16"]
    for protected, replicated in (("239.1.0.0/16", "239.1.2.0/24"), ("239.1.2.0/24", "239.0.0.0/8")):
        with pytest.raises(OperatorError, match=r"have groups in common: give one$") as refused:
            values.protected_groups([protected], [replicated])
        assert refused.value.exit_code == 2


def test_a_number_of_links_is_from_4_to_128_or_none() -> None:
    assert [values.max_links(number) for number in (None, 4, 128)] == [None, 4, 128]
    for number in (-1, 0, 3, 129):
        with pytest.raises(
            OperatorError, match=rf"^--max-links {number}: give a number from 4 to 128, or leave it out"
        ):
            values.max_links(number)
