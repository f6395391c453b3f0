"""Shards against the real venue: in virtual time over a network in memory, or over loopback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import trio

from loadsim.metrics.delta import Delta
from loadsim.metrics.merged import Merged
from loadsim.plan.parse import parse_plan
from loadsim.swarm.shard import run_shard
from loadsim.swarm.spec import ShardSpec
from loadsim.venue.config import MarketConfig, TradingConfig, VenueConfig
from loadsim.venue.server import Venue, open_venue
from potrio.seam import REAL, Seam
from potrio.testing.network import MemoryNetwork

SMALL_MARKET = MarketConfig(history_ticks_s=30, candles_count=10)
"""Short answers: what is tested here is not history."""

CONFIG = VenueConfig(
    seed=3,
    port=8080,
    market=SMALL_MARKET,
    trading=TradingConfig(concurrent_demo_max=1000, closed_kept=20),
    unauthenticated_max=5000,
)


GUARD_S = 60
"""Nothing here lasts so long unless it never ends."""


class Links:
    """Takes reports; asks to stop where a test says so."""

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.merged = Merged()
        self.stop = trio.Event()

    def emit(self, delta: Delta) -> None:
        self.deltas.append(delta)
        self.merged.add(delta)

    async def wait_stop(self) -> str:
        await self.stop.wait()
        return "the test says so"

    def series(self, metric: str, **tags: str):
        found = self.merged.select(metric, tags)
        assert found is not None, f"nothing of {metric} {tags}"
        return found


Ran = tuple[Merged, dict[str, Any], Links]


def plan_of(text: str, *, duration: str = "10s", seed: int = 5):
    return parse_plan(f'[run]\nname = "t"\nduration = "{duration}"\nseed = {seed}\n' + text)


async def play_shard(text: str, seam: Seam, venue: Venue, *, shards: int = 1, **options: Any) -> Ran:
    """Run all shards of a plan, side by side."""
    plan = plan_of(text, **options)
    link = Links()
    async with trio.open_nursery() as nursery:
        for number in range(shards):
            spec = ShardSpec(
                run="r",
                shard=number,
                shards=shards,
                plan=plan,
                url=venue.url,
                start_at_wall=seam.wall() + 0.1,
            )
            nursery.start_soon(run_shard, spec, link, seam)
    return link.merged, venue.stats(), link


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork(seed=5)


@pytest.fixture
async def venue(autojump_clock, network):
    async with open_venue(CONFIG, seam=network) as running:
        yield running


@pytest.fixture
def play(network, venue) -> Callable[..., Awaitable[Ran]]:
    async def run(text: str, **options: Any) -> Ran:
        return await play_shard(text, network, venue, **options)

    return run


# --- over loopback ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def real_venue():
    async with open_venue(msgspec.structs.replace(CONFIG, port=0)) as running:
        yield running


@pytest.fixture
def play_real(real_venue) -> Callable[..., Awaitable[Ran]]:
    async def run(text: str, **options: Any) -> Ran:
        return await play_shard(text, REAL, real_venue, **options)

    return run


@pytest.fixture
def play_real_until(real_venue) -> Callable[..., Awaitable[tuple[Merged, Links]]]:
    """Play and ask to stop when all have come; its guard meets what does not end then."""

    async def run(text: str, *, clients: int, **options: Any) -> tuple[Merged, Links]:
        link = Links()
        spec = ShardSpec(
            run="r",
            shard=0,
            shards=1,
            plan=plan_of(text, **options),
            url=real_venue.url,
            start_at_wall=REAL.wall(),
        )

        async def stop() -> None:
            while real_venue.stats()["connections"]["authenticated"] < clients:  # noqa: ASYNC110  # a counter
                await trio.sleep(0.02)
            await trio.sleep(0.1)  # they hear of it, too
            link.stop.set()

        with trio.fail_after(GUARD_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop)
                await run_shard(spec, link)
        return link.merged, link

    return run
