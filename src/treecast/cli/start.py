"""The entry point of the command ``treecast``: signals are settled first, before what takes time to import."""

from __future__ import annotations

import sys

from treecast.adapters.signals import end_at_interrupts, ignore_meaningless_signals


def main() -> None:
    """Run the command."""
    end_at_interrupts()
    if sys.argv[1:2] == ["up"]:
        ignore_meaningless_signals()
    from treecast.cli.main import main as run

    run()
