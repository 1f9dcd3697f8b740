"""Every reason that the Python rooms count, and every counter of theirs, is on its page, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from treecast.discovery.view import DiscoveryCounters
from treecast.multicast.protocol import IGMP, MLD

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "treecast"
NOT_COUNTED = ("identity/keys.py", "identity/registry.py", "identity/network.py", "identity/request.py", "sim/")
"""Their MalformedErrors are of an operator's files, not of the network; the simulator is no node."""
ROW = re.compile(r"^\| `([a-z0-9_]+)` \| ([^|]+) \|(?: ([^|]+) \|)?$", re.MULTILINE)


def section(page: str, title: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def constants(module: ast.Module) -> dict[str, str]:
    """The names of a module that stand for text."""
    found: dict[str, str] = {}
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    return found


def called(call: ast.Call) -> str:
    """``MalformedError``, ``drops.count``, ``reason``: the last names of what is called."""
    words = ast.unparse(call.func).split(".")
    return ".".join(word.lstrip("_") for word in words[-2:]) if words[-1] == "count" else words[-1].lstrip("_")


def reasons_of(path: Path) -> Iterator[str]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    names = constants(module)
    for call in (node for node in ast.walk(module) if isinstance(node, ast.Call) and node.args):
        text = ast.literal_eval(call.args[0]) if isinstance(call.args[0], ast.Constant) else None
        text = names.get(call.args[0].id) if isinstance(call.args[0], ast.Name) else text
        if not isinstance(text, str):
            continue
        if called(call) in ("MalformedError", "CertificateError", "drops.count"):
            yield text
        elif called(call) == "reason" or (called(call) == "refuse" and path.name == "router.py"):
            yield from (protocol.reason(text) for protocol in (IGMP, MLD))


def reasons() -> set[str]:
    paths = {path.relative_to(SOURCE).as_posix(): path for path in SOURCE.rglob("*.py")}
    return {reason for name, path in paths.items() if not name.startswith(NOT_COUNTED) for reason in reasons_of(path)}


def test_every_reason_of_the_rooms_is_explained_with_what_to_do_and_no_other() -> None:
    rows = ROW.findall(section("drops.md", "Control plane"))
    assert all(meaning and advice for _, meaning, advice in rows)
    names = [name for name, _, _ in rows]
    assert len(names) == len(set(names))
    found = reasons()
    assert found - set(names) == set(), "counted, and not in docs/drops.md"
    assert set(names) - found == set(), "in docs/drops.md, and never counted"


def test_the_scan_sees_each_way_in_which_a_reason_is_given() -> None:
    assert {"arp_truncated", "beacon_malformed", "host_rate", "igmp_groups_full", "mld_own_query"} <= reasons()


def test_every_counter_of_discovery_is_explained_and_no_other() -> None:
    names = [name for name, _, _ in ROW.findall(section("counters.md", "NodeDiscovery"))]
    assert names == list(DiscoveryCounters().snapshot())
