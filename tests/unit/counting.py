"""How much a call touches, counted in steps of the interpreter: no time, so no threshold that load can break."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, ParamSpec

P = ParamSpec("P")


def steps_of(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> int:
    """Bytecodes that the call runs: a walk over a table, in a comprehension too, takes some for each entry."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call(*args, **kwargs)
    finally:
        sys.settrace(before)
    return steps
