"""Relays that withhold are named, at the node that has found it and at the root, for a minute."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.dataplane.withholding_relays import SHOWN_FOR, SILENT_FOR, WithholdingRelays

ME, RELAY, ROOT = NodeIndex(1), NodeIndex(2), NodeIndex(3)


def texts(relays: WithholdingRelays, now: float) -> list[tuple[str, str]]:
    found = relays.problems(Instant(now), ME, lambda node: f"n{node}")
    return [(problem.subject, problem.text) for problem in found if problem.kind == "relay_withholds"]


def test_a_relay_is_named_with_the_root_whose_streams_it_withholds() -> None:
    relays = WithholdingRelays()
    relays.found(Instant(0.0), RELAY, ROOT)
    relays.found(Instant(1.0), RELAY, ME)
    (own, own_text), (others, text) = texts(relays, 2.0)
    assert (own, others) == ("n2 of n1", "n2 of n3")
    assert own_text.startswith("n2 sends on too little of streams of this node: receivers get it by others now: ")
    assert text.startswith("n2 sends on too little of streams of n3: this node gets it by another one now: ")


def test_a_relay_is_named_for_a_minute_after_the_last_time() -> None:
    relays = WithholdingRelays()
    relays.found(Instant(0.0), RELAY, ROOT)
    relays.found(Instant(30.0), RELAY, ROOT)
    assert len(texts(relays, 29.0 + SHOWN_FOR)) == 1
    assert texts(relays, 30.0 + SHOWN_FOR) == []


def test_a_relay_that_was_silent_is_named_when_its_link_lives_on() -> None:
    relays = WithholdingRelays()
    relays.found(Instant(0.0), RELAY, ROOT, silent=True)
    assert texts(relays, SILENT_FOR - 0.1) == []
    assert len(texts(relays, SILENT_FOR)) == 1
    relays.forget(RELAY)
    assert texts(relays, SILENT_FOR) == []


def test_a_relay_that_was_silent_for_a_moment_is_not_named_and_one_that_is_shown_stays() -> None:
    relays = WithholdingRelays()
    relays.returned(Instant(0.0), RELAY, ROOT)
    relays.found(Instant(0.0), RELAY, ROOT, silent=True)
    relays.returned(Instant(SILENT_FOR - 1), RELAY, ROOT)
    assert texts(relays, SILENT_FOR) == []
    relays.found(Instant(20.0), RELAY, ROOT)
    relays.returned(Instant(20.0), RELAY, ROOT)
    assert len(texts(relays, 20.0)) == 1


def test_what_is_found_later_hides_nothing_that_is_shown() -> None:
    relays = WithholdingRelays()
    relays.found(Instant(0.0), RELAY, ROOT)
    relays.found(Instant(1.0), RELAY, ROOT, silent=True)
    assert len(texts(relays, 2.0)) == 1
