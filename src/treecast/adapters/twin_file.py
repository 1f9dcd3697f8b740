"""``twin.json`` in a node's directory: its last run ended because an older one runs on another machine.

Whatever starts the node again and again would take the older one's traffic for some seconds each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.adapters.files import SECRET_MODE, explained, read_file, replace_file
from treecast.base.errors import IdentityTakenError
from treecast.base.time import iso_date
from treecast.identity.newest import another_node

TWIN_FILE = "twin.json"
REFUSED_FOR_S = 3600
"""Long beside the ten seconds for which a further start harms the older run, short for a person who has stopped it."""
_MAX_BYTES = 4096


class _TwinFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    older_at: Annotated[str, Meta(max_length=1024)]
    ended_unix_s: Annotated[int, Meta(ge=0, le=2**40)]


def write_twin(directory: Path, older_at: str, unix_s: float) -> None:
    """``older_at``: the endpoints of the older run. OperatorError."""
    path = directory / TWIN_FILE
    with explained(f"write {path}"):
        replace_file(path, msgspec.json.encode(_TwinFile(older_at, int(unix_s))) + b"\n", SECRET_MODE)


def require_no_twin(directory: Path, name: str, unix_s: float) -> None:
    """IdentityTakenError where the last run of node ``name`` ended because of an older one, not long ago."""
    path = directory / TWIN_FILE
    with explained(f"read {path}"):
        try:
            file = msgspec.json.decode(read_file(path, _MAX_BYTES), type=_TwinFile)
        except (FileNotFoundError, ValueError):  # damaged: to run and end again does less harm than never to run
            return
    if not 0 <= unix_s - file.ended_unix_s < REFUSED_FOR_S:  # also a clock that was set back
        return
    until = iso_date(file.ended_unix_s + REFUSED_FOR_S)
    raise IdentityTakenError(
        f"node {name} ran on another machine (at {file.older_at}) when it ran here last, so it does not start here "
        f"before {until}: {another_node('here')}; if {name} is to run here, end it there and delete {path}"
    )
