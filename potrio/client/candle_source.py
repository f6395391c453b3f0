"""`CandleSource`: what candle streams ask of the rest of a client: the venue's time, the past of an asset, its feed."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

import trio

from potrio.actor_errors import ActorError, SupervisorError
from potrio.client.pages import load_candles
from potrio.client.tick_pages import TickRange, load_ticks
from potrio.client.tree import Shared
from potrio.errors import ConfigError, HistoryShort, NotConnected, RequestError
from potrio.limits import HISTORY_PAGES_MAX
from potrio.protocol.candle_builder import ClockBuckets, regroup
from potrio.protocol.candles import Candle
from potrio.protocol.timeframes import PERIODS_S, bucket_start
from potrio.seam import Seam
from potrio.supervision.supervisor import Supervisor

__all__ = ["CandleSource", "check_history"]

R = TypeVar("R")

PARTS_MAX: Final = 75 * HISTORY_PAGES_MAX
"""Shorter candles of the venue that one opening may load."""

PAUSES_S: Final = (0.05, 0.5, 1.0, 2.0)
"""Before asking again for ticks that the venue did not tell: its history may lag behind its stream."""

LAG_MAX_S: Final = 600
"""The part of a long bucket that is read as ticks: the venue's newest candles may be that old."""

TICKS_ONLY_S: Final = 1800
"""A bucket up to this length is read as ticks from its beginning: two pages."""


def part_of(period_s: int, longest_s: int = 86_400) -> int:
    """The longest candle of the venue that candles of this length can be made of."""
    return max(part for part in PERIODS_S if part <= longest_s and period_s % part == 0)


def check_history(count: int, period_s: int) -> None:
    """Can so many candles be loaded before a stream begins?

    Raises:
        ConfigError: no whole number, negative, or more than one opening may load.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ConfigError("history", f"must be a whole number >= 0, not {count!r}")
    most = PARTS_MAX // (period_s // part_of(period_s)) - 1
    if count > most:
        raise ConfigError("history", f"must be at most {most} candles of {period_s} s")


class CandleSource:
    """One asset of one client."""

    def __init__(self, supervisor: Supervisor, shared: Shared, seam: Seam, asset: str) -> None:
        self.supervisor = supervisor
        self.shared = shared
        self.seam = seam
        self.asset = asset

    @property
    def zone_s(self) -> int:
        """The venue's zone, which buckets are aligned in."""
        return self.shared.account.clock.zone_s

    def now(self) -> float:
        """The venue's time (UTC)."""
        return self._venue_time(self.seam.wall())

    def known_until(self) -> float:
        """Every tick up to this moment (UTC) has been handed to the readers; -inf where ticks may be missing."""
        link, feeds = self.shared.link, self.shared.router.feeds
        if self.shared.sessions is not None:
            link, feeds = self.shared.sessions.reads(self.asset)
        if not link.ready or feeds.interrupted(self.asset):
            return -math.inf
        return self._venue_time(feeds.heard_wall)

    def _venue_time(self, wall: float) -> float:
        clock = self.shared.account.clock
        return clock.to_utc(clock.stamp_at(wall))

    async def candles(self, count: int, period_s: int, end: int) -> list[Candle]:
        """Load so many closed candles before ``end``, of any length; raises as `HistoryCalls.candles` does."""
        part_s = part_of(period_s)
        parts = period_s // part_s
        want = count * parts + (parts - 1)  # the oldest may begin in the middle of a bucket
        try:
            short = list(await self._load(part_s, want, end))
        except HistoryShort as error:
            raise HistoryShort(error.have // parts, count) from None
        if parts == 1:
            return short
        return regroup(short, part_s, ClockBuckets(period_s, self.zone_s), until=end)[-count:]

    async def _load(self, period_s: int, count: int, end: int) -> list[Candle]:
        moment = datetime.fromtimestamp(end, UTC)
        async with self._told_why():
            return list(
                await load_candles(
                    self.supervisor, self.shared, self.seam, self.asset, period_s, count, moment
                )
            )

    async def parts_of_bucket(self, period_s: int, start: int) -> tuple[list[Candle], int, int]:
        """Load the older part of the bucket that starts at ``start``, as shorter candles, where it is long.

        Returns:
            the candles, their length, and the moment from which on ticks are to be read.
        """
        if period_s <= TICKS_ONLY_S:
            return [], 0, start
        part_s = part_of(period_s, 900)
        since = max(start, bucket_start(self.now() - LAG_MAX_S, part_s, self.zone_s))
        if since == start:
            return [], part_s, start
        async with self._told_why():
            found = await load_candles(
                self.supervisor,
                self.shared,
                self.seam,
                self.asset,
                part_s,
                start=datetime.fromtimestamp(start, UTC),
                end=datetime.fromtimestamp(since, UTC),
            )
        return list(found), part_s, since

    async def ticks(self, since: float, reaching: float) -> TickRange | None:
        """Load the ticks since then, all of them at least up to ``reaching``; None where the venue does not tell them.

        Asks again, with pauses, where its history lags or it does not answer; waits for the link while that is down.
        Cancelling stops after the present page.
        """
        start = datetime.fromtimestamp(since, UTC)

        async def ask() -> TickRange:
            return await load_ticks(self.supervisor, self.shared, self.seam, self.asset, start, None)

        for pause in (*PAUSES_S, None):
            found = await self._answer(ask)
            newest = found.ticks[-1].timestamp if found is not None and found.ticks else -math.inf
            if found is not None and newest >= reaching:
                return found
            if pause is not None:
                await trio.sleep(pause)
        return None

    @asynccontextmanager
    async def _told_why(self) -> AsyncGenerator[None, None]:
        """Who waits for a page when its actor ends learns what that means: the client has ended, or try again."""
        try:
            yield
        except (ActorError, SupervisorError) as error:
            await self._come_back()
            raise NotConnected("the page was given up while its actor was restarted") from error

    async def _come_back(self) -> None:
        """Wait a moment, and until the link is up; raises what ended the client, ClientClosed where it was closed."""
        await trio.sleep(PAUSES_S[0])
        await self.shared.link.wait_ready()

    async def _answer(self, ask: Callable[[], Awaitable[R]]) -> R | None:
        """The answer to a question that may be repeated; None where there was none in time."""
        while True:
            try:
                return await ask()
            except NotConnected:
                await self.shared.link.wait_ready()
            except SupervisorError:
                await self._come_back()
            except (RequestError, ActorError):
                return None
            except ConfigError:
                return None  # longer ago than one call may reach back
