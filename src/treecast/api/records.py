"""The answers of a running node. Their fields are what ``--json`` prints, so they are only ever added to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import msgspec

from treecast.api.bridge_records import Bridge
from treecast.api.trace_records import RootedStream, TreeTrace, Why


class Verb(StrEnum):
    """The requests."""

    STATUS = "status"
    PEERS = "peers"
    GROUPS = "groups"
    SOME_GROUPS = "some_groups"
    """The first ``GROUPS_SHOWN`` groups: those that are sent to and joined here before others."""
    GROUP_CHANGES = "group_changes"
    """The rows that changed since ``since``, as soon as there are some, or nothing after 2 s; all of them without."""
    HOSTS = "hosts"
    TRACE = "trace"  # the trees of a group, as the nodes on them report them; after 3 s at most
    WHY = "why"  # decisions about a node or a group, by ``group``
    BRIDGE = "bridge"
    REVOCATIONS_CHANGED = "revocations_changed"  # like the next, for ``revocations.json``; the answer is STATUS's
    BRIDGE_CHANGED = "bridge_changed"
    """The node is to read ``bridge.json`` again; the answer is BRIDGE's."""
    LOG_DEBUG = "log_debug"
    """The node is to log from this level on, as with the next three; the answer is STATUS's."""
    LOG_INFO = "log_info"
    LOG_WARNING = "log_warning"
    LOG_ERROR = "log_error"


GROUPS_SHOWN = 1000
"""A node with 81,900 groups takes 16 s to list them all beside what it has to do; so many it does at once."""


class Problem(msgspec.Struct, frozen=True):
    """A problem that needs a person now. ``text``: what is wrong and what to do; ``since_s``: for how long it is so."""

    kind: str
    subject: str
    text: str
    since_s: float


class Status(msgspec.Struct, frozen=True):
    """The node itself. Addresses are text; ``ipv4`` and ``ipv6`` are empty where the node has none."""

    node: str
    node_id: str
    network: str
    interface: str
    ipv4: str
    ipv6: str
    uptime_s: float
    peers: int
    counters: dict[str, int]
    drops: dict[str, int]
    """Discarded frames and messages by reason."""
    listening: list[str]
    """UDP endpoints of this node."""
    workers: int
    """Threads that move packets."""
    offloads: list[str]
    """Kernel offloads that are in use."""
    unreached: list[str]
    """Configured peers that were not reached yet."""
    queriers: list[Querier] = []
    """The querier of each port, VLAN and protocol."""
    problems: list[Problem] = []
    """Oldest first; empty when all is well."""
    valid_from: str = ""
    """The start of its certificate's life; ISO 8601, UTC, as ``valid_until``."""
    valid_until: str = ""
    version: str = ""
    """The program's version."""
    on: list[str] = []
    """The options of ``up`` that are in force, in words."""
    revoked: list[str] = []
    """Nodes whose certificates the CA has revoked, and that have no newer ones."""
    log_level: str = ""
    """The level of the log: ``debug``, ``info``, ``warning`` or ``error``, and what is above it."""
    children: int = 0
    """Nodes that it sends streams to: of its own where it has a bound, and of others, over all trees."""
    groups_of_others: int = 0
    """Groups that other nodes want."""


class Peer(msgspec.Struct, frozen=True):
    """One other node, known or sought. ``rtt_ms``: None until measured. ``endpoint``: ``via NAME`` if by another node.

    ``state``: ``up``, ``connecting``, ``one way``, ``refused: WHY``, ``unreachable``, ``offline``, ``revoked``, ``this
    node itself``, ``another network``, ``name unresolved``. ``name``: the text of ``--peer`` while nobody knows who is
    there. Bytes: since this node's start. ``hybrid``: ML-KEM is in its keys. ``via``: the neighbour that sends on for
    it, or empty. ``link``: why there is one, or empty: ``mesh``, ``ring``, ``far``, ``near``, ``static peer``,
    ``accepted``, ``on demand``. ``demand_bps``, ``demand_since_s``: of one that is wanted for what goes there.
    """

    name: str
    node_id: str
    endpoint: str
    state: str
    rtt_ms: float | None
    rx_bytes: int
    tx_bytes: int
    ipv4: str = ""
    ipv6: str = ""
    last_received_s: float | None = None
    version: str = ""
    underlay_mtu: int | None = None
    hybrid: bool = False
    via: str = ""
    link: str = ""
    demand_bps: float | None = None
    demand_since_s: float | None = None


