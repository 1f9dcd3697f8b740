"""The answer to ``trace``. Its fields are what ``--json`` prints, so they are only ever added to."""

from __future__ import annotations

import msgspec


class TracedNode(msgspec.Struct, frozen=True):
    """A node of a tree, by its own answer. ``answered`` False: it gave none within 2 s, and no more is known of it.

    ``service``: how the root sends to it: ``tree``, ``copies`` on its session, or ``none`` until it has acknowledged
    its place. ``parent``, ``backup``: empty where it has none. ``graft``: empty; ``backup``: the backup sends, and
    nothing has come from the parent since; ``both``: both send. ``epoch``, ``key_id``, ``since_s``: of its place.
    ``rtt_ms``, ``loss``: of the link with its parent, by probes; ``pps``, ``rate_bps``: of the stream here, over about
    a second; None: not measured.
    """

    node: str
    answered: bool
    service: str
    subscribes: bool = False
    parent: str = ""
    backup: str = ""
    graft: str = ""
    epoch: int | None = None
    key_id: int | None = None
    since_s: float | None = None
    rtt_ms: float | None = None
    loss: float | None = None
    pps: float | None = None
    rate_bps: float | None = None
    children: list[str] = []
    """The children, at most 64 of them."""


class TracedTree(msgspec.Struct, frozen=True):
    """One tree: what a root sends to a group, from one source or any that has no tree of its own (``*``).

    ``group`` may be a prefix of groups. ``since_s``: that the key has been in use; ``pps``, ``rate_bps``: what hosts of
    the root send, None: not measured; ``left_out``: nodes that were not queried, as there are more than 1,024.
    ``mode``: what the root's operator has said of the group: nothing, ``authenticated``, ``replicated``, ``protected``.
    """

    root: str
    group: str
    source: str
    vlan: int
    stream: int
    epoch: int
    key_id: int
    since_s: float
    pps: float | None
    rate_bps: float | None
    left_out: int
    nodes: list[TracedNode]
    mode: str = ""


class TreeTrace(msgspec.Struct, frozen=True):
    """The trees of a group that this node is on, by root and stream. ``silent``: roots that did not answer in time.

    ``why_none``: where there are no trees, the reason, in words. ``left_out``: how many more trees of a root were not
    traced, by its name: 16 of one root are.
    """

    group: str
    trees: list[TracedTree]
    silent: list[str]
    why_none: str = ""
    left_out: dict[str, int] = {}


class RootedStream(msgspec.Struct, frozen=True):
    """A stream that begins at this node, in use. ``planned``: within this node's bound; else it sends to all itself.

    Since the stream began: ``epochs``: trees, one for each key; ``replans``: those that differed from the one before;
    ``grafts``: reports of nodes that they do without their parent.
    """

    stream: int
    epoch: int
    planned: bool
    epochs: int
    replans: int
    grafts: int
    mode: str = ""
    """``star``, ``planned``, ``copies`` (``up --authenticated``), ``replicated`` (``up --replicate``), ``protected``
    (``up --protect``), or ``unprotected``: it is to be protected, and goes by one tree.
    """
    why_unprotected: str = ""


class Decision(msgspec.Struct, frozen=True):
    """A decision, with its reason, in words. ``since_s``: for how long it is so; None where that is not kept."""

    subject: str
    text: str
    since_s: float | None = None


class Why(msgspec.Struct, frozen=True):
    """The answer to ``why``. ``why_none``: where there are no decisions, the reason, in words."""

    about: str
    decisions: list[Decision]
    why_none: str = ""
