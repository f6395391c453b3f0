"""The front: what is not a WebSocket for the application gets a quick, complete answer."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio

from loadsim.venue.config import VenueConfig
from potrio.errors import UpgradeRejected

POLLING = {"code": 0, "message": "Transport unknown"}


@pytest.mark.parametrize(
    ("head", "status", "body"),
    [
        ("GET /socket.io/?EIO=4&transport=polling", 400, POLLING),
        ("GET /socket.io/?EIO=4", 400, POLLING),
        ("GET /socket.io?EIO=4&transport=polling&t=1", 400, POLLING),
        ("POST /socket.io/?EIO=4&transport=polling", 400, POLLING),
        ("GET /socket.io/?EIO=4&transport=websocket", 400, POLLING),
        ("GET /", 404, b"not found\n"),
        ("GET /socket.iox/", 404, b"not found\n"),
        ("GET /statsx", 404, b"not found\n"),
    ],
)
async def test_other_requests_are_answered_at_once(
    autojump_clock: Any, world: Any, head: str, status: int, body: Any
) -> None:
    async with world.venue() as venue:
        start = trio.current_time()
        assert await world.http(venue, head) == (status, body)
        assert trio.current_time() == start
        assert venue.stats()["http_requests"] == 1
        assert venue.stats()["connections"]["opened"] == 0


async def test_another_version_of_engineio_is_refused(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue:
        with pytest.raises(UpgradeRejected) as caught:
            async with world.client(venue, "EIO=3&transport=websocket"):
                pass
        assert caught.value.status == 400


async def test_a_head_that_does_not_come_is_given_up(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue:
        stream = await world.seam.connect_tcp(0, ("", venue.port))
        await stream.send_all(b"GET / HTTP/1.1\r\nHo")
        start = trio.current_time()
        answer = b"".join([chunk async for chunk in stream])
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - start < 7


async def test_one_connection_too_many_is_refused(autojump_clock: Any, world: Any) -> None:
    async with world.venue(VenueConfig(connections_max=2)) as venue:
        async with world.client(venue) as one, world.client(venue) as two:
            await one.login()
            await two.login()
            with pytest.raises(UpgradeRejected) as caught:
                async with world.client(venue):
                    pass
            assert caught.value.status == 503
        await trio.sleep(1)
        async with world.client(venue) as three:
            await three.login()
        assert venue.stats()["connections"]["refused"] == 1


async def test_a_bug_in_serving_one_client_is_reported_and_harms_no_other(
    autojump_clock: Any, world: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.venue() as venue, world.client(venue) as client, world.client(venue) as other:
        await client.login()
        await other.login(uid=2)

        def fail(*arguments: Any) -> None:
            raise ZeroDivisionError("planted")

        with monkeypatch.context() as patch:
            patch.setattr(venue.exchange.desk, "handle", fail)
            await client.emit("getBalance")
            await client.until_closed()
        await other.order()
        assert venue.stats()["violations"] == {"internal error": 1}
    assert [(record.levelno, record.name) for record in caplog.records] == [(logging.ERROR, "loadsim.venue")]


@pytest.mark.parametrize("limit", ["connections_per_host_max", "unauthenticated_max"])
async def test_strangers_are_limited_in_number(autojump_clock: Any, world: Any, limit: str) -> None:
    config = VenueConfig(limits_loopback=True, **{limit: 3})
    async with world.venue(config) as venue, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(world.client(venue)) for _ in range(3)]
        with pytest.raises(UpgradeRejected):
            async with world.client(venue):
                pass
        assert venue.stats()["connections"]["refused"] == 1
        if limit == "unauthenticated_max":
            await clients[0].login()  # is no stranger any more
        else:
            await clients[0].transport.aclose()
            await trio.sleep(1)
        async with world.client(venue) as another:
            await another.login(uid=2)


async def test_this_machine_is_not_limited(autojump_clock: Any, world: Any) -> None:
    config = VenueConfig(connections_per_host_max=1, unauthenticated_max=1)
    async with world.venue(config) as venue, world.client(venue), world.client(venue) as second:
        await second.login()
