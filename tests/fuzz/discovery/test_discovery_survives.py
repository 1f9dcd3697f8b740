"""Discovery survives any frames and claims: no exception, bounded tables, consistent answers."""

from __future__ import annotations

from random import Random

from tests.fuzz.wire.mutations import arp_frames, mutations, ndp_frames
from tests.unit.discovery.speaking import ME, Lan, mac
from tests.unit.discovery.test_learning import acknowledgement, reply
from treecast.base.commands import FloodFrame, Inject, RemoveHost, SetHost
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_ADDRESSES_PER_HOST, MAX_HOSTS_PER_PORT
from treecast.wire import ethernet
from treecast.wire.advertisement import HostContent

SEED = 20260728


def test_frames_and_claims_of_any_kind_keep_the_tables_whole() -> None:
    rng = Random(SEED)
    lan = Lan()
    seeds = [*arp_frames(), *ndp_frames(), acknowledgement(mac(1), "10.1.0.7"), reply(mac(1), b"", "fd00::7", 60)]
    placed: dict[object, NodeIndex] = {}
    learned = 0
    for data in mutations(rng, seeds, cases=4_000):
        lan.now = type(lan.now)(lan.now + rng.random())
        try:
            frame = ethernet.parse(data)
        except MalformedError:
            continue
        port = rng.randrange(3)
        lan.discovery.receive(lan.now, port, frame, data)
        if rng.random() < 0.2:
            lan.discovery.set_port_forwarding(lan.now, port, rng.random() < 0.8)
        if rng.random() < 0.3:
            claim(lan, rng, frame.vlan_id or 0, frame)
        lan.discovery.advance(lan.now)
        for command in lan.settle():
            match command:
                case SetHost(vlan, host, peer):
                    placed[(vlan, host)] = peer
                case RemoveHost(vlan, host):
                    del placed[(vlan, host)]  # only what was there is taken away
                case other:
                    assert isinstance(other, Inject | FloodFrame)
        local = lan.discovery.local_hosts()
        learned = max(learned, len(local.items()))
        remote = lan.discovery.remote_hosts().items()
        assert placed == {key: owner.node for key, owner in remote if local.get(key) is None}
        assert all(len(host.addresses) <= MAX_ADDRESSES_PER_HOST for _, host in local.items())
        assert len(local.items()) <= 3 * MAX_HOSTS_PER_PORT
        assert set(lan.published) == {key for key, _ in local.items()}
        assert all(view.node == ME or view.port is None for view in filter(None, lan.discovery.hosts(lan.now)))
    assert learned > 3


def claim(lan: Lan, rng: Random, vlan: int, frame: ethernet.EthernetFrame) -> None:
    """Another node claims the host that just spoke, or gives it up."""
    packed = tuple(rng.randbytes(rng.choice((4, 16))) for _ in range(rng.randrange(4)))
    content = HostContent(packed, rng.choice((0, 1, 7, 0xFFFF_FFFF)), rng.randrange(4)) if rng.random() < 0.6 else None
    lan.discovery.learn(lan.now, NodeIndex(rng.choice((2, 3))), (vlan, frame.source), content)
