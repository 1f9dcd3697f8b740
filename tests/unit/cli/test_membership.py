"""``--membership NAME=VALUE``: every field of the configuration, in its range, or one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from treecast.base.errors import OperatorError
from treecast.cli.membership import NAMES, membership_config
from treecast.multicast import MembershipConfig


def test_nothing_typed_is_the_rfc_s_defaults() -> None:
    assert membership_config([]) == MembershipConfig()


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("query-interval=60s", "query_interval", 60),
        ("query_interval=2min", "query_interval", 120),
        ("last-member-query-interval=500ms", "last_member_query_interval", 0.5),
        ("startup-query-interval=default", "startup_query_interval", None),
        ("last-member-query-count = 3", "last_member_query_count", 3),
        ("fast-leave=off", "fast_leave", False),
        ("igmp-version=2", "igmp_version", 2),
        ("max-groups=100", "max_groups", 100),
    ],
)
def test_a_value_is_taken_in_its_unit(text: str, field: str, value: object) -> None:
    assert getattr(membership_config([text]), field) == value


def test_the_last_of_two_counts_and_others_are_kept() -> None:
    config = membership_config(["robustness=3", "query-interval=50", "query-interval=40"])
    assert (config.robustness, config.query_interval) == (3, 40)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense=1", "with one of these names: robustness, query-interval"),
        ("query-interval", "give NAME=VALUE"),
        ("query-interval=soon", "give a time like 125, 10s or 500ms, not 'soon'"),
        ("query-interval=0", "query-interval must be between 1 and 31744, not 0"),
        ("query-response-interval=125", "query-response-interval must be less than query-interval"),
        ("robustness=1e1", "give a whole number"),
        ("robustness=8", "robustness must be between 1 and 7, not 8"),
        ("mld-version=3", "mld-version must be between 1 and 2, not 3"),
        ("fast-leave=true", "say on or off"),
        ("max-vlans=0", "max-vlans must be between 1 and 4096, not 0"),
    ],
)
def test_anything_else_is_refused_with_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(OperatorError) as caught:
        membership_config([text])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_field_has_a_name() -> None:
    assert {name.replace("-", "_") for name in NAMES} == set(MembershipConfig.__dataclass_fields__)


def test_every_name_stands_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "multicast.md").read_text(encoding="utf-8")
    table = [row.split("|")[1] for row in page.splitlines() if row.startswith("| ")]
    documented = {name.strip() for cell in table for name in cell.split(",")}
    assert set(NAMES) <= documented
