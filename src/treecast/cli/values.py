"""Typed words as values. Each function raises OperatorError with a sentence about the text it was given."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import get_args

from treecast.adapters.bridge_record import known_interfaces
from treecast.adapters.netdevice import index_of
from treecast.base.addresses import ALL_GROUPS, DEFAULT_PORT, Endpoint, HostPort, IPAddress
from treecast.base.errors import OperatorError, OptionError
from treecast.base.flows import is_routed_prefix, prefix_holds
from treecast.base.keep_local import KEEP_ALL, KEEP_NOTHING, KeepLocal
from treecast.base.limits import MAX_GROUP_PREFIXES_PER_NODE, MAX_GROUPS_PER_ORIGIN, MAX_RECORDS_PER_ORIGIN
from treecast.cli.arguments import LogLevel
from treecast.identity.rights import MAX_PREFIXES_PER_LIST, GivenLimits, Role, parse_roles

FEWEST_CHOSEN_LINKS = 4
"""Two of the ring, a far one and a near one."""
HIGHEST_CHOSEN_LINKS = 128

# Letters, digits, hyphens (RFC 1123 section 2.1), and the underscores that some resolvers serve.
_HOST_NAME = re.compile(r"(?=.{1,253}\.?\Z)\w[\w-]{0,62}(\.\w[\w-]{0,62})*\.?", re.ASCII)
# The kernel's dev_valid_name(); a % would make it a template.
_INTERFACE_NAME = re.compile(r"(?!\.\.?\Z)[^\s/:%\x00-\x1f\x7f]+")
_EVERY_INTERFACE = ("all", "default")  # what net.ipv4.conf and net.ipv6.conf call their settings for all interfaces
_MAX_INTERFACE_NAME_BYTES = 15  # IFNAMSIZ, with its final zero, is 16


def log_level(text: str) -> LogLevel:
    levels: tuple[LogLevel, ...] = get_args(LogLevel)
    for level in levels:
        if text == level:
            return level
    raise OperatorError(f"{text!r} is no level: give {', '.join(levels)}")


def group(text: str) -> IPAddress:
    """A group that trees carry; link-local ones go to all nodes."""
    try:
        address = ip_address(text)
    except ValueError:
        raise OperatorError(f"{text!r} is no group: give a multicast address, such as 239.1.1.1") from None
    if not address.is_multicast:
        raise OperatorError(f"{text} is no multicast address: give a group, such as 239.1.1.1")
    if not is_routed_prefix(ip_network(address)):
        raise OperatorError(
            f"{text} is a link-local group, which goes to all nodes by the broadcast tree: give another"
        )
    return address


def source_of(group: IPAddress, text: str | None) -> str:
    """``--source``: a host's address; empty: any."""
    if text is None:
        return ""
    try:
        address = ip_address(text)
    except ValueError:
        raise OperatorError(f"--source {text!r} is no address: give that of a host that sends to {group}") from None
    if address.version != group.version or address.is_multicast or address.is_unspecified:
        raise OperatorError(f"--source {text} cannot send to {group}: give a host's address of IPv{group.version}")
    return str(address)


def max_links(number: int | None) -> int | None:
    """``--max-links``. Fewer do not hold a network together; more are no bound."""
    if number is not None and not FEWEST_CHOSEN_LINKS <= number <= HIGHEST_CHOSEN_LINKS:
        allowed = f"from {FEWEST_CHOSEN_LINKS} to {HIGHEST_CHOSEN_LINKS}"
        raise OptionError(f"--max-links {number}: give a number {allowed}, or leave it out for links with all nodes")
    return number


def require_level(word: str) -> None:
    """OperatorError when the only word after ``log-level`` is a directory: no level is."""
    levels = get_args(LogLevel)
    if word not in levels and Path(word).is_dir():
        advice = f"treecast log-level {word} {levels[0]} (or {', '.join(levels[1:])})"
        raise OperatorError(f"{word} is a directory, and the level is not named: {advice}")


def roles(words: list[str] | None) -> Role | None:
    """``--role bridge,relay`` or several of these; None where there is none."""
    return parse_roles(name for word in words for name in word.split(",")) if words else None


