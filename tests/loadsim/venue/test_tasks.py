"""The market's two tasks: everything due comes once, in order, at its time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio

from loadsim.venue.market import Market
from loadsim.venue.tasks import LATE_MAX_S, MarketTasks


async def test_ticks_come_when_they_are_due_and_none_is_missing(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("subfor", "EURUSD_otc")
        arrived = []
        start = trio.current_time()
        with trio.move_on_after(20):
            while True:
                tick = (await client.until("updateStream"))[0]
                arrived.append((world.unix + 7200 + trio.current_time() - start, tick))
    assert [stamp for _, (_, stamp, _) in arrived] == [
        tick.stamp for tick in Market(1).ticks("EURUSD_otc", arrived[0][1][1], arrived[-1][1][1])
    ]
    assert all(abs(at - stamp) < 0.05 for at, (_, stamp, _) in arrived)


async def test_after_a_sleep_of_the_machine_the_backlog_is_not_streamed(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("subfor", "EURUSD_otc")
        await client.until("updateStream")
        autojump_clock.jump(120)
        ticks = [value for name, value in await client.events(5) if name == "updateStream"]
        assert 8 <= len(ticks) <= (5 + LATE_MAX_S) * 2 + 2
        assert venue.stats()["connections"]["now"] == 1


async def test_a_look_that_comes_late_leaves_no_hole_after_the_answer_to_a_subscription() -> None:
    """Found by the soak over TCP: a busy machine looked some milliseconds after the history had been answered."""
    market, asked, late = Market(1), 1_770_000_000.0, 1_770_000_001.2
    told: list[tuple[str, Any]] = []
    exchange: Any = SimpleNamespace(
        watched=lambda: {"EURUSD_otc"},
        answered={"EURUSD_otc": asked},
        tick=lambda symbol, tick: told.append(tick) or (),
        pending=SimpleNamespace(reached=lambda symbol, price: ()),
    )
    tasks = MarketTasks(exchange, market, clock=None)  # type: ignore[arg-type]  # it is not looked at here
    await tasks._stream_due(late)
    assert told == market.ticks("EURUSD_otc", asked + 0.001, late)
    assert len(told) >= 2
    assert exchange.answered == {}


async def test_nothing_is_computed_for_assets_nobody_watches(
    autojump_clock: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = Market.next_tick

    def counting(self: Market, symbol: str, stamp: float) -> Any:
        asked.append(symbol)
        return original(self, symbol, stamp)

    monkeypatch.setattr(Market, "next_tick", counting)
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.idle(10)
        assert asked == []
        await client.emit("subfor", "EURUSD_otc")
        await client.idle(2)
    assert set(asked) == {"EURUSD_otc"}


async def test_a_price_order_opens_at_the_tick_that_reaches_it(autojump_clock: Any, world: Any) -> None:
    market, start = Market(1), world.unix + 7200
    opening = market.price("EURUSD_otc", start)
    later = market.ticks("EURUSD_otc", start + 5, start + 600)
    goal = max(later[:300], key=lambda tick: abs(tick.price - opening)).price
    expected = next(tick for tick in later if (tick.price >= goal if goal > opening else tick.price <= goal))
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        request = {
            "openType": 1,
            "openPrice": goal,
            "amount": 1,
            "asset": "EURUSD_otc",
            "timeframe": 5,
            "command": 0,
        }
        await client.emit("openPendingOrder", request)
        deal = await client.until("successopenOrder")
    assert deal["openPrice"] == expected.price
    assert deal["openTimestamp"] * 1000 + deal["openMs"] == round(expected.stamp * 1000)


async def test_many_deals_settle_each_at_its_time(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        start = trio.current_time()
        for number, seconds in enumerate((9, 5, 7, 30, 6)):
            await client.emit("openOrder", world.order(time=seconds, requestId=number))
        ends = []
        for _ in range(5):
            result = await client.until("successcloseOrder")
            ends.append((round(trio.current_time() - start), len(result["deals"])))
        assert ends == [(5, 1), (6, 1), (7, 1), (9, 1), (30, 1)]
        assert venue.stats()["deals"]["settled"] == 5


async def test_a_tick_less_than_a_millisecond_after_the_subscription_is_not_left_out() -> None:
    """The recent ticks in the answer reach to the last whole millisecond; the stream goes on from there."""
    market = Market(1)

    class Watched:
        def __init__(self) -> None:
            self.answered: dict[str, float] = {}

        def watched(self) -> set[str]:
            return {"EURUSD_otc"}

    tick = market.next_tick("EURUSD_otc", 1_770_007_200.0)
    assert tick is not None
    tasks = MarketTasks(Watched(), market, None)  # type: ignore[arg-type]  # all that is asked of it here
    assert await tasks._stream_due(tick.stamp - 0.0004) == tick.stamp
