"""The rights of a node: what its certificate lets it do besides carrying its own machine's frames.

Roles, prefixes of groups, quotas and area; what they mean is in docs/protocol.md section 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntFlag
from ipaddress import ip_network

from treecast.base.addresses import ALL_GROUPS, IPNetwork
from treecast.base.errors import OperatorError

MAX_PREFIXES_PER_LIST = 16

DEFAULT_HOSTS = 4096  # four ports, full (MAX_HOSTS_PER_PORT)
DEFAULT_GROUPS = 16_384  # MAX_GROUPS_PER_ORIGIN


class Role(IntFlag):
    """The roles of a certificate. Bits that are of later versions are kept."""

    BRIDGE = 1
    """Carries the frames of other hosts than its own machine, from LANs."""
    RELAY = 2
    """Forwards datagrams that it cannot read."""
    CONTROLLER = 4
    """Speaks for the CA's machine."""


NO_ROLES = Role(0)
_BY_NAME = {"bridge": Role.BRIDGE, "relay": Role.RELAY, "controller": Role.CONTROLLER}


@dataclass(frozen=True, slots=True)
class Rights:
    """``send_to`` and ``receive_from``: prefixes of groups, None for all. ``hosts`` and ``groups``: at most so many of
    the node's count.
    """

    roles: Role = Role.RELAY
    send_to: tuple[IPNetwork, ...] | None = None
    receive_from: tuple[IPNetwork, ...] | None = None
    hosts: int = DEFAULT_HOSTS
    groups: int = DEFAULT_GROUPS
    area: int = 0


DEFAULT_RIGHTS = Rights()


@dataclass(frozen=True, slots=True)
class GivenLimits:
    """Limits that the operator names for a node; None for those that it has. Prefixes of all groups are no limit."""

    hosts: int | None = None
    groups: int | None = None
    send_to: tuple[IPNetwork, ...] | None = None
    receive_from: tuple[IPNetwork, ...] | None = None

    def applied(self, rights: Rights) -> Rights:
        """Rights with these in place of theirs."""
        return replace(
            rights,
            hosts=rights.hosts if self.hosts is None else self.hosts,
            groups=rights.groups if self.groups is None else self.groups,
            send_to=rights.send_to if self.send_to is None else _limiting(self.send_to),
            receive_from=rights.receive_from if self.receive_from is None else _limiting(self.receive_from),
        )


NO_LIMITS = GivenLimits()


def _limiting(prefixes: tuple[IPNetwork, ...]) -> tuple[IPNetwork, ...] | None:
    return None if set(ALL_GROUPS).issubset(prefixes) else prefixes


def role_names(roles: Role) -> list[str]:
    """The roles that have a name here."""
    return [name for name, role in _BY_NAME.items() if role in roles]


def advice_to_bridge(name: str, roles: Role) -> str:
    """The command by which a node gets the role bridge beside those that it has."""
    return f"treecast node renew {name} --role {','.join(role_names(roles | Role.BRIDGE))}"


def parse_roles(names: Iterable[str]) -> Role:
    """Names of roles, ``none`` alone for no role; OperatorError for a name of none."""
    roles, given = NO_ROLES, list(names)
    if "none" in given and set(given) != {"none"}:
        raise OperatorError(f"--role {','.join(given)}: none and a role contradict each other: give one of them")
    for name in given:
        if name != "none" and name not in _BY_NAME:
            raise OperatorError(f"{name!r} is no role: give any of {', '.join(_BY_NAME)}, with commas between, or none")
        roles |= _BY_NAME.get(name, NO_ROLES)
    return roles


def require_groups(prefix: IPNetwork) -> IPNetwork:
    """``prefix`` if it is one of groups; ValueError otherwise."""
    if not prefix.is_multicast:
        raise ValueError(f"{prefix} is no prefix of groups")
    return prefix


def parse_groups(text: str) -> IPNetwork:
    """A prefix of groups; ValueError otherwise."""
    if "%" in text:  # a scope (RFC 4007 section 11) is of one machine only
        raise ValueError(f"{text} has a scope")
    return require_groups(ip_network(text))
