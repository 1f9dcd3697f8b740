"""``treecast`` that is sent a signal in the moment in which it has forked: ``python signalled.py NUMBER VERB ...``."""

from __future__ import annotations

import os
import sys

from treecast.cli.start import main

if __name__ == "__main__":
    number = int(sys.argv.pop(1))
    os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), number))
    main()
