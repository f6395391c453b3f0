"""Whole runs against the embedded venue: verdicts, books, faults, thresholds, and every way to end."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from loadsim.engines.base import EngineError
from loadsim.engines.process import ProcessEngine
from loadsim.live.view import RunView
from loadsim.plan.model import Plan
from loadsim.plan.parse import parse_plan
from loadsim.report.document import build
from loadsim.report.exits import Exit
from loadsim.report.result import RunResult
from loadsim.run import Controller, RunOptions, run_plan
from loadsim.swarm.preflight import TargetUnusable
from loadsim.swarm.venue_process import settings_of
from loadsim.venue.config import VenueConfig, convert
from loadsim.venue.faults import Fault
from loadsim.venue.server import Venue, open_venue
from loadsim.venue.wire import to_json
from potrio.errors import ConfigError, PotrioError
from potrio.seam import REAL, Seam
from potrio.testing.network import MemoryNetwork

LIMITS = "[limits]\nlag_p99_ms = 2000\ncpu_pct = 200\nomitted = 100000\n"
"""What is tested here is not how fast this machine is."""

ASK = '[[act]]\nclient = "a"\ndo = "balance"\nevery = "100ms"\nafter = "300ms"\ndeadline = "1500ms"\n'
WATCH = '[[act]]\nclient = "a"\ndo = "subscribe"\nafter = "100ms"\n'
TRADE = '[[act]]\nclient = "a"\ndo = "open_order"\nafter = "300ms"\nparams = {duration = 5}\n'


def plan(acts: str, *, n: int = 10, duration: str = "2s", lane: str = "light", more: str = "") -> Plan:
    users = f'[[load]]\nclient = "a"\nlane = "{lane}"\nmodel = "closed"\nusers = [{{at = "0s", n = {n}}}]\n'
    return parse_plan(f'[run]\nname = "t"\nseed = 3\nduration = "{duration}"\n{users}{acts}{LIMITS}{more}')


# --- in virtual time: a venue in memory in the place of the embedded one ----------------------------------------------


class FrostyNetwork(MemoryNetwork):
    """A network in memory whose venue can be made to stand still: what it hears and says waits."""

    def __init__(self) -> None:
        super().__init__(seed=5)
        self.moving = trio.Event()
        self.moving.set()
        self.url = ""

    def freeze(self) -> None:
        self.moving = trio.Event()

    def thaw(self) -> None:
        self.moving.set()

    async def connect_tcp(self, family: int, address: Any) -> trio.abc.Stream:
        return FrostyStream(await super().connect_tcp(family, address), self)


class FrostyStream(trio.abc.Stream):
    """A client's end of a connection."""

    def __init__(self, stream: trio.abc.Stream, network: FrostyNetwork) -> None:
        self.stream = stream
        self.network = network

    async def send_all(self, data: Any) -> None:
        await self.network.moving.wait()
        await self.stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = bytes(await self.stream.receive_some(max_bytes))
        await self.network.moving.wait()
        return data

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.stream.aclose()


