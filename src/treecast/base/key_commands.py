"""Commands about keys in use. See ``base.commands``."""

from __future__ import annotations

from treecast.base.command import DataPlaneCommand
from treecast.base.ids import StreamId


class AnnounceKey(DataPlaneCommand, frozen=True):
    """Repeats to the next hops that the key is in use that took another one's place, unless datagrams do.

    Nothing happens where there is no such tree any more.
    """

    stream: StreamId
