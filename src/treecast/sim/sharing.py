"""Work and memory that the engines of one process share: what one of them has verified or holds, no other repeats.

Every value here is immutable, so engines learn nothing through it that they were not sent.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

from treecast.base.installed_trees import InstalledTrees
from treecast.base.on_demand import OnDemandConfig
from treecast.base.planned_tree import LinkPlanner
from treecast.base.relaying import UNBOUNDED
from treecast.base.tree_planner import TreePlanner, star
from treecast.broadcast.store import Record
from treecast.engine.environment import NodeEnvironment
from treecast.identity.certificate import Verifier
from treecast.identity.keys import VerifySignature, verify
from treecast.sim.link_graph import LinkGraph


class VerifiedOnce:
    """A verifier that does the work once per key, context, body and signature; forgeries are remembered too."""

    def __init__(self, inner: VerifySignature = verify, limit: int = 1 << 16) -> None:
        """``limit``: answers remembered; the oldest go first."""
        self.verified = 0
        self._inner = inner
        self._limit = limit
        self._answers: dict[tuple[bytes, bytes, bytes, bytes], bool] = {}

    def __call__(self, public_key: bytes, context: bytes, body: bytes, signature: bytes) -> bool:
        key = (public_key, context, body, signature)
        answer = self._answers.get(key)
        if answer is None:
            self.verified += 1
            if len(self._answers) >= self._limit:
                del self._answers[next(iter(self._answers))]
            answer = self._answers[key] = self._inner(*key)
        return answer


class Shared:
    """One network's verifier and records, and how its nodes plan trees."""

    def __init__(self, ca_public_key: bytes) -> None:
        self.signatures = VerifiedOnce()
        self.verifier = Verifier(ca_public_key, self.signatures)
        self.planner: TreePlanner = star
        """How nodes that start from now on plan their trees."""
        self.relaying = UNBOUNDED
        """Bounds of the children of nodes that start from now on."""
        self.max_links: int | None = None
        """How many links nodes choose that start from now on; None: with all."""
        self.on_demand = OnDemandConfig()
        """Thresholds of links on demand, of nodes that start from now on."""
        self.link_planner: Callable[[], LinkPlanner] = LinkGraph
        """Planners of nodes with bounds."""
        self._records: WeakValueDictionary[bytes, Record] = WeakValueDictionary()

    def environment(self, epoch_ms: int, instance: bytes, installed: InstalledTrees) -> NodeEnvironment:
        """The environment of a node that starts now."""
        return NodeEnvironment(
            (4,),
            ipv6=False,
            epoch_ms=epoch_ms,
            aead=1,
            instance=instance,
            relaying=self.relaying,
            installed=installed,
            max_links=self.max_links,
            on_demand=self.on_demand,
        )

    def intern(self, record: Record) -> Record:
        """The first record of these bytes that is still held anywhere."""
        return self._records.setdefault(record.wire, record)