class MemoryControl:
    """What `VenueControl` asks over HTTP, asked at once."""

    venue: Venue

    def __init__(self, url: str) -> None:
        assert url == self.venue.url

    async def stats(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        found: dict[str, Any] = msgspec.json.decode(to_json(self.venue.stats()))
        return found

    async def add_faults(self, rules: Sequence[dict[str, Any]]) -> None:
        await trio.lowlevel.checkpoint()
        self.venue.exchange.hurt_at_once(convert(list(rules), tuple[Fault, ...], "faults"))


@pytest.fixture
def play(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Awaitable[RunResult]]:
    """`run_plan` in virtual time, on as many venues in memory as are asked for."""
    network = FrostyNetwork()

    @asynccontextmanager
    async def opened(venue: dict[str, Any], seed: int, seam: Seam = REAL) -> AsyncIterator[FrostyNetwork]:
        config = convert(settings_of(venue, seed) | {"port": 8080}, VenueConfig, "venue")
        async with open_venue(config, seam=network) as MemoryControl.venue:
            network.url = MemoryControl.venue.url
            yield network

    monkeypatch.setattr("loadsim.run.open_embedded_venue", opened)
    monkeypatch.setattr("loadsim.run.VenueControl", MemoryControl)

    async def run(plan: Plan, options: RunOptions | None = None, **more: Any) -> RunResult:
        return await run_plan(plan, options, seam=network, **more)

    run.opened = opened
    run.network = network
    return run


async def test_books_agree_also_when_connections_are_dropped(autojump_clock, play) -> None:
    drops = (
        '[[fault]]\nat = "600ms"\nkind = "drop"\n[[fault]]\nat = "1500ms"\nkind = "drop"\nscope = "link"\n'
    )
    trades = TRADE.replace('after = "300ms"', 'every = "250ms"\nafter = "100ms"')
    result = await play(plan(WATCH + trades + drops, duration="2500ms"))

    assert result.exit is Exit.OK, (result.checks, result.validity)
    assert result.merged.counters["disconnects"] == 20
    assert result.merged.counters["restarts"] == 20
    assert result.merged.counters["orders"] > 50
    assert [check.what for check in result.checks if not check.ok] == []
    assert len(result.checks) == 7
    assert {record.kind for record in result.faults} == {"drop"}
    assert result.merged.accounts


async def test_books_that_disagree_end_the_run_with_seven(autojump_clock, play, monkeypatch) -> None:
    true = MemoryControl.stats

    async def lying(self: MemoryControl) -> dict[str, object]:
        found = await true(self)
        for account in found["accounts"]:
            account["balance"] += 0.01
        return found

    monkeypatch.setattr(MemoryControl, "stats", lying)
    result = await play(plan(TRADE, n=2, duration="800ms"))

    assert result.exit is Exit.ORACLE
    assert [check.what for check in result.checks if not check.ok] == ["balances to the cent"]
    assert build(result)["exit"] == {"code": 7, "name": "oracle"}


async def test_a_venue_that_does_not_tell_its_counters_afterwards_has_no_books(
    autojump_clock, play, monkeypatch
) -> None:
    true, asked = MemoryControl.stats, []

    async def silent(self: MemoryControl) -> dict[str, object]:
        asked.append(1)
        if len(asked) > 1:
            raise PotrioError("out of breath")
        return await true(self)

    monkeypatch.setattr(MemoryControl, "stats", silent)
    monkeypatch.setattr("loadsim.run.STATS_ATTEMPTS", 2)
    result = await play(plan(ASK, n=1, duration="500ms"))

    assert len(asked) == 3
    assert result.exit is Exit.ORACLE
    assert result.merged.counters["started"] > 0


async def test_a_frozen_venue_is_seen_by_the_response_time_and_hidden_by_the_service_time(
    autojump_clock, play
) -> None:
    stall = '[[fault]]\nat = "1500ms"\nkind = "stall"\nfor = "2s"\n'
    result = await play(plan(ASK + stall, n=20, duration="5s"))

    rtt = result.merged.select("rtt", {"event": "getBalance"})
    assert rtt is not None
    service, response = rtt.histograms["service"].percentile(90), rtt.histograms["response"].percentile(90)
    assert response > 500_000
    assert response > 4 * service
    assert rtt.outcomes["timeout"] >= 20
    assert result.merged.counters["omitted"] >= 20
    assert result.validity.omitted == result.merged.counters["omitted"]
    (fault,) = result.faults
    assert (fault.kind, fault.duration_s, fault.scope) == ("stall", 2.0, "venue")
    assert result.exit is Exit.OK


async def test_processes_play_the_same_plan_and_are_seen_each_second() -> None:
    views: list[RunView] = []
    options = RunOptions(engine="process", shards=2)
    result = await run_plan(plan(ASK + WATCH, n=6, duration="4s"), options, on_second=views.append)

    assert result.exit is Exit.OK, result.validity
    assert [shard.state for shard in result.shards] == ["done", "done"]
    assert len({shard.pid for shard in result.shards}) == 2
    assert result.merged.counters["ready"] == 6
    assert all(check.ok for check in result.checks)
    assert views[-1].stage == "ended"
    assert len(views) >= 3
    assert max(view.clients for view in views) == 6


async def test_a_shard_that_is_killed_makes_the_run_invalid_and_its_books_are_judged_by_what_is_known(
    monkeypatch,
) -> None:
    engines: list[ProcessEngine] = []
    true = ProcessEngine.start

    async def remember(self: ProcessEngine, specs) -> None:
        await true(self, specs)
        engines.append(self)

    def kill(view: RunView) -> None:
        if view.t >= 1 and engines:
            process = engines.pop()._shards[1].process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(ProcessEngine, "start", remember)
    trades = TRADE.replace('after = "300ms"', 'every = "200ms"\nafter = "300ms"')
    options = RunOptions(engine="process", shards=2)
    result = await run_plan(plan(WATCH + trades, n=6, duration="4s"), options, on_second=kill)

    assert engines == []
    assert [shard.state for shard in result.shards] == ["done", "lost"]
    assert result.validity.coverage == 0.5
    assert result.exit is Exit.INVALID, [check for check in result.checks if not check.ok]
    assert "shard 1 lost" in " ".join(result.validity.reasons)
    twice = next(check for check in result.checks if check.what == "orders heard twice")
    assert (twice.venue, twice.ok) == ("0", True)
    assert result.merged.counters["orders.accepted"] > 10


async def test_a_target_of_ones_own_is_judged_as_well(autojump_clock, play) -> None:
    async with play.opened({}, 1) as venue:
        options = RunOptions(target=venue.url)
        first = await play(plan(WATCH, n=2, duration="500ms"), options)
        again = await play(plan(WATCH + TRADE, n=2, duration="700ms"), options)

    for result in (first, again):
        assert result.exit is Exit.OK, result.checks
        assert result.target["kind"] == "external"
    assert len(again.merged.accounts) == 2


async def test_a_target_that_is_not_there() -> None:
    with pytest.raises(TargetUnusable, match="not usable"):
        await run_plan(plan(ASK), RunOptions(target="ws://127.0.0.1:1/socket.io/?EIO=4&transport=websocket"))


@pytest.mark.parametrize("url", ["wss://api-eu.po.market/socket.io/", "wss://venue.example/socket.io/"])
def test_a_target_that_is_not_allowed(url: str) -> None:
    with pytest.raises(ConfigError, match="target"):
        Controller(plan(ASK), RunOptions(target=url), on_second=None)


@pytest.mark.parametrize("options", [RunOptions(shards=2), RunOptions(engine="process", shards=0)])
def test_shards_that_an_engine_cannot_have(options: RunOptions) -> None:
    with pytest.raises(ConfigError, match="shards"):
        Controller(plan(ASK), options)


async def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(EngineError, match="not one of"):
        await run_plan(plan(ASK, n=1), RunOptions(engine="abacus"))


async def test_a_threshold_that_is_broken_three_times_aborts(autojump_clock, play) -> None:
    broken = '[thresholds]\nlist = ["rtt: p50 < 1us abort"]\n'
    result = await play(plan(ASK, n=2, duration="60s", more=broken))

    assert result.exit is Exit.THRESHOLD
    assert 3 <= result.duration_s <= 4
    assert result.validity.coverage == 1.0
    assert not result.verdicts[0].ok
    assert result.checks == []


async def test_thresholds_are_judged_at_the_end(autojump_clock, play) -> None:
    some = '[thresholds]\nlist = ["coverage: value >= 100%", "gave_up: count == 0", "rtt: p99 < 1ms after 20s"]\n'
    result = await play(plan(ASK, n=1, duration="1s", more=some))

    assert [verdict.ok for verdict in result.verdicts] == [True, True, False]
    assert result.verdicts[2].observed == "not reached"
    assert result.exit is Exit.THRESHOLD


async def test_what_is_not_valid_says_so_and_may_be_allowed() -> None:
    strict = msgspec.structs.replace(plan(ASK, n=1, duration="600ms"))
    strict = msgspec.structs.replace(strict, limits=msgspec.structs.replace(strict.limits, lag_p99_ms=0.0))
    result = await run_plan(strict)
    assert result.exit is Exit.INVALID
    allowed = await run_plan(strict, RunOptions(allow_degraded=True))
    assert (allowed.exit, allowed.validity.verdict) == (Exit.OK, "degraded")


async def test_who_looks_may_end_it(autojump_clock, play) -> None:
    controller = Controller(plan(ASK, n=1, duration="60s"), RunOptions(), seam=play.network)

    async def look() -> None:
        await trio.sleep(1.5)
        controller.watch.request_stop("enough")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        result = await controller.run()

    assert result.exit is Exit.INTERRUPTED
    assert 1 < result.duration_s < 2
    assert result.shards[0].reason == "enough"
