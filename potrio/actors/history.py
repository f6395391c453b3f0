"""The history actor: pages of candles, one request on the wire at a time, equal requests shared.

The venue stops answering a client that asks for much at once, and matches answers by ``index`` only; so pages wait
for each other here, each with a deadline, and the second asker of a page under way gets the first one's answer.
"""

from __future__ import annotations

from collections import deque

import msgspec

from potrio.actors.keys import CONNECTION
from potrio.actors.link import LinkLost, LinkState, Transmit
from potrio.errors import NotConnected, RequestTimeout
from potrio.limits import REQUEST_TIMEOUT
from potrio.protocol.messages.market import HistoryPeriod, LoadHistoryPeriod
from potrio.supervision.call import Call, Request
from potrio.supervision.context import Context

__all__ = ["HistoryMessage", "LoadPage", "history"]


class LoadPage(Request[HistoryPeriod], frozen=True):
    """Ask for the candles of ``[end_stamp - window_s, end_stamp]`` (the venue's clock), ``period_s`` seconds each."""

    asset: str
    period_s: int
    end_stamp: int
    window_s: int


class PageOverdue(msgspec.Struct, frozen=True, gc=False):
    """The page with this index has not come in time."""

    index: int


HistoryMessage = Call[HistoryPeriod] | HistoryPeriod | LinkLost | PageOverdue


async def history(ctx: Context[HistoryMessage], link: LinkState) -> None:
    """Serve pages until stopped. Calls in hand fail when the actor ends; cancelling sends nothing more."""
    pages = _Pages(ctx, link)
    async for message in ctx.inbox:
        match message:
            case Call(msg=LoadPage() as page):
                pages.ask(page, message)
            case HistoryPeriod():
                pages.answer(message)
            case PageOverdue(index=index):
                pages.overdue(index)
            case LinkLost(reason=reason):
                pages.lost(reason)
            case _:
                raise AssertionError(f"history has no use for a {type(message).__name__}")


class _Pages:
    """Who waits for which page, and which one is on the wire."""

    def __init__(self, ctx: Context[HistoryMessage], link: LinkState) -> None:
        self.ctx = ctx
        self.link = link
        self.index = 0
        self.calls: dict[LoadPage, list[Call[HistoryPeriod]]] = {}
        self.queue: deque[LoadPage] = deque()
        self.current: LoadPage | None = None

    def ask(self, page: LoadPage, call: Call[HistoryPeriod]) -> None:
        if not self.link.ready:
            call.fail(NotConnected("no link to the venue; the page was not asked for"))
            return
        if page in self.calls:
            self.calls[page].append(call)
        else:
            self.calls[page] = [call]
            self.queue.append(page)
        self.next()

    def next(self) -> None:
        """Put the next page that someone still waits for on the wire."""
        while self.current is None and self.queue:
            page = self.queue.popleft()
            if all(call.abandoned for call in self.calls[page]):
                del self.calls[page]
                continue
            self.current = page
            self.index += 1
            request = LoadHistoryPeriod(
                asset=page.asset,
                index=self.index,
                time=page.end_stamp,
                offset=page.window_s,
                period=page.period_s,
            )
            self.ctx.lookup(CONNECTION).tell(Transmit(request, epoch=self.link.epoch))
            self.ctx.after(REQUEST_TIMEOUT, PageOverdue(self.index), key="overdue")

    def finish(self) -> list[Call[HistoryPeriod]]:
        assert self.current is not None
        page, self.current = self.current, None
        return self.calls.pop(page)

    def answer(self, reply: HistoryPeriod) -> None:
        if self.current is None or reply.index != self.index:
            return  # late: its askers have been told, or have gone
        for call in self.finish():
            call.reply(reply)
        self.next()

    def overdue(self, index: int) -> None:
        if self.current is None or index != self.index:
            return
        page = self.current
        for call in self.finish():
            call.fail(RequestTimeout(f"no history of {page.asset} within {REQUEST_TIMEOUT:g} s"))
        self.next()

    def lost(self, reason: str) -> None:
        self.queue.clear()
        self.current = None
        calls, self.calls = self.calls, {}
        for waiting in calls.values():
            for call in waiting:
                call.fail(NotConnected(f"the link was lost before the answer came: {reason}"))