def limits(hosts: int | None, groups: int | None, send: list[str] | None, receive: list[str] | None) -> GivenLimits:
    """``--hosts``, ``--groups``, ``--send`` and ``--receive`` of a certificate."""
    return GivenLimits(
        hosts=_count("--hosts", hosts, MAX_RECORDS_PER_ORIGIN),
        groups=_count("--groups", groups, MAX_GROUPS_PER_ORIGIN),
        send_to=_groups_of("--send", send),
        receive_from=_groups_of("--receive", receive),
    )


def _count(option: str, number: int | None, most: int) -> int | None:
    if number is not None and not 1 <= number <= most:
        raise OperatorError(f"{option} {number}: give a number from 1 to {most}")
    return number


def _groups_of(option: str, texts: list[str] | None) -> tuple[IPv4Network | IPv6Network, ...] | None:
    """Prefixes, ``all`` or ``none``; None where it was not given."""
    if not texts:
        return None
    words = [word for text in texts for word in text.split(",")]
    if words == ["all"]:
        return ALL_GROUPS
    if words == ["none"]:
        return ()
    if "all" in words or "none" in words:
        raise OperatorError(f"{option} {','.join(words)}: give all, or none, or prefixes of groups")
    prefixes = tuple(dict.fromkeys(_group_prefix(word) for word in words))
    if len(prefixes) > MAX_PREFIXES_PER_LIST:
        raise OperatorError(f"{len(prefixes)} prefixes of {option} are too many: give at most {MAX_PREFIXES_PER_LIST}")
    return prefixes


def ipv4_address(text: str | None) -> IPv4Address | None:
    try:
        return IPv4Address(text) if text is not None else None
    except ValueError:
        raise OperatorError(f"{text!r} is not an IPv4 address: give one like 10.77.0.9") from None


def ipv6_address(text: str | None) -> IPv6Address | None:
    try:
        address = IPv6Address(text) if text is not None else None
    except ValueError:
        raise OperatorError(f"{text!r} is not an IPv6 address: give one like fd00:1:2:3::9") from None
    if address is not None and address.scope_id is not None:
        raise OperatorError(f"{text!r} has a scope: give an address without one, like fd00:1:2:3::9")
    return address


def listen_endpoints(texts: list[str]) -> tuple[Endpoint, ...]:
    """Endpoints of the sockets: each once, in the order given."""
    return tuple(dict.fromkeys(_listen_endpoint(text) for text in texts))


def peers(texts: list[str]) -> tuple[HostPort, ...]:
    return tuple(dict.fromkeys(_peer(text) for text in texts))


def group_prefixes(texts: list[str], *, none: bool) -> tuple[IPv4Network | IPv6Network, ...]:
    """The groups that get routes: those named, or all; ``none``: the operator wants none."""
    if none and texts:
        raise OperatorError("--no-routes and --route contradict each other: give one of them")
    return () if none else tuple(dict.fromkeys(_group_prefix(text) for text in texts)) or ALL_GROUPS


def interface_name(text: str) -> str:
    is_name = _INTERFACE_NAME.fullmatch(text) and len(text.encode(errors="replace")) <= _MAX_INTERFACE_NAME_BYTES
    if not is_name or text in _EVERY_INTERFACE:
        raise OperatorError(
            f"{text!r} cannot be the name of an interface: use up to {_MAX_INTERFACE_NAME_BYTES} letters and digits, "
            "and neither all nor default"
        )
    return text


def protected_groups(texts: list[str] | None, replicated: list[str] | None) -> tuple[IPv4Network | IPv6Network, ...]:
    """The prefixes of ``--protect``, none of whose groups is one of ``--replicate``."""
    prefixes = routed_prefixes("--protect", texts)
    for other in routed_prefixes("--replicate", replicated):
        for prefix in prefixes:
            if prefix_holds(prefix, other) or prefix_holds(other, prefix):
                raise OptionError(f"--protect {prefix} and --replicate {other} have groups in common: give one")
    return prefixes


def routed_prefixes(option: str, texts: list[str] | None) -> tuple[IPv4Network | IPv6Network, ...]:
    """The prefixes of an option. OptionError for what all nodes get on the broadcast tree, too."""
    try:
        prefixes = tuple(dict.fromkeys(_group_prefix(text) for text in texts or ()))
    except OperatorError as error:
        raise OptionError(str(error)) from None
    if len(prefixes) > MAX_GROUP_PREFIXES_PER_NODE:
        most = MAX_GROUP_PREFIXES_PER_NODE
        raise OptionError(f"{len(prefixes)} {option} are too many: give at most {most}")
    for prefix in prefixes:
        if not is_routed_prefix(prefix):
            raise OptionError(f"{prefix} holds link-local groups only, which all nodes get: leave it out")
    return prefixes


