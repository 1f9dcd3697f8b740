"""Words that the code once had for the field's nouns and verbs stay away. docs/vocabulary.md has those of today."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FORMER = [
    "Wish",
    "wishes",
    "GroupRoom",
    "apart_hosts",
    "ApartHosts",
    "Residence",
    "residence",
    "Ledger",
    "ledger",
    "LEDGER_MALFORMED",
    "Rival",
    "MAX_RIVALS",
    "share_port",
    "own_port",
    "set_silent",
    "tell_routers",
    "hear_own",
    "want_remote",
    "Plane",
    "Outlet",
    "MemberTree",
    "RemoveMemberTree",
    "MAX_MEMBER_TREES",
    "member_tree_table_full",
    "remove_member_tree",
    "Lane",
    "Tally",
    "hand_out",
    "send_read",
    "Joining",
    "_Joining",
    "OwnLink",
    "Nested",
    "Surroundings",
    "ParkedKeys",
    "KeyTaken",
    "Reach",
    "worth_trying",
    "is_news",
    "has_ended",
    "_has_ended",
    "questions_answered",
    "questions_kept",
    "questions_crossed",
    "_question",
    "joining_room",
    "note_crossed",
    "has_room",
    "without_room",
    "room_len",
    "heard_node",
    "_hear_refused",
    "rival_told",
    "tell_groups",
    "_tell_status",
    "ask_workers",
    "heard_ns",
    "last_heard",
    "heard_at",
    "speaks_of_the_link",
]
"""Identifiers that had no other meaning; those that have one ("cross", "seeking", "reach") cannot be looked for."""


def sources() -> list[Path]:
    return [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.pyi"), *ROOT.glob("crates/*/src/**/*.rs")]


def test_former_words_stay_away() -> None:
    former = re.compile(rf"\b({'|'.join(FORMER)})\b")
    texts = {path: path.read_text(encoding="utf-8") for path in sources()}
    assert len(texts) > 300
    found = [(path, word) for path, text in texts.items() for word in former.findall(text)]
    assert [f"{path.relative_to(ROOT)}: {word}" for path, word in found] == []
