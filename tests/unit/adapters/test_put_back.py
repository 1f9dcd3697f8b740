"""A setting that was put back is reported with the interface's name, one that was not lost or changed never."""

from __future__ import annotations

import pytest

from treecast.adapters.put_back import PutBack


@pytest.mark.parametrize(
    ("put_back", "sentence"),
    [
        (PutBack("tcbr-eth0", settings=("mcast_snooping 1",)), "tcbr-eth0 had been set to mcast_snooping 1: set back"),
        (PutBack("treecast0", ("10.77.0.1/16",)), "treecast0 had lost 10.77.0.1/16: put back"),
        (
            PutBack("tcbr-eth0", ("10.77.0.1/16", "fe80::1/64"), ("224.0.0.0/4",)),
            "tcbr-eth0 had lost 10.77.0.1/16 and fe80::1/64 and the routes to 224.0.0.0/4: put back",
        ),
        (PutBack("treecast0", (), ("a", "b", "c")), "treecast0 had lost the routes to a, b and c: put back"),
        (
            PutBack("tcbr-eth0", (), ("224.0.0.0/4",), ("mcast_snooping 1",)),
            "tcbr-eth0 had lost the routes to 224.0.0.0/4: put back, and had been set to mcast_snooping 1: set back",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_sentence_names_the_interface_and_what_was_lost_or_changed(put_back: PutBack, sentence: str) -> None:
    assert put_back
    assert put_back.in_words() == sentence


def test_an_interface_that_had_lost_nothing_is_not_spoken_of() -> None:
    assert not PutBack("treecast0")