class Member(msgspec.Struct, frozen=True):
    """A node that subscribes to a group. ``filter_mode`` is ``include`` or ``exclude``; ``since_s``: for how long it
    has, as far as this node knows. ``permitted``: its certificate lets it receive the group; else it is sent nothing.
    """

    node: str
    filter_mode: str
    sources: list[str]
    since_s: float | None = None
    permitted: bool = True


class Router(msgspec.Struct, frozen=True):
    """A multicast router on a port. ``seen_by``: ``query`` or ``pim``; ``expires_s``: when it is forgotten, unheard."""

    address: str
    seen_by: str
    expires_s: float | None


class Querier(msgspec.Struct, frozen=True):
    """The querier on one port (0: the TAP) in one VLAN (0: untagged). ``protocol`` is ``igmp`` or ``mld``,
    ``expires_s`` when this node takes over from a silent one (None: it is the querier), ``routers`` those that
    were seen there.
    """

    port: int
    vlan: int
    protocol: str
    is_this_node: bool
    address: str
    version: int
    expires_s: float | None
    robustness: int
    query_interval_s: float
    routers: list[Router]
    port_name: str = ""
    """The port's interface."""


class LocalSource(msgspec.Struct, frozen=True):
    """A source of a group at this node. ``expires_s`` None: it is excluded, its timer has run out."""

    source: str
    expires_s: float | None


class LocalHost(msgspec.Struct, frozen=True):
    """A host of this node: its filter by its last report, and the version of that. ``since_s``: for how long it
    has been a member.
    """

    mac: str
    ip: str
    version: int
    filter_mode: str
    sources: list[str]
    expires_s: float
    since_s: float | None = None


class LocalJoin(msgspec.Struct, frozen=True):
    """A PIM Join that was received: for a source, or any (``*``), to the router that is to send it."""

    source: str
    upstream: str
    expires_s: float


class LocalGroup(msgspec.Struct, frozen=True):
    """A group on one port of this node, as its hosts together want it. ``expires_s``: the group timer, None in
    INCLUDE mode; ``version``: the compatibility mode; ``leaving``: last-member queries are under way. ``joins``: those
    of PIM routers there; where no host did, the mode is theirs and ``version`` is 0.
    """

    port: int
    filter_mode: str
    sources: list[LocalSource]
    expires_s: float | None
    version: int
    leaving: bool
    hosts: list[LocalHost]
    joins: list[LocalJoin] = []
    port_name: str = ""
    """The port's interface."""
    since_s: float | None = None
    """The time that the port has had a member, in seconds."""


class Sender(msgspec.Struct, frozen=True):
    """A host that sends to a group, or did in the last 210 s. ``node``: where it enters the overlay; ``port``: the
    interface of this node that it comes in by, empty behind another node.

    ``since_s``: since its first frame, or the first after 210 s of silence; ``silent_s``: since its last. ``packets``
    and ``bytes``: what was counted here since then: of a host of this node what it sent, of others what hosts here were
    given. ``pps`` and ``rate_bps``: frames and bits a second, Ethernet headers included, over the last two to four
    seconds; None: not measured yet.
    """

    source: str
    node: str
    port: str
    since_s: float
    silent_s: float
    packets: int
    bytes: int
    pps: float | None
    rate_bps: float | None
    permitted: bool = True
    """This node's certificate lets it send there; else the frames of its hosts are dropped (``send_not_permitted``)."""


