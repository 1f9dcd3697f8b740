"""Words that the code once had for the field's nouns and verbs stay away. docs/vocabulary.md has those of today."""

from __future__ import annotations

import ast
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
    "ask_status",
    "ask_peers",
    "ask_groups",
    "ask_group_changes",
    "ask_hosts",
    "ask_bridge",
    "ask_log_level",
    "HEARD_ONLY",
    "peer_heard_only",
    "_make_room",
    "_makes_room",
    "_require_room",
    "that_makes_room",
    "news_per_s",
    "news_burst",
    "LAST_WORD",
    "_wait_for_room",
    "_is_want_of_room",
    "HEARD_FOR",
    "MOST_ASKED",
    "ASKED_FOR_LINKS",
    "ROOMY_BYTES",
    "is_roomy",
    "has_spoken",
    "longest_unspoken",
    "told_at",
    "_say_why",
    "_ask_machine_left",
    "children_said",
    "CHILDREN_NOT_SAID",
    "UPLINK_NOT_SAID",
    "heard_by_route",
    "last_heard_s",
    "replay_to",
    "until_tick",
    "NetworkNews",
    "network_news",
    "group_way",
    "NewlyServed",
    "LeftOut",
    "PlacedHosts",
    "MachineLeft",
    "_machine_left",
    "ASKING_MAC",
    "refuse_what_no_node_does",
    "carries_own_link",
    "HEARD AGO",
    "MAX_PATH_CANDIDATES",
    "ProvedAddress",
    "PROVED_NS",
    "NeighbourWays",
    "neighbour_ways",
    "InitWays",
    "init_ways",
    "peer_ways",
    "ways_to",
    "way_by",
    "way_of",
    "way_changed",
    "way_unanswered",
    "MAX_FALLEN_WAYS",
    "ProbedWay",
    "is_of_ways",
    "PlacedEndpoints",
    "GroupPlace",
    "has_place",
    "free_place",
    "LIFE_COST",
    "test_questions",
    "own_link_in_udp",
    "route_lost",
    "route_unanswered",
    "route_overused",
    "RoutesLost",
    "OverusedRoutes",
    "overused_routes",
    "MAX_OVERUSED_ROUTES",
    "MAX_FALLEN_ROUTES",
    "RouteType",
    "route_type",
    "RouteWindow",
    "route_window",
    "RouteReceipt",
    "UNANSWERED_ROUTE_TURNS",
    "bridge_table",
    "_Brought",
    "AsMade",
    "_as_made",
    "SiteWord",
    "TOLD_FOR_NS",
    "_NODE_ROOM_BYTES",
    "RESPONSE_ROOM",
    "FINAL_ROOM",
]
"""Identifiers that had no other meaning; those that have one ("cross", "seeking", "reach") cannot be looked for."""


FOLDERS = ("src", "tests", "lab", "bench", "tools", "docs")


def sources() -> list[Path]:
    """All that people read, but for the list above and the changelog."""
    texts = [
        path for top in FOLDERS for kind in ("py", "pyi", "md", "toml") for path in (ROOT / top).rglob(f"*.{kind}")
    ]
    rust = [path for top in ("src", "tests", "benches") for path in ROOT.glob(f"crates/*/{top}/**/*.rs")]
    rust += ROOT.glob("bench/*/src/**/*.rs")
    return [path for path in (*texts, *rust, *ROOT.glob("*.md")) if path not in (Path(__file__), ROOT / "CHANGELOG.md")]


def test_former_words_stay_away() -> None:
    former = re.compile(rf"\b({'|'.join(FORMER)})\b")
    texts = {path: path.read_text(encoding="utf-8") for path in sources()}
    assert len(texts) > 700
    found = [(path, word) for path, text in texts.items() for word in former.findall(text)]
    assert [f"{path.relative_to(ROOT)}: {word}" for path, word in found] == []


def test_names_with_several_meanings_are_no_classes() -> None:
    """Way, place, origin and candidate had several meanings each: one has none any more, the others one."""
    types = re.compile(
        r"^ *(?:pub(?:\(\w+\))? )?(?:class|struct|enum|type) (Way|Place|Origin|Candidate)\b", re.MULTILINE
    )
    texts = {path: path.read_text(encoding="utf-8") for path in sources() if path.suffix in {".py", ".rs"}}
    found = {(word, path.relative_to(ROOT).as_posix()) for path, text in texts.items() for word in types.findall(text)}
    assert {(word, path) for word, path in found if not path.startswith("tests/")} == {
        ("Place", "src/treecast/wire/traced_trees.py"),
        ("Origin", "src/treecast/broadcast/store.py"),
        ("Candidate", "src/treecast/designated_forwarder/election.py"),
    }


def test_only_a_package_that_decides_is_called_room() -> None:
    """``room`` of docs/vocabulary.md: no variable of a quota or a buffer has the name."""
    python = {path: ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for path in (ROOT / "src").rglob("*.py")}
    found = [path for path, nodes in python.items() for node in nodes if is_variable_called_room(node)]
    rust = {path: path.read_text(encoding="utf-8") for path in sources() if path.suffix == ".rs"}
    found += [path for path, text in rust.items() if ROOM_IN_RUST.search(text)]
    assert len(python) > 250 and len(rust) > 100
    assert found == []


ROOM_IN_RUST = re.compile(r"^(?!\s*//).*\b(let (mut )?room\b|room: \w)", re.MULTILINE)


def is_variable_called_room(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == "room") or (isinstance(node, ast.arg) and node.arg == "room")
