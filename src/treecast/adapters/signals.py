"""Signals of a running node: which of them end it in order, and which mean nothing to it and are ignored.

None that anybody may send ends it without a word. Faults of the process itself do: the kernel does not ask whether a
signal is ignored when an instruction of the process has raised it.
"""

from __future__ import annotations

import signal

END_SIGNALS = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT),
    signal.SIGXCPU,  # the time that ulimit -t leaves is up; SIGKILL is next
)
MEANINGLESS_SIGNALS = (
    signal.SIGHUP,  # a terminal may close; once the node runs, it looks at its files then (``renewal``)
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR),
    *(signal.SIGSTKFLT, signal.SIGTRAP, signal.SIGSYS),
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
    *(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores them already: writes fail with an error
)
"""Signals that would end the process without a word, by signal(7)."""


def end_at_interrupts() -> None:
    """SIGINT ends the process at once and without a word, as SIGTERM does, until somebody takes it.

    By itself Python raises an exception wherever the program is: while it imports that is a traceback, and where
    nothing can be raised, as around a fork, it is printed and forgotten. Nothing changes where SIGINT is ignored, as of
    a job that a script runs in the background.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_at_interrupts() -> None:
    """Undoes ``end_at_interrupts``: KeyboardInterrupt is raised again, for verbs that put away what they have begun."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_meaningless_signals() -> None:
    """Call it in the main thread, before others begin."""
    for number in MEANINGLESS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
