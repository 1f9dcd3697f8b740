"""Where hosts were placed: a link that comes up touches the hosts of its node."""

from __future__ import annotations

from tests.unit.counting import steps_of
from treecast.base.addresses import MacAddress
from treecast.base.ids import NodeIndex
from treecast.discovery.installed_hosts import InstalledHosts

ONE, OTHER = NodeIndex(1), NodeIndex(2)


def host(number: int) -> tuple[int, MacAddress]:
    return 0, MacAddress(b"\x02" + number.to_bytes(5, "big"))


def test_a_host_is_behind_the_node_where_it_was_placed_last() -> None:
    installed = InstalledHosts()
    installed.put(host(1), ONE)
    installed.put(host(1), OTHER)
    installed.put(host(2), ONE)
    assert (installed.get(host(1)), installed.of(ONE), installed.of(OTHER)) == (OTHER, [host(2)], [host(1)])
    assert installed.remove(host(1)) and not installed.remove(host(1))
    assert (installed.get(host(1)), installed.of(OTHER)) == (None, [])


def test_the_hosts_of_a_node_are_found_without_a_walk_over_all() -> None:
    def steps(hosts: int) -> int:
        installed = InstalledHosts()
        for number in range(hosts):
            installed.put(host(number), OTHER)
        installed.put(host(hosts), ONE)
        return steps_of(installed.of, ONE)

    assert steps(1_000) == steps(10)
