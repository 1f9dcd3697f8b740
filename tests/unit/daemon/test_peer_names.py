"""Names of peers: one that does not resolve is a problem, and the others are reached all the same."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

import pytest

from treecast.adapters import clock
from treecast.base.addresses import Endpoint, HostPort, IPAddress
from treecast.base.time import Instant
from treecast.daemon.node import REVIEW_INTERVAL
from treecast.daemon.peer_names import PATIENCE, PeerNames


@pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 64 + ".example", "\udcff"])
def test_a_name_that_does_not_resolve_is_a_problem_and_holds_up_no_other(name: str) -> None:
    async def until_both_are_settled() -> tuple[str, tuple[Endpoint, ...]]:
        following = asyncio.ensure_future(names.follow())
        try:
            async with asyncio.timeout(30):
                while not list(names.problems(Instant(0.0))):
                    await asyncio.sleep(0.01)
                sought = {(await reached.get())[0] for _ in peers}
                assert sought == {str(peer) for peer in peers}, "both are sought before either has an address"
                return await reached.get()
        finally:
            following.cancel()

    reached: asyncio.Queue[tuple[str, tuple[Endpoint, ...]]] = asyncio.Queue()
    peers = (HostPort(name, 7700), HostPort("127.0.0.1", 7700))
    names = PeerNames(peers, lambda peer, endpoints: reached.put_nowait((peer, endpoints)), lambda _: "")
    assert asyncio.run(until_both_are_settled()) == ("127.0.0.1:7700", (Endpoint(IPv4Address("127.0.0.1"), 7700),))
    (problem,) = names.problems(Instant(0.0))
    assert (problem.kind, problem.subject) == ("peer_name_unresolved", f"{name}:7700")


def test_a_silent_resolver_is_said_within_five_seconds_at_whatever_instant_problems_are_reviewed() -> None:
    assert PATIENCE + REVIEW_INTERVAL <= 5.0


def test_a_name_whose_resolver_is_silent_is_a_problem_after_four_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def resolver(_: str) -> tuple[IPAddress, ...]:
        asked.set()
        await answer.wait()
        return (IPv4Address("192.0.2.1"),)

    async def asks() -> None:
        following = asyncio.ensure_future(names.follow())
        await asked.wait()
        now = clock.monotonic()
        assert list(names.problems(Instant(now + PATIENCE - 1.0))) == []
        (problem,) = names.problems(Instant(now + PATIENCE))
        assert (problem.kind, problem.subject) == ("peer_name_unresolved", "bob.example:7700")
        assert "does not resolve (the resolver has not answered yet): check its spelling" in problem.text
        answer.set()
        async with asyncio.timeout(30):
            while len(reached) < 2:
                await asyncio.sleep(0)
        assert list(names.problems(Instant(now + PATIENCE))) == []
        following.cancel()

    monkeypatch.setattr("treecast.daemon.peer_names.addresses_of", resolver)
    reached: list[str] = []
    names = PeerNames((HostPort("bob.example", 7700),), lambda peer, _: reached.append(peer), lambda _: "")
    asyncio.run(asks())
