"""The entry point of the command ``treecast``: signals are settled first, before what takes time to import."""

from __future__ import annotations

import gc
import sys

from treecast.adapters.signals import end_at_interrupts, ignore_meaningless_signals

IMPORTED_OBJECTS = 100_000
"""All that is imported stays: to look through it for garbage again and again is a tenth of a verb's time."""


def main() -> None:
    """Run the command."""
    gc.set_threshold(IMPORTED_OBJECTS)
    end_at_interrupts()
    if sys.argv[1:2] == ["up"]:
        ignore_meaningless_signals()
    from treecast.cli.main import main as run

    run()
