"""Strangers, who know all of a network but its key, get not one byte."""

from __future__ import annotations

import random
import socket
from collections import Counter
from dataclasses import replace

import pytest

from tests.lab.hostile.siege import Siege, counting
from treecast import _native
from treecast.adapters.noise import native_network
from treecast.adapters.storage import load_network

COUNT = 50


def test_a_stranger_who_knows_the_network_s_id_but_not_its_key_gets_not_one_byte(siege: Siege) -> None:
    rng = random.Random(11)
    guessed = replace(load_network(siege.net.network), key=rng.randbytes(32))
    key = _native.StaticKey(rng.randbytes(32))
    inits = [_native.Handshake.initiate(key, native_network(guessed), 1 + n).init_datagram() for n in range(COUNT)]
    victim = siege.net[1]
    with siege.undisturbed(), siege.open_socket() as own, counting(victim, Counter(handshake_mac=COUNT)):
        siege.throw(own, victim, inits)
        own.setblocking(False)
        with pytest.raises(BlockingIOError):
            own.recv(2048, socket.MSG_PEEK)
