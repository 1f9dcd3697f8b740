"""The nodes that are believed about a MAC or an address, and how many claims are kept."""

from __future__ import annotations

from ipaddress import ip_address

from tests.unit.discovery.speaking import H1, H2, OTHER, OWN, THIRD, Lan, claim, mac
from treecast.base.addresses import MacAddress
from treecast.base.commands import FloodFrame, Inject
from treecast.base.limits import MAX_ADDRESS_CONFLICTS, MAX_SOLICITATIONS
from treecast.base.time import Instant
from treecast.discovery.conflicts import AddressConflicts
from treecast.discovery.recent_solicitations import REPEAT_WINDOW, RecentSolicitations
from treecast.wire import arp, ethernet, ndp

THEIRS = MacAddress.parse("02:54:00:00:00:02")


def test_a_host_that_names_another_s_mac_in_nd_is_refused_and_teaches_nothing() -> None:
    lan = Lan()
    option = (ndp.link_layer_option(ndp.OPTION_TARGET_LINK_LAYER, H2),)
    message = ndp.NeighborAdvertisement(ip_address("fd00::a"), False, False, True, option)  # type: ignore[arg-type]
    assert lan.nd(H1, "fd00::a", message) == []
    assert lan.counted() == {"ndp_sender_mismatch": 1}
    assert (0, H1) not in lan.published and (0, H2) not in lan.published


def test_the_mac_that_a_certificate_gives_to_a_node_is_no_host_of_another_node() -> None:
    lan = Lan()
    lan.certify(OTHER, THEIRS)
    assert lan.learn(THIRD, THEIRS, claim("10.1.0.1")) == []
    assert lan.counted() == {"host_of_another_node": 1}
    assert [command.peer for command in lan.learn(OTHER, THEIRS, claim()) if hasattr(command, "peer")] == [OTHER]


def test_the_node_s_own_mac_on_another_port_is_refused_and_moves_nothing() -> None:
    lan = Lan()
    lan.announce(OWN, "10.1.0.7", port=3)
    lan.discovery.host_seen(lan.now, 3, 0, OWN)
    lan.settle()
    assert lan.counted() == {"host_of_another_node": 2}
    assert (lan.view(OWN).port, lan.addresses(OWN)) == (0, [ip_address("10.77.0.1")])
    assert lan.published.keys() == {(0, OWN)}


def test_a_claim_that_came_before_the_certificate_ends_with_it() -> None:
    lan = Lan()
    lan.learn(THIRD, THEIRS, claim("10.1.0.1"))
    lan.certify(OTHER, THEIRS)
    assert lan.discovery.remote_hosts().get((0, THEIRS)) is None


def test_a_node_s_own_address_is_answered_for_with_that_node_s_host_alone() -> None:
    lan = Lan()
    lan.learn(THIRD, mac(9), claim("10.77.0.2"))
    lan.certify(OTHER, THEIRS, "10.77.0.2")
    asked = lan.arp(H1, "10.1.0.1", "10.77.0.2")
    assert [type(command) for command in asked] == [FloodFrame]
    lan.learn(OTHER, THEIRS, claim("10.77.0.2"))
    lan.learn(THIRD, H2, claim("10.77.0.2"))
    (answer,) = lan.arp(H1, "10.1.0.1", "10.77.0.2")
    assert isinstance(answer, Inject)
    assert arp.parse(ethernet.parse(answer.frame).payload).sender_mac == THEIRS


def test_solicitations_are_remembered_for_their_window_and_so_many_of_them() -> None:
    recent = RecentSolicitations()
    target = (0, ip_address("10.1.0.1"))
    now = Instant(100.0)
    assert not recent.is_repeated(now, H1, target)
    assert recent.is_repeated(Instant(now + REPEAT_WINDOW - 0.001), H1, target)
    later = Instant(now + 2 * REPEAT_WINDOW)
    assert not recent.is_repeated(later, H1, target)
    for number in range(MAX_SOLICITATIONS):
        assert not recent.is_repeated(later, mac(number), target)
    assert not recent.is_repeated(later, H1, target), "the oldest is forgotten for a new one"
    assert recent.is_repeated(later, mac(MAX_SOLICITATIONS - 1), target)


def test_conflicts_are_bounded_and_the_oldest_is_forgotten_for_a_new_one() -> None:
    conflicts = AddressConflicts()
    for number in range(MAX_ADDRESS_CONFLICTS + 1):
        assert conflicts.note(Instant(float(number)), (0, ip_address(number)), H1, H2)
    left = [ip_address(number) for number in range(1, MAX_ADDRESS_CONFLICTS + 1)]
    assert [address for (_, address), _ in conflicts.items()] == left
