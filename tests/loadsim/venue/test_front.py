"""The front: what is not a WebSocket for the application gets a quick, complete answer."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from loadsim.venue.config import VenueConfig
from loadsim.venue.front import PER_HOST_MAX, Front, is_loopback
from loadsim.venue.stats import Stats
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


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (None, True),
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
def test_is_loopback(peer: str | None, expected: bool) -> None:
    assert is_loopback(peer) is expected


def test_strangers_are_limited_by_address() -> None:
    front = Front.__new__(Front)
    front._per_host = {}
    assert all(front._admit("10.0.0.1") for _ in range(PER_HOST_MAX))
    assert not front._admit("10.0.0.1")
    assert front._admit("10.0.0.2")
    assert all(front._admit("127.0.0.1") for _ in range(3 * PER_HOST_MAX))
    front._dismiss("10.0.0.1")
    assert front._admit("10.0.0.1")
    for _ in range(PER_HOST_MAX):
        front._dismiss("10.0.0.1")
    assert front._per_host == {"10.0.0.2": 1}
    assert Stats().connections == 0
