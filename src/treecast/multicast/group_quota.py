"""The quota of groups that all ports of a node share."""

from __future__ import annotations


class GroupQuota:
    """A quota of ``most`` groups at a time, over all ports, VLANs and protocols that share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    def acquire(self) -> bool:
        """Take one more group; False when as many as may be are taken."""
        if self.taken >= self._most:
            return False
        self.taken += 1
        return True

    def release(self, count: int = 1) -> None:
        self.taken -= count
