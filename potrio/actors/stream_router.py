"""The router of an additional session: it carries streams and raw events, and ends when nobody uses it.

Balance, orders, history and the asset table are the first session's business: what comes of them here is left alone, so
that nothing is told twice. When it ends, its supervisor ends the session.
"""

from __future__ import annotations

from typing import Any

import msgspec

from potrio.actor_errors import ChildNotFound
from potrio.actors.account import AccountState
from potrio.actors.keys import CONNECTION
from potrio.actors.link import LinkLost, LinkState, LinkUp, Transmit
from potrio.actors.router import RouterMessage, RouterState, Routes
from potrio.limits import SESSION_IDLE
from potrio.protocol.messages.market import History, HistoryFast, UpdateStream
from potrio.supervision.child_spec import Key
from potrio.supervision.context import Context
from potrio.supervision.ref import Ref

__all__ = ["SessionState", "stream_router"]


class CloseIfIdle(msgspec.Struct, frozen=True, gc=False):
    """Look whether anybody still reads."""


class SessionState:
    """One additional session. ``ended`` is set in the same step in which its router stops taking subscriptions.

    Attributes:
        leased: one holder has it, with or without a stream, until he gives it back.
    """

    def __init__(self, number: int, stale_after: float | None = None, *, leased: bool = False) -> None:
        self.number = number
        self.link = LinkState(number)
        self.router = RouterState(stale_after)
        self.leased = leased
        self.ended = False


async def stream_router(
    ctx: Context[RouterMessage | CloseIfIdle], session: SessionState, account: AccountState
) -> None:
    """Route until nobody has read a stream for a while, or until stopped; never waits but for its inbox."""
    routes = _StreamRoutes(ctx, session.router, account, session.link)
    idle = 0
    try:
        routes.resume()
        ctx.after(SESSION_IDLE, CloseIfIdle())
        while not ctx.stopping.is_set():
            for message in await ctx.inbox.burst():
                if not isinstance(message, CloseIfIdle):
                    routes.handle(message)
                    continue
                is_used = session.leased or routes.readers()
                idle = idle + 1 if session.link.ready and not is_used else 0
                if idle > 1:
                    session.ended = True
                    return
                ctx.after(SESSION_IDLE, CloseIfIdle())
    finally:
        if session.link.fatal is not None:  # the session is over, whatever its readers would like
            session.ended = True
            session.router.feeds.end(session.link.fatal)


class _StreamRoutes(Routes):
    """Ticks, and the recent ticks that bridge a gap."""

    def __init__(self, ctx: Context[Any], state: RouterState, account: AccountState, link: LinkState) -> None:
        super().__init__(ctx, state, account, link)
        self.routes = {UpdateStream: self.ticks, History: self.recent, HistoryFast: self.recent}

    def readers(self) -> bool:
        """Does anybody read? Those who have gone without a word are forgotten first."""
        for abandoned in self.feeds.abandoned():
            self.unsubscribe(abandoned)
        return bool(self.feeds.assets)

    def tell(self, key: Key[Any], message: object) -> None:
        """Only the connection of this session is told anything."""
        if key is not CONNECTION:
            return
        try:
            neighbour: Ref[Any] = self.ctx.lookup(CONNECTION.name)
        except ChildNotFound:
            return  # it is just being started anew
        neighbour.tell(message)

    def start_probe(self) -> None:
        """The venue's clock is measured by the first session."""

    def link_changed(self, message: LinkUp | LinkLost) -> None:
        """Restore the streams, or know that ticks are being missed."""
        self.faults.clear()
        if isinstance(message, LinkUp):
            self.restore()
            for kept in self.state.raw.up(message.epoch):
                self.tell(CONNECTION, Transmit(kept, message.epoch))
            self.guard.link_up(message)
        else:
            self.state.raw.lost(message.reason)
            self.feeds.lost()
            self.guard.link_lost(message)
