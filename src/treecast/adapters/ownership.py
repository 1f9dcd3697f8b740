"""Whether other accounts may write what the CA or a node takes for its own: then its content is theirs."""

from __future__ import annotations

import stat
from pathlib import Path

from treecast.adapters.files import explained
from treecast.base.errors import OperatorError

OTHERS_WRITE = 0o022


def require_unwritten(path: Path, harm: str, after: str = "") -> None:
    """OperatorError where other accounts may write a file, or put files of theirs into a directory.

    ``harm``: what they may have done, in words; ``after``: what to do after the command that helps.
    """
    with explained(f"read {path}"):
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS_WRITE:
        raise OperatorError(
            f"{path} can be written by other accounts (mode {mode:04o}), who may {harm}: chmod go-w {path}{after}"
        )
