"""The end of a node, and its reason: somebody stops it, or it cannot go on."""

from __future__ import annotations

import asyncio

from treecast.base.errors import OperatorError


class Ending:
    """Used on the event loop's thread."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._failure: str | None = None

    def stop(self) -> None:
        """Somebody stops the node: it sends GOODBYE and exits with 0."""
        self._wanted.set()

    def fail(self, sentence: str) -> None:
        """The node cannot go on: it sends GOODBYE and exits with 1. The first ``sentence`` is its last line."""
        if self._failure is None:
            self._failure = sentence
        self._wanted.set()

    async def wait(self) -> None:
        """Until the node is to end."""
        await self._wanted.wait()

    def check(self) -> None:
        """OperatorError when the node failed."""
        if self._failure is not None:
            raise OperatorError(self._failure)
