"""The model's paths behave as those of the data plane, which has written down what it did (``docs/vectors.json``)."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path

from treecast.base.addresses import Endpoint
from treecast.base.time import Instant
from treecast.sim.paths import UNVALIDATED_ADDRESSES, ModelPath, ProbedVia

VECTORS = Path(__file__).parents[3] / "docs" / "vectors.json"
FIRST = IPv4Address("192.0.2.0")


def endpoint(number: int) -> Endpoint:
    return Endpoint(FIRST + number, 7700)


def number(of: Endpoint | None) -> int:
    return int(of.address) - int(FIRST) if of is not None else 0


def test_each_step_ends_as_in_the_data_plane() -> None:
    path, did = ModelPath(endpoint(1), Instant(0.0)), set[tuple[str, bool]]()
    for step in json.loads(VECTORS.read_text())["path_steps"]:
        ms, what, *numbers = step.split()
        place, amount, expected = endpoint(int(numbers[0])), int(numbers[1]), int(numbers[2])
        now, result = Instant(int(ms) / 1000), 0
        match what:
            case "heard":
                result = int(path.receive(place, amount, now))
            case "send":
                result = int(path.may_send(place, amount))
            case "challenge":
                path.challenge(place, amount)
            case "answer":
                result = number(path.answered(amount))
            case "set":
                result = number(path.endpoint)
                path.move(place, now)
            case "from":
                result = int(path.is_from(place, now))
            case "prove":
                path.validate(place, now)
            case "turn":
                path.turn(has_route=False)
                result = path.unanswered
            case "reply":
                path.probe_answered(ProbedVia(False, amount), now)
                result = path.unanswered
        assert result == expected, step
        assert len(path.unvalidated) <= UNVALIDATED_ADDRESSES
        did.add((what, bool(result)))
    both = {(what, result) for what in ("heard", "send", "answer", "reply", "from") for result in (True, False)}
    assert did == both | {("challenge", False), ("prove", False), ("set", True), ("turn", True)}
