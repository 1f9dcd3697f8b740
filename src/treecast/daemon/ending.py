"""The end of a node, and its reason: somebody stops it, or it cannot go on."""

from __future__ import annotations

import asyncio

from treecast.base.errors import OperatorError


class Ending:
    """Used on the event loop's thread."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._failure: OperatorError | None = None

    def stop(self) -> None:
        """Somebody stops the node: it sends GOODBYE and exits with 0."""
        self._wanted.set()

    def fail(self, reason: OperatorError) -> None:
        """The node cannot go on: it sends GOODBYE and exits non-zero. The first ``reason`` is its last line."""
        if self._failure is None:
            self._failure = reason
        self._wanted.set()

    async def wait(self) -> None:
        """Waits until the node is to end."""
        await self._wanted.wait()

    @property
    def has_failed(self) -> bool:
        """Whether it ends because it cannot go on."""
        return self._failure is not None

    def check(self) -> None:
        """OperatorError when the node failed."""
        if self._failure is not None:
            raise self._failure
