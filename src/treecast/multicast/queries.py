"""The queries that a node sends on one port: as whole frames, counted."""

from __future__ import annotations

from dataclasses import replace

from treecast.base.addresses import IPAddress
from treecast.multicast.group import SpecificQuery
from treecast.multicast.protocol import NO_ADDRESS, PortSource, Protocol
from treecast.multicast.querier import Querier
from treecast.wire.group_membership import MembershipQuery


class Queries:
    """One protocol's. ``sent``: how many so far."""

    def __init__(self, protocol: Protocol, version: int) -> None:
        self.sent = 0
        self._protocol = protocol
        self._version = version

    def general(self, source: PortSource, querier: Querier) -> list[bytes]:
        """The frames of the general query that is due. A switch that is not the querier sends it from 0.0.0.0, which
        wins no election (RFC 4541 section 2.1.1); the higher address of MLD wins none either.
        """
        if not querier.is_querier and self._protocol.ip_version == 4:
            source = replace(source, address=NO_ADDRESS)
        return self._frames(source, self._query(querier, self._protocol.general, querier.general_response_time))

    def specific(self, source: PortSource, querier: Querier, group: IPAddress, specific: SpecificQuery) -> list[bytes]:
        """The frames of one query: more than one where its sources do not fit the smallest MTU."""
        query = self._query(querier, group, querier.intervals.last_member_query_interval)
        query = replace(query, suppress=specific.suppress)
        size = self._protocol.sources_per_query
        parts = [specific.sources[at : at + size] for at in range(0, len(specific.sources), size)] or [()]
        return [frame for part in parts for frame in self._frames(source, replace(query, sources=part))]

    def _query(self, querier: Querier, group: IPAddress, max_response_time: float) -> MembershipQuery:
        return MembershipQuery(
            version=self._version,
            group=group,
            max_response_time=max_response_time,
            robustness=querier.intervals.robustness,
            query_interval=querier.intervals.query_interval,
        )

    def _frames(self, source: PortSource, query: MembershipQuery) -> list[bytes]:
        self.sent += 1
        sources = [source]
        if source.is_kernels_own:
            sources.append(replace(source, address=NO_ADDRESS))
        return [self._protocol.message_frame(query, one) for one in sources]