def _group_prefix(text: str) -> IPv4Network | IPv6Network:
    try:
        prefix = ip_network(text)
    except ValueError as error:
        raise OperatorError(f"{text!r} is no prefix of groups ({error}): give one like 239.1.0.0/16") from None
    if not prefix.is_multicast:
        raise OperatorError(f"{text} is no prefix of groups: those are within 224.0.0.0/4 and ff00::/8")
    return prefix


def require_no_directory(word: str, verb: str) -> None:
    """OperatorError when the only word after ``bridge add`` or ``bridge remove`` is a directory: no interface is."""
    directory = Path(word)
    if "/" not in word and (index_of(word) or not directory.is_dir()):
        return
    names = [] if verb == "add" else known_interfaces(directory)
    advice = f"treecast bridge {verb} {word} {names[0] if len(names) == 1 else 'INTERFACE'}"
    if len(names) > 1:
        advice += f", one of {', '.join(names)}"
    raise OperatorError(f"{word} is a directory, and the interface is not named: {advice}")


def not_bridged(directory: Path, interface: str) -> str:
    """Why there is nothing that ``bridge remove`` could undo, and which interfaces there are for it."""
    names = known_interfaces(directory)
    others = f"which carries the LAN of {' and '.join(names)}: remove that" if names else "nor is any other interface"
    return f"{interface} is not bridged by this node, {others}"


def keep_local(texts: list[str] | None) -> KeepLocal:
    """``ra,dhcp``, one of them, or ``none``; several count together. None: not given."""
    if texts is None:
        return KEEP_ALL
    text = ",".join(texts)
    words = [word.strip() for word in text.split(",")]
    if words == ["none"]:
        return KEEP_NOTHING
    try:
        return KeepLocal.of(words)
    except ValueError:
        raise OperatorError(f"--keep-local {text!r}: give ra, dhcp, both with a comma between, or none") from None


def _listen_endpoint(text: str) -> Endpoint:
    try:
        endpoint = Endpoint.parse(text)
    except ValueError:
        raise OperatorError(
            f"cannot listen on {text!r}: give ADDRESS:PORT like 0.0.0.0:{DEFAULT_PORT} or [::]:{DEFAULT_PORT}"
        ) from None
    if endpoint.address.is_multicast or str(endpoint.address) == "255.255.255.255":
        raise OperatorError(f"cannot listen on {text!r}: give a unicast address of this machine")
    return endpoint


def _peer(text: str) -> HostPort:
    try:
        return _host_port(text)
    except ValueError:
        if _is_ipv6_address(text):
            raise OperatorError(
                f"{text!r} is not a peer: an IPv6 address is in brackets, {_in_brackets(text)}"
            ) from None
        raise OperatorError(
            f"{text!r} is not a peer: give HOST or HOST:PORT like node.example.net or [2001:db8::1]:{DEFAULT_PORT}"
        ) from None


def _in_brackets(address: str) -> str:
    """The address as a peer; where its last group may be a port, in both meanings."""
    host, _, port = address.rpartition(":")
    if not (port.isdigit() and _is_ipv6_address(host)):
        return f"[{address}]"
    with_port = f"[{host}]:{port}"
    return with_port if "%" in host else f"[{address}], or {with_port} where that is its port"


def _is_ipv6_address(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _host_port(text: str) -> HostPort:
    """``node.example.net:7700``, ``192.0.2.1:7700`` or ``[2001:db8::1]:7700``; without a port it is 7700. ValueError
    otherwise: without brackets nobody could tell an IPv6 address's last group from a port.
    """
    if ":" not in text or text.endswith("]"):
        text = f"{text}:{DEFAULT_PORT}"
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65_536:
        raise ValueError(text)
    if host.startswith("[") and host.endswith("]"):
        return HostPort(str(IPv6Address(host[1:-1])), int(port))
    if not _HOST_NAME.fullmatch(host):
        raise ValueError(text)
    if host.rstrip(".").rpartition(".")[2].isdigit():  # no top-level domain is a number: it is an address
        return HostPort(str(ip_address(host)), int(port))
    return HostPort(host, int(port))
