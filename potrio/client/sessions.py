"""More than four assets: additional sessions of the same account, opened when streams need them and closed after use.

The venue streams four assets per connection. With ``sessions_max`` above 1 a stream's assets are spread: each goes
where it is read already, else where there is room, else to a new session, which is a link of its own under its own
supervisor (``sessions/link-2``: connection, pinger, router). Additional sessions never trade, and balance and orders
come from the first one. A session can be lent to one holder as a whole (`leases.py`); then no stream is put there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Never

import msgspec
import trio

from potrio.actor_errors import ActorDead, ChildNotFound, SupervisorError
from potrio.actors.account import AccountState
from potrio.actors.connection import GIVEN_UP, connection, lane
from potrio.actors.feeds import Feeds, TickStream
from potrio.actors.keys import CONNECTION, PINGER, ROUTER
from potrio.actors.link import LinkCounters, LinkState, Pause, Unpause
from potrio.actors.link_settings import LinkSettings
from potrio.actors.monitor import Statistics, Throughput
from potrio.actors.phases import LinkPhase
from potrio.actors.pinger import pinger
from potrio.actors.router import RouterState, Subscribe, Unsubscribe
from potrio.actors.stream_router import SessionState, stream_router
from potrio.errors import ClientClosed, PotrioError, RequestError
from potrio.limits import CLOSE_TIMEOUT, LEASE_END_MAX, MAILBOX_CAPACITY, READS_WAITING_MAX
from potrio.secrets import redact
from potrio.supervision.backoff import Backoff
from potrio.supervision.child_spec import ChildSpec
from potrio.supervision.events import ChildExited, Event
from potrio.supervision.exit import Failure
from potrio.supervision.intensity import Limit
from potrio.supervision.mailbox_spec import bounded, lanes, unbounded
from potrio.supervision.ref import Ref
from potrio.supervision.spec import child, supervisor
from potrio.supervision.supervisor import Supervisor

__all__ = ["SESSIONS", "SessionPool", "ref", "session_tree"]

SESSIONS = "sessions"
"""The supervisor of the additional sessions."""


def session_tree(settings: LinkSettings, session: SessionState, account: AccountState) -> ChildSpec[Never]:
    """One additional session: its end, of whatever, ends nobody else."""
    return supervisor(
        child(
            connection,
            settings,
            session.link,
            id=CONNECTION.name,
            mailbox=lanes(unbounded(), unbounded(), bounded(MAILBOX_CAPACITY), lane=lane),
            stop_on=GIVEN_UP,
            shutdown=2 * CLOSE_TIMEOUT,
        ),
        child(pinger, session.link, id=PINGER.name, shutdown=0.0),
        child(
            stream_router,
            session,
            account,
            id=ROUTER.name,
            mailbox=bounded(READS_WAITING_MAX),
            restart="transient",
            significant=True,
        ),
        id=f"link-{session.number}",
        strategy="rest_for_one",
        limit=Limit(10, within=10.0),
        backoff=Backoff(base=0.05, cap=2.0, reset_after=30.0),
        auto_shutdown="any_significant",
        restart="temporary",
    )


class SessionPool:
    """Who streams what. The first session is always there; the others come and go."""

    def __init__(
        self,
        settings: LinkSettings,
        link: LinkState,
        first: RouterState,
        account: AccountState,
        sessions_max: int = 1,
    ) -> None:
        self._settings = settings
        self._link = link
        self._first = first
        self._account = account
        self.sessions_max = sessions_max
        self._lock = trio.Lock()  # held while places are given out: as long as routers need to answer
        self._opening = trio.Lock()  # the turn of those that wait for a session to be opened
        self._lending = trio.Lock()  # the turn of those that wait for a place of their own
        self._freed = trio.Event()  # a session has gone
        self._over: PotrioError | None = None  # what those hear of who wait when the client has ended
        self._paused = False
        self._number = 1
        self.sessions: list[SessionState] = []  # until their tasks have ended
        self.past = LinkCounters()  # of sessions that have ended
        self._past: Counter[str] = Counter()

    def forget(self, running: Supervisor, stream: TickStream) -> None:
        """A reader has gone."""
        try:
            running.ref(ROUTER).tell(Unsubscribe(stream))
        except ChildNotFound:
            pass  # the client has been closed before its reader
        for session in self.alive():
            tell(running, session, ROUTER.name, Unsubscribe(stream))

    def tell_all(self, running: Supervisor, message: Pause | Unpause) -> None:
        """Tell the connections of all additional sessions: one that is just being started has its mailbox already.

        Nothing else is for all of them: a reconnect, silent streams, a deadline and a refused lane are those of one
        link, told by its own router or pinger when that link is up, or meant for the first session alone.
        """
        self._paused = isinstance(message, Pause)
        for session in self.alive():
            tell(running, session, CONNECTION.name, message)

    async def subscribe(self, running: Supervisor, stream: TickStream, assets: Sequence[str]) -> None:
        """Let a stream read these assets, each from where there is room. Waits for sessions that have to be opened.

        Who needs none does not wait for those who do; they have them one after another. Cancelling, and every error,
        may leave the stream a reader of some: the caller closes it. A session that is being opened is not harmed by it.

        Raises:
            RequestError: more assets than all sessions together may stream, or another session cannot be had.
            ClientClosed: the client was closed while this waited.
            MailboxFull: a router has too much to do now; nothing is lost by trying again.
        """
        if await self._take_places(running, stream, assets):
            return
        async with self._opening:
            while not await self._take_places(running, stream, assets):
                if (session := self._coming(running, assets)) is not None:  # else it came up just now
                    await self.wait_up(session)

    async def _take_places(self, running: Supervisor, stream: TickStream, assets: Sequence[str]) -> bool:
        """Subscribe, if all sessions that are needed are up."""
        async with self._lock:
            shares, wanted = self._shares(assets)
            if wanted or any(place is not None and not place.link.ups for place in shares):
                return False
            for place, share in shares.items():
                await ref(running, place, ROUTER.name).ask(Subscribe(stream, tuple(share)))
            return True

    def _coming(self, running: Supervisor, assets: Sequence[str]) -> SessionState | None:
        """A session that is needed and not up yet; begun here where one is missing."""
        shares, wanted = self._shares(assets)
        if wanted:
            return self._begin(running)
        return next((place for place in shares if place is not None and not place.link.ups), None)

    def _shares(self, assets: Sequence[str]) -> tuple[dict[SessionState | None, list[str]], list[str]]:
        """Which session (None: the first) is to stream which assets, and for which there is no room in those there are.

        Raises:
            RequestError: there would be too many sessions.
        """
        wanted = list(dict.fromkeys(assets))
        shares: dict[SessionState | None, list[str]] = {}
        lent = sum(session.leased for session in self.sessions)
        open_to_all = [session for session in self.alive() if not session.leased]
        for place in (None, *open_to_all):  # where they are read already, then where there is room
            there = set(self.router(place).feeds.read)
            shares[place] = [asset for asset in wanted if asset in there]
            wanted = [asset for asset in wanted if asset not in there]
        for place, share in shares.items():
            room = self.room(place)
            share += wanted[:room]
            wanted = wanted[room:]
        needed = -(-len(wanted) // self._first.feeds.limit)
        if len(shares) + lent + needed > self.sessions_max:
            raise RequestError(
                f"the venue streams {self._first.feeds.limit} assets per connection, and {', '.join(wanted)} would "
                f"need more than {self.sessions_max} of them{f' ({lent} are leased)' if lent else ''}: "
                "close a stream first, or raise sessions_max"
            )
        return {place: share for place, share in shares.items() if share}, wanted

    def room(self, place: SessionState | None) -> int:
        """How many more assets fit."""
        feeds = self.router(place).feeds
        return max(0, feeds.limit - len(feeds.read))

    def router(self, place: SessionState | None) -> RouterState:
        """The router's state there."""
        return self._first if place is None else place.router

    def reads(self, asset: str) -> tuple[LinkState, Feeds]:
        """The session that streams an asset: its link and its feeds. The first one's where none does."""
        for session in self.sessions:
            if not session.ended and asset in session.router.feeds.read:
                return session.link, session.router.feeds
        return self._link, self._first.feeds

    async def lend(self, running: Supervisor) -> SessionState:
        """Begin a session for one holder, who has to `take_back` it; it is not up yet. Waits for a free place.

        Those who wait have them one after another. Cancelling takes none.

        Raises:
            RequestError: no additional session is allowed.
            ClientClosed: the client was closed while this waited.
        """
        if self.sessions_max == 1:
            raise RequestError("there is no session to lease: raise sessions_max")
        async with self._lending:
            while len(self.sessions) + 1 >= self.sessions_max:
                if self._over is not None:
                    raise self._over
                await self._freed.wait()
            return self._begin(running, leased=True)

    async def take_back(self, running: Supervisor, session: SessionState) -> None:
        """End a session that was lent, and wait until its place is free. Cancelling has no effect: it is bounded."""
        session.ended = True
        session.router.raw.end(RequestError("the lease has ended"))
        with trio.move_on_after(LEASE_END_MAX, shield=True), suppress(ChildNotFound):
            await running.supervisor(SESSIONS).stop_child(f"link-{session.number}")

    def _begin(self, running: Supervisor, *, leased: bool = False) -> SessionState:
        """Begin to open one more session: nobody's own, so that whoever is cancelled does not take it along.

        Raises:
            ClientClosed: the client is being closed.
        """
        self._number += 1
        session = SessionState(self._number, self._first.watch.stale_after, leased=leased)
        session.router.raw.secrets = self._first.raw.secrets
        session.link.paused = self._paused
        session.link.latencies, session.link.frame_readers = self._link.latencies, self._link.frame_readers
        try:
            running.supervisor(SESSIONS).start_child_soon(
                session_tree(self._settings, session, self._account)
            )
        except SupervisorError as error:  # it never gives up, and runs as long as the client
            raise ClientClosed("the client has been closed") from error
        self.sessions.append(session)
        return session

    async def wait_up(self, session: SessionState) -> None:
        """Wait until a session is up; one that is not waited for any more ends itself when it is idle.

        Raises:
            RequestError: it could not be; ``__cause__`` says why.
            ClientClosed: the client was closed, or died, meanwhile.
        """
        try:
            await session.link.wait_ready()
        except ClientClosed:
            raise
        except PotrioError as error:
            session.ended = True
            raise RequestError(f"the venue gives no further session: {error}") from error

    def observe(self, event: Event) -> None:
        """Follow the tree: a session that has ended frees its place, and its readers must not wait for ever."""
        if isinstance(event, ChildExited):
            for session in self.sessions:
                if event.path.endswith(f"/{SESSIONS}/link-{session.number}"):
                    self._gone(session, event.exit.failure, event.at)
                    return

    def _gone(self, session: SessionState, failure: Failure | None, now: float) -> None:
        """Its tasks have ended, of themselves or of a failure, or because the client is being closed."""
        if failure is not None and session.link.fatal is None:
            why = redact(failure.text, self._settings.ssid_now.session)
            session.link.fatal = RequestError(
                f"the session has broken down; open anew what it was for ({why})"
            )
        if session.link.fatal is not None or session.ended:
            self._end(session, session.link.fatal, now)
            self.sessions.remove(session)
            self.past.add(session.link.total())
            self._past += counted(session.link, session.router)
        freed, self._freed = self._freed, trio.Event()
        freed.set()

    def end(self, reason: PotrioError | None, now: float) -> None:
        """The client closes, or died of ``reason``: so do all streams, and whoever waits for a session."""
        self._over = reason or ClientClosed("the client has been closed")
        for session in self.sessions:
            self._end(session, reason, now)
        self._freed.set()

    def _end(self, session: SessionState, reason: PotrioError | None, now: float) -> None:
        session.ended = True
        session.link.enter(LinkPhase.CLOSED, now)
        session.router.feeds.end(reason)
        session.router.raw.end(reason)

    def alive(self) -> list[SessionState]:
        """The additional sessions there are."""
        return [session for session in self.sessions if not session.ended]

    def wire_counters(self) -> LinkCounters:
        """What was on the wire in all additional sessions."""
        total = LinkCounters()
        total.add(self.past)
        for session in self.sessions:
            total.add(session.link.total())
        return total

    def added_to(self, first: Statistics) -> Statistics:
        """The statistics of all sessions together (P10)."""
        wire = self.wire_counters()
        more = self._past + Counter()
        for session in self.sessions:
            more += counted(session.link, session.router)
        sums: dict[str, Any] = {
            name: getattr(first, name) + getattr(wire, name)
            for name in (*Throughput.__struct_fields__, "pings_received", "pongs_sent")
        }
        sums |= {name: getattr(first, name) + times for name, times in more.items()}
        return msgspec.structs.replace(
            first,
            **sums,
            requests_dropped=first.requests_dropped + wire.dropped,
            events_sent=dict(Counter(first.events_sent) + wire.events_sent),
            events_received=dict(Counter(first.events_received) + wire.events_received),
        )


def counted(link: LinkState, router: RouterState) -> Counter[str]:
    """What one session adds to the statistics besides what is on the wire."""
    return Counter(
        connections=link.epoch,
        connections_ready=link.ups,
        reconnects=link.reconnects,
        ticks_delivered=router.feeds.delivered,
        ticks_unwanted=router.feeds.unwanted,
        ticks_out_of_order=router.feeds.out_of_order,
    )


def ref(running: Supervisor, place: SessionState | None, name: str) -> Ref[Any]:
    """An actor of a session."""
    return running.ref(ROUTER if place is None else f"{SESSIONS}/link-{place.number}/{name}")


def tell(running: Supervisor, session: SessionState, name: str, message: object) -> None:
    """Tell an actor of an additional session, unless that has ended."""
    with suppress(ChildNotFound, ActorDead):
        ref(running, session, name).tell(message)
