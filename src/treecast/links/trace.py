"""Each handshake and its outcome, one value per step, for the log at debug level. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from treecast.base.addresses import Endpoint
from treecast.base.limits import MAX_TRACED_STEPS
from treecast.wire.handshake import HandshakePayload


class Step(StrEnum):
    """A step of a handshake, as the log has it. A repeated INIT is no step."""

    BEGUN = "handshake begun"
    ANSWERED = "handshake answered"
    GIVEN_UP = "handshake given up"
    INIT_RECEIVED = "handshake asked for"
    ACCEPTED = "handshake accepted"
    REFUSED = "handshake refused"
    REFUSED_BY_PEER = "handshake refused by peer"


@dataclass(frozen=True, slots=True)
class Traced:
    """One step. ``peer``: what this node calls the other one, empty while that is unknown; ``reason``: of a refusal;
    ``payload``: the other node's, where the step authenticated one.
    """

    step: Step
    peer: str
    endpoints: tuple[Endpoint, ...]
    reason: str = ""
    payload: HandshakePayload | None = None


class Trace:
    """The steps since they were last taken, in their order."""

    def __init__(self) -> None:
        self._steps: list[Traced] = []
        self._left_out = 0

    def add(
        self,
        step: Step,
        peer: str,
        endpoints: tuple[Endpoint, ...],
        reason: str = "",
        payload: HandshakePayload | None = None,
    ) -> None:
        if len(self._steps) < MAX_TRACED_STEPS:
            self._steps.append(Traced(step, peer, endpoints, reason, payload))
        else:
            self._left_out += 1

    def take(self) -> tuple[list[Traced], int]:
        """The steps, and how many more there were than are kept."""
        taken = self._steps, self._left_out
        if self._steps:
            self._steps, self._left_out = [], 0
        return taken
