"""The timers of handshakes. Decides nothing: ``handshakes`` does what is due."""

from __future__ import annotations

from enum import Enum


class HandshakeTimer(Enum):
    """The timers of handshakes, each by the index of one."""

    ATTEMPT = "This node's INIT is repeated, or given up."
    PENDING = "A handshake that another node began is forgotten."
    REFUSAL = "Repetitions of a refused FINAL are not answered any more."
    REFUSABLE = "A refusal of this node's FINAL is not believed any more."
