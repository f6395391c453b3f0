"""`/stats` and `/faults`: JSON, for this machine, and strict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadsim.venue.control import Control
from potrio.transport.accept import HttpRequest


async def test_stats_are_json_and_count(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.order(requestId="a")
        status, stats = await world.http(venue, "GET /stats")
        assert status == 200
        assert stats["connections"]["now"] == stats["connections"]["authenticated"] == 1
        assert stats["orders"] == {"a": 1}
        assert stats["deals"] == {"opened": 1, "settled": 0, "cancelled": 0}
        assert stats["accounts"][0]["balance"] == 49_990
        assert (await world.http(venue, "POST /stats"))[0] == 405


async def test_faults_are_added_shown_and_forgotten(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue:
        rules = [{"kind": "lose", "event": "x"}, {"kind": "refuse", "uid": 3, "count": None}]
        status, answer = await world.http(venue, "POST /faults", json.dumps(rules).encode())
        assert (status, answer["added"]) == (200, 2)
        status, answer = await world.http(venue, "GET /faults")
        assert [rule["kind"] for rule in answer["faults"]] == ["lose", "refuse"]
        assert await world.http(venue, "DELETE /faults") == (200, {"faults": []})
        assert await world.http(venue, "GET /faults") == (200, {"faults": []})
        assert (await world.http(venue, "PUT /faults"))[0] == 405


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "not JSON"),
        (b"[" * 500, "not JSON"),
        (b'{"kind":"nope"}', "Invalid enum value"),
        (b'{"kind":"delay"}', "delay_ms"),
        (b'{"kind":"lose","more":1}', "unknown field"),
        (b"7", "Expected `object`"),
        (b'{"kind":"lose","count":0}', "count"),
    ],
)
async def test_bad_faults_are_refused_whole(autojump_clock: Any, world: Any, body: bytes, error: str) -> None:
    async with world.venue() as venue:
        status, answer = await world.http(venue, "POST /faults", body)
        assert status == 400
        assert error in answer["error"]
        assert len(venue.exchange.plan) == 0


class Page:
    """A request as `Control` sees it."""

    body = b'{"kind":"lose"}'
    status = 0

    def __init__(self, path: str, **headers: str) -> None:
        self.path = path
        self.method = "GET" if path == "/stats" else "POST"
        self.headers = {"host": "127.0.0.1:18080"} | headers

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    async def respond(self, status: int, *_: Any, **__: Any) -> None:
        self.status = status


@pytest.mark.parametrize("path", ["/stats", "/faults"])
@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.7", {}),
        ("127.0.0.1", {"origin": "https://example.com"}),
        ("127.0.0.1", {"origin": "null"}),
        ("127.0.0.1", {"host": "evil.example:18080"}),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example:18080"}),
        ("127.0.0.1", {"host": ""}),
    ],
)
async def test_the_pages_are_for_this_machine_only(
    world: Any, path: str, peer: str, headers: dict[str, str]
) -> None:
    async with world.venue() as venue:
        asked: list[int] = []

        def snapshot() -> dict[str, Any]:
            asked.append(1)
            return {}

        control = Control(venue.exchange, snapshot)
        page = Page(path, **headers)
        assert await control.answer(_request(page), peer)
        assert page.status == 403
        assert asked == []
        assert len(venue.exchange.plan) == 0
        for host in ("127.0.0.1:1", "localhost:1", "[::1]:1", "localhost", "[::1]", "LOCALHOST:1"):
            page = Page(path, host=host)
            assert await control.answer(_request(page), "127.0.0.1")
            assert page.status == 200
        assert not await control.answer(_request(Page("/other")), "127.0.0.1")


def _request(page: Page) -> HttpRequest:
    return page  # type: ignore[return-value]  # it has all that is asked for
