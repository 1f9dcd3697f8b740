"""Messages that trace trees, as nodes emit them."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.property.broadcast.test_what_is_emitted_is_taken import LAST_U32, groups, u32, u64
from treecast.dataplane.tree_gatherings import in_parts
from treecast.wire.control import ControlMessage, TracedTree, TraceRequest, TreeReport
from treecast.wire.traced_trees import MAX_TRACED_CHILDREN, Place, TracedNode

volumes = st.none() | st.tuples(u64, u64)
places = st.builds(
    lambda number, since, rtt, children: Place(
        number, number, number, number, 2, since, rtt, rtt, 0xFFFF, tuple(children)
    ),
    u32,
    u64,
    st.none() | u32,
    st.lists(u32, max_size=MAX_TRACED_CHILDREN),
)
nodes = st.builds(TracedNode, u32, st.integers(0, 255), st.booleans(), st.booleans(), st.none() | places, volumes)
flows = groups.flatmap(
    lambda group: st.tuples(
        st.just(group.packed), st.just(b"") | st.binary(min_size=len(group.packed), max_size=len(group.packed))
    )
)


def traced_trees(flow: tuple[bytes, bytes], listed: list[TracedNode]) -> list[ControlMessage]:
    """The parts of a trace as a root packs them; all numbers are the greatest."""
    parts = [*in_parts(listed)]
    assert [node for part in parts for node in part] == listed
    most, last = 2**63 - 1, LAST_U32
    return [
        TracedTree(
            last,
            number,
            len(parts),
            4095,
            flow[0],
            128,
            flow[1],
            last,
            last,
            last,
            most,
            (most, most),
            last,
            part,
            last,
        )
        for number, part in enumerate(parts)
    ]


TREE_REPORTS = st.builds(TreeReport, u32, u32, u64, st.booleans(), volumes, st.tuples(places, places))
TRACE_REQUESTS = flows.map(lambda flow: TraceRequest(LAST_U32, *flow))
TRACED_TREES = st.builds(traced_trees, flows, st.lists(nodes, max_size=200))
