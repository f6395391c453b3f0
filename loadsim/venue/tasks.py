"""The venue's two clocks: one task streams the ticks of all assets, one opens and settles what is due."""

from __future__ import annotations

import math
from typing import Final

import trio

from loadsim.venue.clock import VenueClock
from loadsim.venue.exchange import Exchange
from loadsim.venue.market import Market, TickRow
from potrio.seam import REAL, Seam

__all__ = ["MarketTasks"]

IDLE_S: Final = 1.0
"""How often the market looks for work where nothing is due."""

LATE_MAX_S: Final = 5.0
"""Ticks older than this are not streamed any more: the machine slept."""

SLACK_S: Final = 0.001
"""Added to a deadline, so that it has passed in whole milliseconds when the task wakes."""


class MarketTasks:
    """Runs the market for an exchange."""

    def __init__(self, exchange: Exchange, market: Market, clock: VenueClock, seam: Seam = REAL) -> None:
        self._exchange = exchange
        self._market = market
        self._clock = clock
        self._seam = seam
        self._upcoming: dict[str, TickRow] = {}
        self._ticks_changed = trio.Event()
        self._deals_changed = trio.Event()
        exchange.changed = self.changed

    def changed(self) -> None:
        """Note that a subscription, a deal or an order has come or gone."""
        self._ticks_changed.set()
        self._deals_changed.set()

    async def stream(self) -> None:
        """Stream ticks for ever, and push the asset table when it changes.

        Waits for the next tick of any asset somebody watches. Cancelling ends it.
        """
        while True:
            self._ticks_changed = trio.Event()
            stamp = self._clock.stamp()
            if stamp >= self._exchange.table_ends:
                self._exchange.push_table()
            wake = min(await self._stream_due(stamp), stamp + IDLE_S)
            await self._seam.wait_until(self._ticks_changed, self._clock.timer_at(wake))

    async def _stream_due(self, stamp: float) -> float:
        """Stream what is due, oldest first; return when the next tick comes. Lets others run where many watch."""
        watched = self._exchange.watched()
        upcoming = {symbol: tick for symbol, tick in self._upcoming.items() if symbol in watched}
        due: list[tuple[TickRow, str]] = []
        for symbol in sorted(watched):
            tick = upcoming.pop(symbol, None)
            if tick is None or tick.stamp < stamp - LATE_MAX_S:
                # From the millisecond on to which the ticks in the answer to the subscription reach.
                since = max(self._exchange.answered.get(symbol, stamp), stamp - LATE_MAX_S)
                tick = self._market.next_tick(symbol, math.floor(min(since, stamp) * 1000) / 1000)
            while tick is not None and tick.stamp <= stamp:
                due.append((tick, symbol))
                tick = self._market.next_tick(symbol, tick.stamp)
            if tick is not None:
                upcoming[symbol] = tick
        self._upcoming = upcoming
        self._exchange.answered.clear()
        for tick, symbol in sorted(due):
            for _ in self._exchange.tick(symbol, tick):
                await trio.lowlevel.checkpoint()
            self._reach(symbol, tick)
        return min((tick.stamp for tick in upcoming.values()), default=stamp + IDLE_S)

    def _reach(self, symbol: str, tick: TickRow) -> None:
        """Open the pending orders that this price reaches, at the moment of the tick."""
        reached = self._exchange.pending.reached(symbol, tick.price)
        if reached:
            self._exchange.deliver(self._exchange.desk.pending.trigger(reached, round(tick.stamp * 1000)))
            self._deals_changed.set()

    async def settle(self) -> None:
        """Open what was to be opened by time, and settle what expires, for ever.

        Waits for the nearest of those moments. Cancelling ends it.
        """
        exchange, desk = self._exchange, self._exchange.desk
        while True:
            self._deals_changed = trio.Event()
            now_ms = self._clock.stamp_ms()
            exchange.deliver(desk.pending.trigger(exchange.pending.due(now_ms), now_ms))
            exchange.deliver(desk.orders.settle(now_ms))
            moments = (exchange.book.next_expiry_ms(), exchange.pending.next_time_ms())
            nearest = min((moment for moment in moments if moment is not None), default=None)
            if nearest is None:
                await self._deals_changed.wait()
            else:
                due = self._clock.timer_at(nearest / 1000) + SLACK_S
                await self._seam.wait_until(self._deals_changed, due)
