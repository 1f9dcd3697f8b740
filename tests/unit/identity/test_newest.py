"""The higher serial of two certificates of one node counts, whatever their times."""

from __future__ import annotations

import pytest

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.identity import newest as newest_certificates
from treecast.identity.certificate import Certificate
from treecast.identity.keys import NodeKeys
from treecast.identity.newest import NewestCertificates, is_newer, is_renewal
from treecast.sim.world import World

WORLD = World(1)
MINE, OLD_KEYS, NEW_KEYS = (NodeKeys.from_seeds(bytes([number]) * 32, bytes([number]) * 32) for number in (1, 2, 3))


def certificate(keys: NodeKeys, serial: int, index: int = 2, not_before_s: int = 0) -> Certificate:
    WORLD._serials = serial - 1
    return WORLD.certify(NodeIndex(index), keys, not_before_s=not_before_s)


def test_an_older_certificate_with_other_keys_is_refused_once_the_newer_is_known() -> None:
    newest = NewestCertificates(certificate(MINE, 0, index=1))
    old, new = certificate(OLD_KEYS, 10), certificate(NEW_KEYS, 20)
    newest.require(old)
    assert newest.replacing(old) is None
    assert newest.with_other_keys() == ()
    newest.require(new)
    assert newest.with_other_keys() == (old.node_index,)
    assert newest.replacing(old) == new
    assert newest.replacing(new) is None
    with pytest.raises(MalformedError, match="certificate_replaced"):
        newest.require(old)


def test_who_shows_the_certificate_before_a_renewal_has_the_rights_of_the_renewed_one() -> None:
    newest = NewestCertificates(certificate(MINE, 0, index=1))
    before, renewed = certificate(OLD_KEYS, 10), certificate(OLD_KEYS, 20)
    assert newest.require(before) == before
    assert newest.require(renewed) == renewed
    for _ in range(2):
        assert newest.require(before) == renewed
    assert newest.require(certificate(OLD_KEYS, 15)) == renewed, "newer than the first, and older than the newest"
    assert newest.with_other_keys() == ()
    assert newest.replacing(before) is None


def test_a_clock_of_the_ca_that_was_set_back_changes_nothing() -> None:
    newest = NewestCertificates(certificate(MINE, 1, index=1))
    old, new = certificate(OLD_KEYS, 10, not_before_s=5_000), certificate(NEW_KEYS, 11, not_before_s=1_000)
    renewed = certificate(NEW_KEYS, 12, not_before_s=500)
    for shown in (old, new, renewed):
        assert newest.require(shown) == shown
    assert (newest.replacing(old), newest.replacing(new)) == (renewed, None)
    with pytest.raises(MalformedError, match="certificate_replaced"):
        newest.require(old)
    assert is_newer(new, old) and not is_newer(old, new)
    assert is_renewal(renewed, new) and not is_renewal(new, renewed) and not is_renewal(new, old)


@pytest.mark.parametrize("later_s", [0, 7])
def test_of_two_with_one_serial_all_nodes_choose_the_same(later_s: int) -> None:
    one, two = certificate(OLD_KEYS, 10, not_before_s=later_s), certificate(NEW_KEYS, 10)
    refused = []
    for order in ((one, two), (two, one)):
        newest = NewestCertificates(certificate(MINE, 0, index=1))
        for shown in (*order, *order):
            try:
                newest.require(shown)
            except MalformedError:
                refused.append(shown)
    assert refused
    assert set(refused) == {two if later_s else min(one, two, key=lambda shown: shown.static_key)}


def test_a_node_sees_that_its_own_certificate_is_replaced() -> None:
    own, renewed, other = (certificate(keys, at, 1) for keys, at in ((MINE, 10), (MINE, 20), (NEW_KEYS, 30)))
    newest = NewestCertificates(own)
    newest.require(renewed)
    assert newest.replacing_own() is None
    newest.require(other)
    assert newest.replacing_own() == other


def test_of_further_nodes_than_there_is_room_for_the_newest_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_certificates, "MAX_NEWEST_CERTIFICATES", 2)
    newest = NewestCertificates(certificate(MINE, 0, index=1))
    for index in (2, 3):
        for keys, serial in ((OLD_KEYS, 10), (NEW_KEYS, 20)):
            newest.require(certificate(keys, serial, index=index))
    assert [newest.name(NodeIndex(index)) for index in (1, 2, 3)] == ["n1", "n2", ""]
    assert newest.require(certificate(OLD_KEYS, 10, index=3))
