"""A reader of live ticks that knows what the market did: every tick once, in order, and a `Gap` for each hole (P4)."""

from __future__ import annotations

import trio

from loadsim.simulation.history import History
from loadsim.simulation.ledger import Violation
from loadsim.venue.market import Market
from potrio.actors.stream import Gap, Stream
from potrio.protocol.messages.market import Tick

__all__ = ["TickCheck", "read_ticks"]

READS_UNTIL_PAUSE = 100
SAME_S = 0.0005


class TickCheck:
    """What one reader has been given, beside the market's own record.

    Args:
        market: the venue's.
        zone_s: the venue's clock is ahead of UTC by so much.
    """

    def __init__(self, market: Market, zone_s: int, history: History) -> None:
        self.ticks = self.gaps = 0
        self.last: dict[str, float] = {}
        self.violations: list[Violation] = []
        self.gaps_by_reason: dict[str, int] = {}
        self._market = market
        self._zone_s = zone_s
        self._history = history
        self._after_gap: set[str] = set()
        self._doubtful: list[tuple[float, float]] = []

    def forgive(self, since: float, until: float) -> None:
        """Holes between these moments (UTC by the venue's clock) are not held against anybody."""
        self._doubtful.append((since, until))

    def _is_forgiven(self, last: float, stamp: float) -> bool:
        """A tick that is none of the market's is not forgiven."""
        return any(last <= until and stamp >= since for since, until in self._doubtful)

    def take(self, item: Tick | Gap) -> None:
        """Check what comes next."""
        if isinstance(item, Gap):
            self._gap(item)
            return
        asset, stamp = item.asset, item.timestamp
        self.ticks += 1
        self._history.item(asset, stamp, item.price)
        last = self.last.get(asset)
        self.last[asset] = stamp
        if last is not None and stamp <= last:
            self._wrong(f"{asset}: a tick of {stamp} after one of {last}")
            return
        if last is None or asset in self._after_gap or self._is_forgiven(last, stamp):
            self._after_gap.discard(asset)
            expected = self._market.last_tick(asset, stamp + self._zone_s + SAME_S)
        else:
            following = self._market.next_tick(asset, last + self._zone_s)
            if following is None:
                return  # closed since, and opened again
            expected = following
        if abs(expected.stamp - self._zone_s - stamp) > SAME_S:
            self._wrong(f"{asset}: {stamp} came, the venue's next tick was {expected.stamp - self._zone_s}")
        elif expected.price != item.price:
            self._wrong(f"{asset}: {item.price} at {stamp}, at the venue {expected.price}")

    def _gap(self, gap: Gap) -> None:
        self.gaps += 1
        self.gaps_by_reason[gap.reason] = self.gaps_by_reason.get(gap.reason, 0) + 1
        self._history.say(f"gap {gap.reason} {gap.asset} {gap.since} {gap.until}")
        self._after_gap.update(self.last if gap.asset is None else (gap.asset,))

    def _wrong(self, text: str) -> None:
        if len(self.violations) < 20:
            self._history.say(f"WRONG {text}")
            self.violations.append(Violation("P4 ticks in order, no silent gap", text))

    def check_alive(
        self, utc: float, assets: tuple[str, ...], *, late_s: float, quiet: bool
    ) -> list[Violation]:
        """Are all of them flowing now? In quiet weather there was no gap either."""
        found = []
        for asset in assets:
            if not self._market.is_open(asset, utc + self._zone_s):
                continue
            last = self.last.get(asset)
            if last is None or last < utc - late_s:
                found.append(Violation("R8 recovers", f"no tick of {asset} since {last}; it is {utc}"))
        if quiet and self.gaps_by_reason.get("reconnect"):
            found.append(Violation("P4 ticks in order, no silent gap", "a gap, and nothing was wrong"))
        return found


async def read_ticks(stream: Stream[Tick | Gap], check: TickCheck, pause_s: float) -> None:
    """Read until the stream ends. A slow reader pauses now and then. Cancelling ends it."""
    count = 0
    async for item in stream:
        check.take(item)
        count += 1
        if pause_s and count % READS_UNTIL_PAUSE == 0:
            await trio.sleep(pause_s)
