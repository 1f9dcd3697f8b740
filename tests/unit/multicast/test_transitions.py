"""Each row of RFC 3376 section 6.4, once as text and once through a router, for IGMP and for MLD.

Sources: 1 and 2 are in the router's INCLUDE list A or requested list X, 3 and 4 in Y; records bring 2, 4 and 5.
GMI = 260 s; the state is 100 s old when the record comes, so timers not named by the row stand at 160 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.sim.multicast.virtual_port import ALLOW, BLOCK, IS_EX, IS_IN, TO_EX, TO_IN, VirtualPort
from treecast.base.addresses import IPAddress
from treecast.base.membership import FilterMode
from treecast.multicast import IGMP, MLD, MembershipConfig, Protocol
from treecast.multicast.transitions import ROWS, TABLE
from treecast.wire.group_membership import RecordType

RFC_TABLE = """
INCLUDE (A) IS_IN (B) -> INCLUDE (A+B): (B)=GMI
INCLUDE (A) IS_EX (B) -> EXCLUDE (A*B,B-A): Group Timer=GMI
EXCLUDE (X,Y) IS_IN (A) -> EXCLUDE (X+A,Y-A): (A)=GMI
EXCLUDE (X,Y) IS_EX (A) -> EXCLUDE (A-Y,Y*A): (A-X-Y)=GMI; Group Timer=GMI
INCLUDE (A) ALLOW (B) -> INCLUDE (A+B): (B)=GMI
INCLUDE (A) BLOCK (B) -> INCLUDE (A): Send Q(G,A*B)
INCLUDE (A) TO_EX (B) -> EXCLUDE (A*B,B-A): Send Q(G,A*B); Group Timer=GMI
INCLUDE (A) TO_IN (B) -> INCLUDE (A+B): (B)=GMI; Send Q(G,A-B)
EXCLUDE (X,Y) ALLOW (A) -> EXCLUDE (X+A,Y-A): (A)=GMI
EXCLUDE (X,Y) BLOCK (A) -> EXCLUDE (X+(A-Y),Y): (A-X-Y)=Group Timer; Send Q(G,A-Y)
EXCLUDE (X,Y) TO_EX (A) -> EXCLUDE (A-Y,Y*A): (A-X-Y)=Group Timer; Send Q(G,A-Y); Group Timer=GMI
EXCLUDE (X,Y) TO_IN (A) -> EXCLUDE (X+A,Y-A): (A)=GMI; Send Q(G,X-A); Send Q(G)
"""

GMI, OLD, LMQT = 260.0, 160.0, 2.0


@dataclass(frozen=True)
class Case:
    """``timers``: seconds left after the record, None for an excluded source. ``asked``: sources of Q(G,X)."""

    before: FilterMode
    received: RecordType
    timers: dict[int, float | None]
    group_timer: float | None = None
    asked: tuple[int, ...] = ()
    asks_group: bool = False


INCLUDE, EXCLUDE = FilterMode.INCLUDE, FilterMode.EXCLUDE
CASES = [
    Case(INCLUDE, IS_IN, {1: OLD, 2: GMI, 4: GMI, 5: GMI}),
    Case(INCLUDE, IS_EX, {2: OLD, 4: None, 5: None}, GMI),
    Case(EXCLUDE, IS_IN, {1: OLD, 2: GMI, 3: None, 4: GMI, 5: GMI}, OLD),
    Case(EXCLUDE, IS_EX, {2: OLD, 4: None, 5: GMI}, GMI),
    Case(INCLUDE, ALLOW, {1: OLD, 2: GMI, 4: GMI, 5: GMI}),
    Case(INCLUDE, BLOCK, {1: OLD, 2: LMQT}, asked=(2,)),
    Case(INCLUDE, TO_EX, {2: LMQT, 4: None, 5: None}, GMI, asked=(2,)),
    Case(INCLUDE, TO_IN, {1: LMQT, 2: GMI, 4: GMI, 5: GMI}, asked=(1,)),
    Case(EXCLUDE, ALLOW, {1: OLD, 2: GMI, 3: None, 4: GMI, 5: GMI}, OLD),
    Case(EXCLUDE, BLOCK, {1: OLD, 2: LMQT, 3: None, 4: None, 5: LMQT}, OLD, asked=(2, 5)),
    Case(EXCLUDE, TO_EX, {2: LMQT, 4: None, 5: LMQT}, GMI, asked=(2, 5)),
    Case(EXCLUDE, TO_IN, {1: LMQT, 2: GMI, 3: None, 4: GMI, 5: GMI}, LMQT, asked=(1,), asks_group=True),
]


def test_the_table_is_the_one_of_the_rfc() -> None:
    assert [str(row) for row in ROWS] == RFC_TABLE.strip().splitlines()


def test_every_state_has_a_row_for_every_record() -> None:
    assert set(TABLE) == {(mode, received) for mode in FilterMode for received in RecordType}


@pytest.mark.parametrize("protocol", [IGMP, MLD], ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.before.value}-{case.received.name}")
def test_each_row_gives_its_state_timers_and_queries(case: Case, protocol: Protocol) -> None:
    # Long query intervals keep general queries, which are not the point here, away.
    config = MembershipConfig(fast_leave=False, startup_query_count=1, query_interval=125)
    port = VirtualPort(protocol, config)
    port.start()
    if case.before is EXCLUDE:
        port.report(IS_EX, (3, 4))
        port.report(ALLOW, (1, 2))
    else:
        port.report(ALLOW, (1, 2))
    port.run(100)
    queries = port.report(case.received, (2, 4, 5))

    assert port.timers() == {port.source(number): seconds for number, seconds in case.timers.items()}
    assert port.group_timer() == case.group_timer
    assert port.view().mode is (INCLUDE if case.group_timer is None else EXCLUDE)
    wanted: list[tuple[IPAddress, ...]] = [()] if case.asks_group else []
    if case.asked:
        wanted.append(port.sources(case.asked))
    assert [query.sources for query in queries] == wanted
    assert all(query.group == port.group() and not query.suppress for query in queries)
