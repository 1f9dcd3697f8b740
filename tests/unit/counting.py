"""How much a call touches, counted in steps of the interpreter: no time, so no threshold that load can break.

Steps see no walk inside of one: ``sorted``, ``list``, a set's operations and unpacking are one each, whatever their
length. ``times_the_work`` sees those: it compares the processor time of two calls, at one moment of one machine.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, ParamSpec

P = ParamSpec("P")
SAMPLES = 1_000


def steps_of(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> int:
    """Bytecodes that the call runs: a walk over a table, in a comprehension too, takes some for each entry."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()  # what others left behind would be finalized, and counted, within the call
    sys.settrace(trace)
    try:
        call(*args, **kwargs)
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return steps


def times_the_work(call: Callable[[], object], of: Callable[[], object], samples: int = SAMPLES) -> float:
    """The processor time of ``call`` as a multiple of that of ``of``, each the least of many, which alternate."""
    both = (call, of)
    least = [sys.maxsize, sys.maxsize]
    for _ in range(samples):
        for which, one in enumerate(both):
            began = time.thread_time_ns()
            one()
            least[which] = min(least[which], time.thread_time_ns() - began)
    return least[0] / least[1]
