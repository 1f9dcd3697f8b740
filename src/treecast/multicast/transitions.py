"""The table of RFC 3376 section 6.4 (RFC 9776 section 6.4, RFC 3810 section 7.4, RFC 9777 section 7.4).

A router's state for a group is INCLUDE (A): forward these sources, each with a timer; or EXCLUDE (X,Y): forward all
but Y, where X are requested sources with a timer. The rows are the RFC's, in its order and letters: in INCLUDE rows A
is the state and B the report's list; in EXCLUDE rows X,Y is the state and A the report's list. "Delete" actions
follow from the new state: what it does not name is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from treecast.base.membership import FilterMode
from treecast.multicast.set_expression import NOTHING, SetExpression, Sources, letter
from treecast.wire.group_membership import RecordType


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``gmi``: sources whose timer becomes the Group Membership Interval; ``group_timer``: sources whose
    timer becomes what the group timer is before this row; ``query``: the X of "Send Q(G,X)".
    """

    state: FilterMode
    received: RecordType
    new_state: FilterMode
    requested: SetExpression
    excluded: SetExpression = NOTHING
    gmi: SetExpression = NOTHING
    group_timer: SetExpression = NOTHING
    query: SetExpression = NOTHING
    query_group: bool = False
    restart_group_timer: bool = False

    def letters(self, requested: Sources, excluded: Sources, reported: Sources) -> Mapping[str, Sources]:
        """The sets by the letters that this row uses."""
        if self.state is FilterMode.INCLUDE:
            return {"A": requested, "B": reported}
        return {"X": requested, "Y": excluded, "A": reported}

    def __str__(self) -> str:
        """The row as the RFC prints it."""
        include = self.state is FilterMode.INCLUDE
        before = f"INCLUDE (A) {_SHORT[self.received]} (B)" if include else f"EXCLUDE (X,Y) {_SHORT[self.received]} (A)"
        into = self.new_state is FilterMode.INCLUDE
        after = f"INCLUDE ({self.requested})" if into else f"EXCLUDE ({self.requested},{self.excluded})"
        actions = [f"({self.gmi})=GMI"] if self.gmi.text else []
        actions += [f"({self.group_timer})=Group Timer"] if self.group_timer.text else []
        actions += [f"Send Q(G,{self.query})"] if self.query.text else []
        actions += ["Send Q(G)"] if self.query_group else []
        actions += ["Group Timer=GMI"] if self.restart_group_timer else []
        return f"{before} -> {after}: {'; '.join(actions)}"


_SHORT = {
    RecordType.MODE_IS_INCLUDE: "IS_IN",
    RecordType.MODE_IS_EXCLUDE: "IS_EX",
    RecordType.CHANGE_TO_INCLUDE_MODE: "TO_IN",
    RecordType.CHANGE_TO_EXCLUDE_MODE: "TO_EX",
    RecordType.ALLOW_NEW_SOURCES: "ALLOW",
    RecordType.BLOCK_OLD_SOURCES: "BLOCK",
}

_A, _B, _X, _Y = letter("A"), letter("B"), letter("X"), letter("Y")
_IN, _EX = FilterMode.INCLUDE, FilterMode.EXCLUDE
_IS_IN, _IS_EX = RecordType.MODE_IS_INCLUDE, RecordType.MODE_IS_EXCLUDE
_TO_IN, _TO_EX = RecordType.CHANGE_TO_INCLUDE_MODE, RecordType.CHANGE_TO_EXCLUDE_MODE
_ALLOW, _BLOCK = RecordType.ALLOW_NEW_SOURCES, RecordType.BLOCK_OLD_SOURCES

ROWS = (
    # Section 6.4.1: current-state records.
    Row(_IN, _IS_IN, _IN, _A + _B, gmi=_B),
    Row(_IN, _IS_EX, _EX, _A * _B, _B - _A, restart_group_timer=True),
    Row(_EX, _IS_IN, _EX, _X + _A, _Y - _A, gmi=_A),
    Row(_EX, _IS_EX, _EX, _A - _Y, _Y * _A, gmi=_A - _X - _Y, restart_group_timer=True),
    # Section 6.4.2: filter-mode-change and source-list-change records.
    Row(_IN, _ALLOW, _IN, _A + _B, gmi=_B),
    Row(_IN, _BLOCK, _IN, _A, query=_A * _B),
    Row(_IN, _TO_EX, _EX, _A * _B, _B - _A, query=_A * _B, restart_group_timer=True),
    Row(_IN, _TO_IN, _IN, _A + _B, gmi=_B, query=_A - _B),
    Row(_EX, _ALLOW, _EX, _X + _A, _Y - _A, gmi=_A),
    Row(_EX, _BLOCK, _EX, _X + (_A - _Y), _Y, group_timer=_A - _X - _Y, query=_A - _Y),
    Row(_EX, _TO_EX, _EX, _A - _Y, _Y * _A, group_timer=_A - _X - _Y, query=_A - _Y, restart_group_timer=True),
    Row(_EX, _TO_IN, _EX, _X + _A, _Y - _A, gmi=_A, query=_X - _A, query_group=True),
)

TABLE: Mapping[tuple[FilterMode, RecordType], Row] = {(row.state, row.received): row for row in ROWS}
