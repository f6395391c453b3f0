"""The past of the market: candles and ticks, complete or with the truth about what is missing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

from potrio.actor_errors import ActorError, SupervisorError
from potrio.client.candle_list import CandleList
from potrio.client.catalogue import CatalogueCalls
from potrio.client.pages import load_candles
from potrio.client.tick_pages import compile_candles, load_ticks
from potrio.errors import NotConnected
from potrio.protocol.messages.market import Tick
from potrio.protocol.timeframes import parse_period, parse_timeframe

__all__ = ["HistoryCalls"]


class HistoryCalls(CatalogueCalls):
    """What a client can ask of the past; a part of `Client`."""

    async def candles(
        self,
        asset: str,
        timeframe: str | int = "1m",
        count: int | None = None,
        end: datetime | None = None,
        *,
        start: datetime | None = None,
        include_forming: bool = False,
    ) -> CandleList:
        """Load exactly ``count`` closed candles (default: 100), or those of a range; oldest first, times in UTC.

        The last one closes at or before ``end`` (default: now). The newest are computed from the venue's ticks, as its
        history lags minutes behind; where not even those are told yet, a candle says ``complete=False``. Gaps and bad
        rows are attributes of the list. Older pages are cached.

        Args:
            asset: a symbol of `assets`.
            timeframe: ``"5s"``, ``"1m"``, ``"4h"``, ``"1d"``, or seconds.
            count: so many, whatever time they span: where the market was closed, there are no candles.
            end: an aware datetime; one that is to come counts as now.
            start: an aware datetime, in place of ``count``: all candles that start at or after it.
            include_forming: put the candle that is under way now behind the others, with ``complete=False``; there is
                none as long as nothing has happened in it. For calls without ``end``.

        Pages are asked for one after another; cancelling stops after the present one. Equal calls at the same time
        share one answer, and cancelling one of them disturbs no other.

        Raises:
            ConfigError: unknown asset or timeframe, count < 1, naive ``end`` or ``start``, too many at once.
            HistoryShort: the venue has fewer than ``count``. A range is what there is, with its gaps.
            NotConnected: the link is down, or went down on the way: safe to try again.
            RequestTimeout: the venue did not answer.
            ClientClosed: the client has been closed, or was while this waited.
        """
        self._check_open()
        self._check_asset(asset)
        with self._told_why():
            return await load_candles(
                self.supervisor,
                self._shared,
                self._config.seam,
                asset,
                parse_timeframe(timeframe),
                count,
                end,
                start=start,
                include_forming=include_forming,
            )

    async def tick_history(self, asset: str, start: datetime, end: datetime | None = None) -> list[Tick]:
        """Load the venue's ticks of ``[start, end)``, oldest first, times in UTC; empty means that there were none.

        Up to 64 000 seconds in one call. Pages are asked for one after another; cancelling stops after the present one.

        Raises:
            ConfigError: unknown asset, naive or unordered times, too long a range.
            NotConnected, RequestTimeout, ClientClosed: as `candles`.
        """
        self._check_open()
        self._check_asset(asset)
        with self._told_why():
            found = await load_ticks(self.supervisor, self._shared, self._config.seam, asset, start, end)
        return found.ticks

    async def compile_candles(
        self, asset: str, timeframe: str | int, start: datetime, end: datetime | None = None
    ) -> CandleList:
        """Build candles of any length, 1 second to a week, from the ticks of ``[start, end)``.

        Buckets start at multiples of the period in the venue's zone. A bucket that the range or the ticks do not cover
        whole, as the one under way, has ``complete=False``. Waits and raises as `tick_history`.

        Raises:
            ConfigError: as `tick_history`, or no length that can be built exactly.
        """
        self._check_open()
        self._check_asset(asset)
        with self._told_why():
            return await compile_candles(
                self.supervisor, self._shared, self._config.seam, asset, parse_period(timeframe), start, end
            )

    @contextmanager
    def _told_why(self) -> Generator[None, None, None]:
        """Who waits for a page when its actor ends learns what that means here: the client is closed, or try again."""
        try:
            yield
        except (ActorError, SupervisorError) as error:
            self._check_open()
            raise NotConnected("the page was given up while its actor was restarted") from error