class Group(msgspec.Struct, frozen=True):
    """One multicast group, of one source or of any that has no row of its own (``*``). ``local``: a host of this node
    subscribes to it; without ``members`` nobody does, and it is here for its senders. ``group`` may be a prefix of
    groups, which nodes get for the routers there: its ``tx`` is of groups that nobody joined.

    ``rx_packets``: frames given to hosts of this node, from other nodes and from other ports of this one;
    ``tx_packets``: frames of its hosts that other nodes get, once each. What stays within one port's LAN passes no node
    and is in neither.
    """

    group: str
    source: str
    members: list[Member]
    local: bool
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    vlan: int = 0
    """0: untagged."""
    here: list[LocalGroup] = []
    """The group on the ports of this node, whatever the source."""
    senders: list[Sender] = []
    """Senders that this node knows: its own hosts, wanted or not, and those of other nodes that hosts here get."""
    authenticated: bool = False
    """Its frames are sealed for each receiver alone, and others' count here only so (``up --authenticated``)."""
    stream: RootedStream | None = None
    """The stream of the row that begins at this node, once a host has sent."""


class TouchedGroup(msgspec.Struct, frozen=True):
    """A group, or a prefix of groups, whose rows are to be replaced by those that come along: by none, if none do."""

    vlan: int
    group: str


class GroupChanges(msgspec.Struct, frozen=True):
    """Changes of ``groups`` and of ``queriers``. With ``snapshot`` they are all there are: the first answer,
    or the position was another run's, or too far behind. ``queriers`` None: they are the same as before.
    """

    position: int
    """Where to go on from."""
    snapshot: bool
    touched: list[TouchedGroup]
    queriers: list[Querier] | None
    groups: list[Group] = []
    """The last field: it is written row by row."""


class Host(msgspec.Struct, frozen=True):
    """A machine whose frames a node carries. ``age_s``: since it was last seen."""

    mac: str
    ip: list[str]
    node: str
    age_s: float
    port: int | None = None
    """None behind another node."""
    vlan: int = 0
    """0: untagged."""
    router: bool = False
    """The host advertises itself as an IPv6 router."""
    moves: int = 0
    """Moves from node to node or port to port, in the last minutes."""
    duplicate: bool = False
    """The host is in two places at once, and kept where it was."""
    conflicts: list[str] = []
    """MACs of other hosts that claim one of its addresses."""
    unreachable: str = ""
    """Why frames to it reach nobody now: its node has no link to this one. Empty: they do."""
    own: bool = False
    """This node's own interface; in switch mode, with the machine's address on the LAN."""
    name: str = ""
    """The host's own name, by DHCP or mDNS; known at its own node only."""


Answer: TypeAlias = Status | list[Peer] | list[Group] | list[Host] | Bridge | TreeTrace | Why


Rows: TypeAlias = Iterator[msgspec.Struct | None]
"""A long list row by row; at None, as at each row, whoever takes them may pause."""


@dataclass(frozen=True, slots=True)
class Sliced:
    """An answer whose last field, an empty list in ``head``, holds the rows."""

    head: GroupChanges
    rows: Rows


class ApiRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line from a client."""

    verb: Verb
    since: int | None = None
    """The position that the last answer to ``group_changes`` gave."""
    group: str = ""
    """The group of ``trace``, the node or group of ``why``."""
    source: str = ""
    """The source of ``trace``; empty: any."""


REQUEST_MALFORMED = "request_malformed"
NOT_THE_OWNER = "not_the_owner"
TOO_MANY_CLIENTS = "too_many_clients"
ANSWER_TOO_LARGE = "answer_too_large"
INTERNAL_ERROR = "internal_error"

MAX_REQUEST_BYTES = 4096
MAX_ANSWER_BYTES = 256 * 2**20
"""Full tables fit: 262,144 hosts, or the groups of 64 nodes with 16,384 each. A row is 250 bytes and more."""
