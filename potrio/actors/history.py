"""The history actor: pages of candles, one request on the wire at a time, equal requests shared.

The venue stops answering a client that asks for much at once, and matches answers by ``index`` only; so pages wait
for each other here, each with a deadline, and the second asker of a page under way gets the first one's answer.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Final

import msgspec
import trio

from potrio.actors.breaker import Breaker
from potrio.actors.cache import Cache
from potrio.actors.flights import Flights
from potrio.actors.keys import CONNECTION
from potrio.actors.latencies import note
from potrio.actors.limiter import Lane
from potrio.actors.link import LinkLost, LinkState, Transmit
from potrio.errors import NotConnected, PotrioError, RequestTimeout
from potrio.limits import RATE_HOLD_MAX, REQUEST_TIMEOUT
from potrio.protocol.candles import Candle
from potrio.protocol.messages.market import HistoryPeriod, LoadHistoryPeriod
from potrio.supervision.call import Call, Request
from potrio.supervision.context import Context

__all__ = ["Block", "BlockKey", "HistoryMessage", "HistoryState", "LoadPage", "history"]

BLOCKS_KEPT_MAX: Final = 512
BLOCKS_TTL_S: Final = 3600.0
"""Blocks have 150 candles of 130 bytes: 10 MB at most. They do not age; an hour later nobody is likely to ask again."""


class LoadPage(Request[HistoryPeriod], frozen=True):
    """Ask for the candles of ``[end_stamp - window_s, end_stamp]`` (the venue's clock), ``period_s`` seconds each."""

    asset: str
    period_s: int
    end_stamp: int
    window_s: int


class PageOverdue(msgspec.Struct, frozen=True, gc=False):
    """The page with this index has not come in time."""

    index: int


class BlockKey(msgspec.Struct, frozen=True, gc=False):
    """Candles of ``period_s`` seconds that start in [start, end), UTC; buckets aligned in this zone."""

    asset: str
    period_s: int
    start: int
    end: int
    zone_s: int


class PageRefused(msgspec.Struct, frozen=True):
    """The page with this index will not be asked for: the limiter has no room, or the link is gone."""

    index: int
    error: PotrioError


class Block(msgspec.Struct, frozen=True):
    """What the venue told of a `BlockKey`, and how many of its rows were bad."""

    candles: tuple[Candle, ...]
    bad_rows: int


class HistoryState:
    """What outlives an incarnation: the index of the last request, so that no answer is taken for another's.

    And for those who read history: blocks that cannot change any more, what is being read just now, bad rows so far.
    Blocks survive a reconnect: what has been settled is the same on every connection.
    """

    def __init__(self) -> None:
        self.index = 0
        self.blocks: Cache[BlockKey, Block] = Cache(BLOCKS_KEPT_MAX, BLOCKS_TTL_S)
        self.flights: Flights[object, Block] = Flights()
        self.rows_bad = 0
        self.breaker = Breaker("pages of history")
        self.link: LinkState | None = None

    def forecast(self, lane: Lane) -> float:
        """Seconds until the limiter would let one more message pass."""
        return 0.0 if self.link is None else self.link.forecast(lane)


HistoryMessage = Call[HistoryPeriod] | HistoryPeriod | LinkLost | PageOverdue | PageRefused


async def history(ctx: Context[HistoryMessage], state: HistoryState, link: LinkState) -> None:
    """Serve pages until stopped. Calls in hand fail when the actor ends; cancelling sends nothing more."""
    state.link = link
    pages = _Pages(ctx, state, link)
    async for message in ctx.inbox:
        match message:
            case Call(msg=LoadPage() as page):
                pages.ask(page, message)
            case HistoryPeriod():
                pages.answer(message)
            case PageOverdue(index=index):
                pages.overdue(index)
            case PageRefused(index=index, error=error):
                pages.refused(index, error)
            case LinkLost(epoch=epoch, reason=reason):
                pages.lost(epoch, reason)
            case _:
                raise AssertionError(f"history has no use for a {type(message).__name__}")


Slot = tuple[int, LoadPage]
"""A page, and the connection on which it is asked for: the loss of an earlier one is not its business."""


class _Pages:
    """Who waits for which page, and which one is on the wire."""

    def __init__(self, ctx: Context[HistoryMessage], state: HistoryState, link: LinkState) -> None:
        self.ctx = ctx
        self.state = state
        self.link = link
        self.calls: dict[Slot, list[Call[HistoryPeriod]]] = {}
        self.queue: list[Slot] = []
        self.current: Slot | None = None
        self.unwanted = False  # was the page on its way given up because nobody waited for it?
        self.left_at: float | None = None  # when the request for the page on its way was written

    def ask(self, page: LoadPage, call: Call[HistoryPeriod]) -> None:
        if not self.link.ready:
            call.fail(NotConnected("no link to the venue; the page was not asked for"))
            return
        slot = (self.link.epoch, page)
        if slot in self.calls:
            self.calls[slot].append(call)
        else:
            self.calls[slot] = [call]
            self.queue.append(slot)
        self.next()

    def next(self) -> None:
        """Put the next page that someone still waits for on the wire."""
        while self.current is None and self.queue:
            slot = self.queue.pop(0)
            if all(call.abandoned for call in self.calls[slot]):
                del self.calls[slot]
                continue
            self.current, self.unwanted, self.left_at = slot, False, None
            self.state.index += 1
            epoch, page = slot
            request = LoadHistoryPeriod(
                asset=page.asset,
                index=self.state.index,
                time=page.end_stamp,
                offset=page.window_s,
                period=page.period_s,
            )
            latest = trio.current_time() + RATE_HOLD_MAX
            left = partial(self.left, self.state.index)
            wanted = partial(self.wanted, slot)
            self.ctx.lookup(CONNECTION).tell(Transmit(request, epoch, latest, left, wanted))
            self.ctx.after(REQUEST_TIMEOUT, PageOverdue(self.state.index), key="overdue")

    def wanted(self, slot: Slot) -> bool:
        """Does anybody still wait for this page? The connection asks when it has its turn."""
        self.unwanted = all(call.abandoned for call in self.calls.get(slot, ()))
        return not self.unwanted

    def left(self, index: int, error: PotrioError | None) -> None:
        """The connection tells what became of a request, in its own task."""
        if error is not None:
            self.ctx.me.tell(PageRefused(index, error))
        elif index == self.state.index:
            self.left_at = trio.current_time()

    def finish(self) -> list[Call[HistoryPeriod]]:
        assert self.current is not None
        slot, self.current = self.current, None
        return self.calls.pop(slot)

    def answer(self, reply: HistoryPeriod) -> None:
        if self.current is None or (reply.index, reply.asset) != (self.state.index, self.current[1].asset):
            return  # late: its askers have been told, or have gone
        if self.left_at is not None:
            note(self.link.latencies.history, trio.current_time() - self.left_at)
        for call in self.finish():
            call.reply(reply)
        self.next()

    def overdue(self, index: int) -> None:
        if self.current is None or index != self.state.index:
            return
        _, page = self.current
        for call in self.finish():
            call.fail(RequestTimeout(f"no history of {page.asset} within {REQUEST_TIMEOUT:g} s"))
        self.next()

    def refused(self, index: int, error: PotrioError) -> None:
        if self.current is None or index != self.state.index:
            return
        slot, calls = self.current, self.finish()
        late = [call for call in calls if not call.abandoned]
        if self.unwanted and late:  # they came when it had been given up for those before them
            self.calls[slot] = late
            self.queue.insert(0, slot)
        else:
            for call in calls:
                call.fail(copy.copy(error))
        self.unwanted = False
        self.next()

    def lost(self, epoch: int, reason: str) -> None:
        """All pages of this connection and of those before it have no answer any more."""
        if self.current is not None and self.current[0] <= epoch:
            self.current = None
        self.queue = [slot for slot in self.queue if slot[0] > epoch]
        for slot in [slot for slot in self.calls if slot[0] <= epoch]:
            for call in self.calls.pop(slot):
                call.fail(NotConnected(f"the link was lost before the answer came: {reason}"))
        self.next()
