"""Problems of a node that need a person now: those of its rooms, in the names that people know."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from treecast.base.addresses import Endpoint
from treecast.base.problems import Problem
from treecast.base.tables import TableUse, nearly_full
from treecast.base.time import Instant
from treecast.engine.identities import one_name_twice, over_and_over, twice
from treecast.engine.refusals import CommandRefusals
from treecast.engine.revoking import Revoking
from treecast.engine.rooms import Rooms


class EngineProblems:
    """Collects the problems of a node's rooms. It keeps nothing."""

    def __init__(self, rooms: Rooms, refusals: CommandRefusals, revoking: Revoking) -> None:
        self._rooms = rooms
        self._refusals = refusals
        self._revoking = revoking

    def present(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> Iterator[Problem]:
        """Cheap enough for once a second. ``endpoints``: where this node is reached."""
        yield from self._revoking.problems()
        if not self._revoking.is_own_revoked:  # else that is why there are no links
            yield from self._rooms.links.problems(now)
            yield from self._rooms.links.neighbour_routes.problems(now, self._rooms.nodes.name)
        yield from self._refusals.problems()
        own_name = self._rooms.certificate.name
        yield from twice(now, self._rooms.broadcast, own_name, endpoints, self._rooms.nodes.name)
        yield from over_and_over(now, self._rooms.broadcast, self._rooms.nodes)
        yield from one_name_twice(self._rooms.nodes, self._rooms.me, endpoints, self._rooms.links.where)
        doubt = partial(self._rooms.links.clock_doubt, now)
        yield from self._rooms.nodes.ending.problems(self._rooms.clock.unix_s(now), doubt)
        nodes, ports = self._rooms.nodes, self._rooms.ports
        yield from nodes.older.problems(now, nodes.name)
        yield from self._rooms.designated_forwarder.problems(now, ports.name, nodes.name, nodes.name_and_address)
        yield from self._rooms.membership.problems(self._rooms.designated_forwarder.is_shared, self._rooms.ports.name)
        yield from self._rooms.discovery.problems(now, self._rooms.nodes.name)
        yield from self._rooms.root_trees.problems(self._rooms.nodes.name)
        yield from self._rooms.root_trees.restless.problems(now, self._rooms.nodes.name_and_address)
        yield from self._rooms.downstream_trees.shared_key_roots.problems(now, self._rooms.nodes.name)
        yield from self._rooms.tree_states.withholding.problems(now, self._rooms.me, self._rooms.nodes.name)
        yield from self._rooms.broadcast.over_quota.problems(now, self._rooms.nodes.name)
        yield from self._rooms.broadcast.reconciliation.problems(now, self._rooms.nodes.name)
        yield from nearly_full(self._tables(), self._rooms.nodes.name)

    def _tables(self) -> Iterator[TableUse]:
        """How full the rooms' tables are."""
        yield from self._rooms.discovery.tables(self._rooms.ports.name)
        yield from self._rooms.membership.tables()
        yield from self._rooms.broadcast.tables()
        yield from self._rooms.root_trees.tables(self._rooms.topology.table.with_most())
        yield from self._rooms.downstream_trees.tables()
        yield from self._rooms.tree_states.tables()
