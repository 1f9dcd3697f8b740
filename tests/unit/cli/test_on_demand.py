"""``up --on-demand NAME=VALUE``: what is taken, and the sentence for what is not."""

from __future__ import annotations

import pytest

from treecast.base.errors import OptionError
from treecast.base.on_demand import MOST_ON_DEMAND, OnDemandConfig
from treecast.cli.on_demand import NAMES, on_demand_config

MAX_LINKS = 8


def test_nothing_typed_is_what_the_design_says() -> None:
    assert on_demand_config([], MAX_LINKS) == on_demand_config([], None) == OnDemandConfig()


def test_each_name_sets_its_value() -> None:
    texts = ["above=4mbit", "for=2min", "volume=500kb", "below=20kbit", "idle=60s", "links=3"]
    assert [text.partition("=")[0] for text in texts] == [*NAMES]
    assert on_demand_config(texts, MAX_LINKS) == OnDemandConfig(4e6, 120.0, 500_000, 2e4, 60.0, 3)
    assert on_demand_config(["links=0"], MAX_LINKS).links == 0


@pytest.mark.parametrize("text", ["", "above", "up=1mbit", "=1mbit", "Above=1mbit"])
def test_another_name_is_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(OptionError, match=r"with one of these names: above, for, volume, below, idle, links$"):
        on_demand_config([text], MAX_LINKS)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("above=fast", "'fast' is no rate: give one as tc writes it"),
        ("above=999", "give a rate from 1kbit to 100gbit"),
        ("below=101gbit", "give a rate from 1kbit to 100gbit"),
        ("for=0s", "give a time from 1s to 1440min"),
        ("for=1h", "give a time from 1s to 1440min"),
        ("idle=1441min", "give a time from 1s to 1440min"),
        ("volume=0mb", "give what goes within a minute, like 10mb or 500kb"),
        ("volume=10", "give what goes within a minute, like 10mb or 500kb"),
        ("links=9", f"give a number from 0, for none, to {MOST_ON_DEMAND}"),
        ("links=-1", f"give a number from 0, for none, to {MOST_ON_DEMAND}"),
        ("links=²", f"give a number from 0, for none, to {MOST_ON_DEMAND}"),
    ],
)
def test_a_value_that_is_none_is_refused_with_a_sentence_and_exit_code_2(text: str, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence) as refused:
        on_demand_config([text], MAX_LINKS)
    assert refused.value.exit_code == 2


def test_a_link_does_not_end_as_it_comes_up() -> None:
    with pytest.raises(OptionError, match="below is a higher rate than above"):
        on_demand_config(["above=1mbit", "below=2mbit"], MAX_LINKS)


def test_a_node_that_is_linked_with_all_has_no_use_for_it() -> None:
    with pytest.raises(OptionError, match=r"^--on-demand is for a node with --max-links"):
        on_demand_config(["links=2"], None)
