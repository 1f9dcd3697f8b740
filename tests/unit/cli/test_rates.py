"""``up --uplink``, ``--max-children`` and ``--no-relay``: what is taken, and the sentence for what is not."""

from __future__ import annotations

import pytest

from treecast.base.errors import OperatorError
from treecast.base.relaying import UNBOUNDED, Relaying
from treecast.cli.rates import relaying, uplink


@pytest.mark.parametrize(
    ("text", "bps"),
    [
        ("20mbit", 20_000_000),
        ("20Mbit", 20_000_000),
        ("1.5gbit", 1_500_000_000),
        ("250kbit", 250_000),
        ("2mbps", 16_000_000),
        ("512kibit", 524_288),
        ("100000", 100_000),
        ("100gbit", 100_000_000_000),
    ],
)
def test_rates_are_those_of_tc(text: str, bps: int) -> None:
    assert uplink(text) == bps


@pytest.mark.parametrize(
    "text", ["", "fast", "20 mbit", "-20mbit", "20mb", "mbit", "1e9", "20mbit/s", "²mbit", "1" * 13]
)
def test_what_is_no_rate_is_said_with_an_example(text: str) -> None:
    with pytest.raises(OperatorError, match="is no rate: give one as tc writes it, like 20mbit or 1gbit"):
        uplink(text)


@pytest.mark.parametrize("text", ["0mbit", "99kbit", "101gbit", "1tbit"])
def test_a_rate_that_no_uplink_has_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(OperatorError, match="give a rate from 100kbit to 100gbit"):
        uplink(text)


def test_the_options_together() -> None:
    assert relaying(None, None, no_relay=False) == UNBOUNDED
    assert relaying("20mbit", 4, no_relay=True) == Relaying(False, 20_000_000, 4)


def test_a_number_of_children_is_from_1_to_256() -> None:
    for number in (-1, 257):
        with pytest.raises(OperatorError, match=rf"^--max-children {number}: give a number from 1 to 256$"):
            relaying(None, number, no_relay=False)
    with pytest.raises(OperatorError, match="--no-relay is for none of other nodes' trees"):
        relaying(None, 0, no_relay=False)
