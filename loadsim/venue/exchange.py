"""The venue as an application of the server core: logins, subscriptions, broadcasts, and the faults on their way.

It connects the pure desks with living connections. One seat per connection holds what the venue knows of it; two
indexes, by account and by asset, say who hears what. Every broadcast is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any, Final

from loadsim.venue.accounts import AccountKey
from loadsim.venue.clock import VenueClock
from loadsim.venue.config import VenueConfig
from loadsim.venue.connection import Connection
from loadsim.venue.deals import Book
from loadsim.venue.desk import Desk, Rejection
from loadsim.venue.faults import Fault, FaultKind, FaultPlan
from loadsim.venue.market import Market, TickRow
from loadsim.venue.pending import PendingBook
from loadsim.venue.rates import REFUSABLE, TOO_MANY, Punishment, RateBook
from loadsim.venue.reply import Reply, Scope, refusal
from loadsim.venue.seat import Seat
from loadsim.venue.stats import Stats
from loadsim.venue.wire import header_of, to_json
from potrio.errors import LocalProtocolError
from potrio.protocol.engineio import Message
from potrio.protocol.events import AuthRequested, Connected, Disconnected, EventReceived, SessionEvent
from potrio.protocol.frames import encode_messages
from potrio.protocol.server_session import ServerSession
from potrio.protocol.state import SessionState

__all__ = ["Exchange"]

POLICY_VIOLATION: Final = 1008
HISTORY_STEP_COST: Final = 0.1
"""What a step of drawing history (`history.py`) costs of a connection's budget of events: a page of 150 candles is as
much as 15 events, so that the default budget is used up before one client has half of a processor for itself."""

PING_PACKET: Final = "2"
BROADCAST_STEP: Final = 200
"""Connections a tick is sent to until others may have their turn: at 10 microseconds each, two milliseconds."""

REJECTION_LINGER_S: Final = 0.1
"""From `41` to the Close frame. A client that meets both in one read may take the rejection for a broken connection
and come back (BinaryOptionsToolsV2 0.2.16 does)."""
GARBAGE: Final[tuple[Message, ...]] = ('451-["updateStr', b"\x00\xff\xfe not json")

header = lru_cache(256)(header_of)


class Exchange:
    """All that happens between the clients and the desks.

    Args:
        config: the venue's.
        clock: its time.
        market: its prices.
        book: its accounts.
        pending: orders that wait.
        desk: its answers.
        stats: its counters.
        plan: its faults.
        later: runs a function after some seconds.
        restart: drops everybody and refuses new connections for some seconds.
    """

    def __init__(
        self,
        config: VenueConfig,
        *,
        clock: VenueClock,
        market: Market,
        book: Book,
        pending: PendingBook,
        desk: Desk,
        stats: Stats,
        plan: FaultPlan,
        later: Callable[[float, Callable[[], None]], None],
        restart: Callable[[float], None],
    ) -> None:
        self.book = book
        self.pending = pending
        self.stats = stats
        self.plan = plan
        self.desk = desk
        self._config = config
        self._clock = clock
        self._market = market
        self._later = later
        self._restart = restart
        self._rates = RateBook(config.rates, stats.violations.count)
        self._seats: dict[Connection, Seat] = {}
        self._by_account: dict[AccountKey, dict[Connection, None]] = {}
        self._watchers: dict[str, dict[Connection, None]] = {}
        self._table: bytes = b""
        self._table_ends = 0
        self.answered: dict[str, float] = {}  # asset -> how far the answer to a new subscription reaches
        self.changed: Callable[[], None] = lambda: None
        """Called when a deadline of the market's tasks may have moved."""

    # --- the server core's application ---

    def opened(self, connection: Connection) -> None:
        """Give the connection a seat."""
        now = self._clock.now()
        self._seats[connection] = Seat(
            now, auth_timeout_s=self._config.auth_timeout_s, budget=self._config.events_per_second_max
        )

    def closed(self, connection: Connection) -> None:
        """Forget the connection."""
        seat = self._seats.pop(connection)
        self._rates.forget(connection)
        if seat.visitor is not None:
            _drop(self._by_account, seat.visitor.key, connection)
            for symbol in seat.visitor.streams:
                _drop(self._watchers, symbol, connection)

    def deadline(self, connection: Connection) -> float | None:
        """When the connection has neither logged in nor sent ``ps`` for too long."""
        return self._seats[connection].deadline(self._config.ps_deadline_s)

    def due(self, connection: Connection, now: float) -> None:
        """End a connection that has not logged in, or not sent ``ps``: a Close frame, no ``41`` (`protocol.md` 2.7)."""
        if connection.is_silent:
            connection.drop()
        elif self._seats[connection].visitor is None:
            connection.close("auth_timeout", POLICY_VIOLATION, "no login")
        else:
            connection.close("no_ps", 1000, "")

    def received(self, connection: Connection, event: SessionEvent) -> Iterator[None]:
        """Take one event of a session, in short steps."""
        match event:
            case Connected():
                self._send(connection, "updateAssets", (header("updateAssets"), self._current_table()))
            case AuthRequested():
                self.stats.events_received.count("auth")
                yield from self._authenticate(connection, event.payload)
            case EventReceived():
                yield from self._event(connection, event)
            case Disconnected():
                connection.close("client")
            case _:
                pass

    # --- in ---

    def _authenticate(self, connection: Connection, payload: bytes) -> Iterator[None]:
        session = connection.session
        assert isinstance(session, ServerSession), "the venue speaks Socket.IO"
        uid = self.desk.uid_of(payload)
        if self._hurt(connection, "auth", uid):
            return
        faults = self._applied(self.plan.on_request("auth", uid))
        if any(fault.kind is FaultKind.LOSE_REQUEST for fault in faults):
            return
        rejected = any(fault.kind is FaultKind.REJECT_AUTH for fault in faults)
        verdict = Rejection.NOT_AUTHORIZED if rejected else self.desk.authenticate(payload)
        if isinstance(verdict, Rejection):
            self.stats.rejected += 1
            if verdict is Rejection.BARE_41:
                self._bare_41(connection)
                return
            session.reject_auth()
            connection.send_from_session("NotAuthorized")
            connection.close("rejected", linger_s=REJECTION_LINGER_S)
            return
        seat = self._seats[connection]
        seat.login(verdict, self._clock.now())
        self._by_account.setdefault(verdict.key, {})[connection] = None
        self.stats.authenticated += 1
        connection.authenticated()
        accepted, welcome = self.desk.welcome(verdict)
        connection.flush_session()
        replayed = session.accept_auth(accepted)
        connection.send_from_session("successauth")
        self.deliver(welcome, connection)
        for event in replayed:
            yield from self.received(connection, event)

    def _event(self, connection: Connection, event: EventReceived) -> Iterator[None]:
        seat = self._seats[connection]
        self.stats.events_received.count(event.name)
        if not self._allow(connection, seat):
            return
        if event.name in ("ps", "ping-server"):
            self.stats.ps_received += 1
            seat.last_ps = self._clock.now()
        visitor = seat.visitor
        if visitor is None:
            return
        if self._hurt(connection, event.name, visitor.key.uid):
            return
        punishment = self._rates.judge(visitor.key, connection, event.name, self._clock.now())
        if punishment is Punishment.CLOSE:
            connection.close("violation", POLICY_VIOLATION, TOO_MANY)
            return
        refuse = TOO_MANY if punishment is Punishment.REFUSE else ""
        if refuse and event.name not in REFUSABLE:
            self.deliver([refusal(visitor.key, event.name, TOO_MANY)], connection)
            return
        for fault in self._applied(self.plan.on_request(event.name, visitor.key.uid)):
            if fault.kind is FaultKind.LOSE_REQUEST:
                return
            if fault.kind is FaultKind.REFUSE:
                refuse = fault.error
        asked_at = self._clock.stamp()
        for _ in self.desk.prepare(visitor, event.name, event.payload, asked_at, self._clock.unix()):
            if not self._allow(connection, seat, HISTORY_STEP_COST):
                return
            yield
        if seat.visitor is not visitor:
            return  # logged out between two steps
        before = visitor.streams
        unix, stamp_ms = self._clock.unix(), self._clock.stamp_ms()
        said = self.desk.handle(visitor, event.name, event.payload, stamp_ms, unix, refuse)
        if visitor.streams != before:
            self._rewatch(connection, before, visitor.streams)
            self.answered.update(dict.fromkeys({*visitor.streams} - {*before}, stamp_ms / 1000))
        self.deliver(said, connection)
        self.changed()

    def _allow(self, connection: Connection, seat: Seat, cost: float = 1.0) -> bool:
        """Take from the budget of a connection; close it where that is used up."""
        if seat.allow(self._clock.now(), cost):
            return True
        self.stats.violations.count("too many events")
        connection.close("violation", POLICY_VIOLATION, "too many events")
        return False

    def _rewatch(self, connection: Connection, before: Iterable[str], after: Iterable[str]) -> None:
        for symbol in before:
            _drop(self._watchers, symbol, connection)
        for symbol in after:
            self._watchers.setdefault(symbol, {})[connection] = None

    # --- out ---

    def deliver(self, said: Iterable[Reply], origin: Connection | None = None) -> None:
        """Send replies to whom they are for."""
        for each in said:
            messages = each.messages()
            if each.scope is Scope.HERE:
                assert origin is not None, "somebody asked"
                self._send(origin, each.event, messages)
                continue
            for connection in tuple(self._by_account.get(each.key, ())):
                if each.scope is Scope.ACCOUNT or connection is not origin:
                    self._send(connection, each.event, messages)

    def tick(self, symbol: str, tick: TickRow) -> Iterator[None]:
        """Stream one tick, alone in its frame (rule 10), to who watches the asset; in steps, where many do."""
        watchers = self._watchers.get(symbol)
        if not watchers:
            return
        messages = (header("updateStream"), to_json([(symbol, tick.stamp, tick.price)]))
        frames, _ = encode_messages(messages)
        for number, connection in enumerate(tuple(watchers), 1):
            if number % BROADCAST_STEP == 0:
                yield
            if connection in watchers:  # not gone since
                self._send(connection, "updateStream", messages, frames)

    def watched(self) -> set[str]:
        """Return the assets whose ticks somebody waits for: a watcher, or an order."""
        return {symbol for symbol, watchers in self._watchers.items() if watchers} | self.pending.watched()

    def push_table(self) -> None:
        """Push the asset table to everybody if it has changed."""
        before = self._table
        if before and self._current_table() != before:
            messages = (header("updateAssets"), self._table)
            frames, _ = encode_messages(messages)
            for connection in tuple(self._seats):
                self._send(connection, "updateAssets", messages, frames)

    @property
    def table_ends(self) -> int:
        """The stamp at which the asset table may change."""
        return self._table_ends

    def _current_table(self) -> bytes:
        stamp = self._clock.stamp()
        if stamp >= self._table_ends:
            self._table = to_json(self._market.table(stamp))
            self._table_ends = self._market.table_ends(stamp)
        return self._table

    def _send(
        self, connection: Connection, event: str, messages: tuple[Message, ...], frames: bytes = b""
    ) -> None:
        if connection.session.state not in (
            SessionState.CONNECTED,
            SessionState.AUTHENTICATING,
            SessionState.READY,
        ):
            return
        if len(self.plan):
            seat = self._seats.get(connection)
            uid = seat.visitor.key.uid if seat is not None and seat.visitor is not None else None
            if self._hurt(connection, event, uid):
                return
            for fault in self._applied(self.plan.on_reply(event, uid)):
                match fault.kind:
                    case FaultKind.LOSE:
                        return
                    case FaultKind.DELAY:
                        self._later(fault.delay_ms / 1000, partial(connection.send, event, messages))
                        return
                    case FaultKind.DUPLICATE:
                        connection.send(event, messages)
                    case FaultKind.REORDER:
                        messages, frames = (*messages[:1], PING_PACKET, *messages[1:]), b""
                    case FaultKind.TRUNCATE:
                        connection.truncate(messages)
                        return
                    case _:
                        raise AssertionError(f"{fault.kind} is no fault of a reply")
        connection.send(event, messages, frames)

    # --- faults ---

    def hurt_at_once(self, faults: Iterable[Fault]) -> None:
        """Apply faults that wait for no event to every matching connection."""
        for fault in faults:
            if fault.kind is FaultKind.RESTART:
                self._apply(None, fault)
                continue
            met = 0
            for connection, seat in tuple(self._seats.items()):
                uid = seat.visitor.key.uid if seat.visitor is not None else None
                if (fault.uid is None or fault.uid == uid) and (fault.count is None or met < fault.count):
                    met += 1
                    self._apply(connection, fault)

    def drop_all(self) -> None:
        """Close every connection's TCP without a word."""
        for connection in tuple(self._seats):
            connection.drop()

    def _hurt(self, connection: Connection, event: str, uid: int | None) -> bool:
        """Apply what happens to the connection at this event; True if the event goes no further."""
        ends = False
        for fault in self.plan.on_event(event, uid):
            self._apply(connection, fault)
            ends = ends or fault.kind not in (FaultKind.SLOW_DRAIN, FaultKind.GARBAGE)
        return ends

    def _apply(self, connection: Connection | None, fault: Fault) -> None:
        self.stats.faults.count(fault.kind.value)
        if fault.kind is FaultKind.RESTART:
            self._restart(fault.delay_ms / 1000)
            return
        assert connection is not None, "all other faults are those of a connection"
        match fault.kind:
            case FaultKind.DROP:
                connection.drop()
            case FaultKind.HALF_OPEN:
                connection.fall_silent()
            case FaultKind.GARBAGE:
                connection.send("", GARBAGE)
            case FaultKind.SLOW_DRAIN:
                connection.drain_delay_s = fault.delay_ms / 1000
            case FaultKind.BARE_41:
                self._bare_41(connection)
            case _:
                raise AssertionError(f"{fault.kind} is no fault of a connection")

    def _bare_41(self, connection: Connection) -> None:
        """Send ``41`` and nothing else; a client that stays all the same is closed when its time to log in is up."""
        session = connection.session
        assert isinstance(session, ServerSession), "the venue speaks Socket.IO"
        try:
            session.send_disconnect("/")
        except LocalProtocolError:
            return  # it is not connected: there is nothing to disconnect
        connection.flush_session()
        seat = self._seats[connection]
        if seat.visitor is not None:
            _drop(self._by_account, seat.visitor.key, connection)
            self._rewatch(connection, seat.visitor.streams, ())
        seat.logout(self._clock.now())

    def _applied(self, faults: list[Fault]) -> list[Fault]:
        for fault in faults:
            self.stats.faults.count(fault.kind.value)
        return faults


def _drop(index: dict[Any, dict[Connection, None]], key: object, connection: Connection) -> None:
    members = index.get(key)
    if members is not None:
        members.pop(connection, None)
        if not members:
            del index[key]
