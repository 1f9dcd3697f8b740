"""State machines are tables, and docs/state-machines.md shows those of the code."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from treecast.base.state_table import StateTable, Transition, UnlistedTransitionError
from treecast.dataplane.sender_key import AT_MEMBER, AT_ROOT, AtMember, MemberEvent, RootEvent
from treecast.designated_forwarder.states import PORT
from treecast.links.states import LINK, SESSION

DOCUMENT = Path(__file__).parents[3] / "docs" / "state-machines.md"
TABLES: dict[str, StateTable[Any, Any]] = {
    "A sender key at its root": AT_ROOT,
    "A sender key at a member": AT_MEMBER,
    "A port on a LAN that nodes share": PORT,
    "A handshake and its session": SESSION,
    "The link to a node": LINK,
}


def test_the_document_shows_exactly_the_tables_of_the_code() -> None:
    sections = [section.partition("\n") for section in DOCUMENT.read_text().split("\n## ")[1:]]
    shown = {
        title: "\n".join(line for line in text.splitlines() if line.startswith("|")) for title, _, text in sections
    }
    assert shown == {title: table.markdown() for title, table in TABLES.items()}


@pytest.mark.parametrize("title", TABLES)
def test_every_state_is_reached_and_every_event_happens_in_some_row(title: str) -> None:
    rows = list(TABLES[title])
    states: type[Enum] = type(rows[0].state)
    events: type[Enum] = type(rows[0].event)
    reached: set[object] = {rows[0].state}
    for _ in rows:
        reached |= {row.new_state for row in rows if row.state in reached}
    assert reached == set(states)
    assert {row.event for row in rows} == set(events)


def test_a_transition_that_is_not_listed_is_an_error() -> None:
    table = StateTable(Transition(AtMember.NONE, MemberEvent.OFFER, AtMember.OFFERED))
    assert table.after(AtMember.NONE, MemberEvent.OFFER) is AtMember.OFFERED
    with pytest.raises(UnlistedTransitionError):
        table.after(AtMember.OFFERED, MemberEvent.OFFER)
    with pytest.raises(UnlistedTransitionError):
        AT_ROOT.after(AT_ROOT.rows[0].new_state, RootEvent.TAKEN)


def test_a_state_and_an_event_are_listed_once() -> None:
    row = Transition(AtMember.NONE, MemberEvent.OFFER, AtMember.OFFERED)
    with pytest.raises(ValueError, match="twice"):
        StateTable(row, row)
