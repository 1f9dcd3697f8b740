"""Problems of groups that this node's certificate does not let it send to, or receive, and that programs here use.

Looks every few seconds, and only where the certificate names prefixes of groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from treecast.base.addresses import IPNetwork
from treecast.base.flows import CountedFlow, GroupKey
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after
from treecast.engine.view import View, group_sort_key
from treecast.identity.certificate import Certificate

LOOK_INTERVAL: Duration = 5.0
SENDER_SILENCE: Duration = 60.0
"""A sender that was silent for longer sends no more."""
_NAMED = 3
"""Groups that are named; the others are counted."""


class Senders(Protocol):
    """The numbers of ``adapters.native.DataPlane`` that are read."""

    def sent_flows(self) -> Iterable[CountedFlow]: ...


class NotPermitted:
    """``problems`` is a source of ``daemon.problems``. ``directory``: where a renewed certificate is to be put."""

    def __init__(self, directory: Path, view: View, plane: Senders) -> None:
        self._directory = directory
        self._view = view
        self._plane = plane
        self._next_look = Instant(0.0)
        self._found: tuple[Problem, ...] = ()

    def problems(self, now: Instant) -> Iterator[Problem]:
        """One for what hosts here send, one for what they want."""
        if now >= self._next_look:
            self._next_look = after(now, LOOK_INTERVAL)
            self._found = tuple(self._look())
        yield from self._found

    def _look(self) -> Iterator[Problem]:
        own = self._view.certificate(self._view.me)
        if own is None:
            return
        view, may_send, may_receive = self._view, own.rights.send_to, own.rights.receive_from
        sent = _sorted(key for key in self._sent() if not view.may_send(key[1])) if may_send is not None else []
        sent = [key for key in sent if self._is_wanted_elsewhere(key)]
        if may_send is not None and sent:
            said = (
                f"programs or hosts here send to {_named(sent)}, which this node's certificate does not let it send to"
            )
            text = f"{said}, so nobody gets that: {self._advice(own, 'send', may_send, sent)}, or stop them"
            yield Problem("send_not_permitted", own.name, text)
        if may_receive is None:
            return
        joined = _sorted(key for key in view.joined_here() if not view.may_receive(view.me, key[1]))
        if joined:
            said = (
                f"programs or hosts here joined {_named(joined)}, which this node's certificate does not let it receive"
            )
            text = f"{said}, so it gets none: {self._advice(own, 'receive', may_receive, joined)}, or leave them"
            yield Problem("receive_not_permitted", own.name, text)

    def _sent(self) -> Iterator[GroupKey]:
        for flow in self._plane.sent_flows():
            if flow.is_sending and flow.silent_s < SENDER_SILENCE:
                yield flow.key

    def _is_wanted_elsewhere(self, key: GroupKey) -> bool:
        return any(member.node != self._view.me for member in self._view.members(key))

    def _advice(self, own: Certificate, option: str, prefixes: tuple[IPNetwork, ...], groups: list[GroupKey]) -> str:
        """The command has all that the node may have now, and those of the groups that are named."""
        more = dict.fromkeys(str(group) for _, group in groups[:_NAMED])
        wanted = ",".join((*map(str, prefixes), *more))
        return (
            f"where the CA key is, run treecast node renew {own.name} --{option} {wanted} (or a prefix of these, or "
            f"all), and put the new node.cert into {self._directory}"
        )


def _sorted(groups: Iterable[GroupKey]) -> list[GroupKey]:
    """Each once."""
    return sorted({*groups}, key=group_sort_key)


def _named(groups: list[GroupKey]) -> str:
    names = [f"{group} (vlan {vlan})" if vlan else str(group) for vlan, group in groups]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"the group {names[0]}" if len(names) == 1 else f"the groups {', '.join(names[:_NAMED])}{more}"
