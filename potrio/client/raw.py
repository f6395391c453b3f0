"""Raw access of the client: read events as they came, send those that the client has no call of its own for.

For exploration: what is read is the venue's, unchecked, and may change. What could end the session, move money behind
the order book's back or take a stream away from its readers is refused here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import ClassVar, Final, NamedTuple

import msgspec
import trio

from potrio.actor_errors import MailboxFull
from potrio.actors.keys import CONNECTION
from potrio.actors.limiter import FREE_EVENTS, ORDER_EVENTS, check_rate, lane_of
from potrio.actors.link import LinkState, Transmit
from potrio.actors.raw import Outcome, RawState, RawTap
from potrio.actors.stream import Gap, Policy, Stream
from potrio.client.core import ClientCore
from potrio.errors import ClientClosed, ConfigError, LimitExceeded, LocalProtocolError, PotrioError
from potrio.limits import EVENT_NAME_CHARS_MAX, RAW_PAYLOAD_BYTES_MAX, STREAM_CAPACITY
from potrio.protocol.json_guard import JSON_ERRORS, check_depth
from potrio.protocol.matchers import ANYTHING, Matcher, RawEvent, any_of
from potrio.protocol.messages.base import Unknown
from potrio.seam import Seam
from potrio.secrets import Secret

__all__ = ["CALLS", "SHARED", "RawAccess", "RawCalls", "RawPlace"]

RESERVED: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Socket.IO keeps these names for itself; a server may close a connection that sends one."""

SHARED: Final = {
    **dict.fromkeys(
        ("changeSymbol", "subscribeSymbol", "unSubscribeSymbol"), "use ticks(), which shares streams"
    ),
    "loadHistoryPeriod": "use candles(), which tells answers apart",
}
"""What is not sent raw where others use the session, and why."""

CALLS: Final = {
    **dict.fromkeys(ORDER_EVENTS, "it moves money: use place(), whose orders are sent at most once"),
    **SHARED,
    **dict.fromkeys(RESERVED, "Socket.IO keeps this name for itself"),
    **dict.fromkeys(FREE_EVENTS, "the session sends it"),
}
"""What is not sent raw, and why."""

ENCODE: Final = msgspec.json.Encoder(decimal_format="number").encode


class RawPlace(NamedTuple):
    """The session whose events are meant: who shows them, and the way out.

    Attributes:
        tell: gives a message to its connection; False where there is no room.
        secret: shown to no tap.
    """

    raw: RawState
    link: LinkState
    tell: Callable[[Transmit], bool]
    secret: Secret
    seam: Seam


class RawAccess(ABC):
    """Events as they are on the wire of one session."""

    _refused: ClassVar[Mapping[str, str]] = CALLS
    """What is not sent raw here, and why."""

    @abstractmethod
    def _place(self) -> RawPlace:
        """The session, if it can be used.

        Raises:
            ClientClosed: the client has been closed.
        """

    @asynccontextmanager
    async def raw(
        self, matcher: Matcher = ANYTHING, *, policy: Policy = "ring", capacity: int = STREAM_CAPACITY
    ) -> AsyncGenerator[Stream[RawEvent | Gap], None]:
        """Read what the venue sends, as it came: ``async with client.raw(event("updateCharts")) as stream: ...``.

        A copy: nothing is taken away from anybody, and the session token is never in it. It goes on over reconnects.
        A reader that is too slow is told by a `Gap` how much it missed. Entering and leaving never wait.

        Raises:
            RequestError: too many taps are open.
        """
        stream: Stream[RawEvent | Gap] = Stream(
            capacity=capacity, policy=policy, gap=overflow, key=lambda item: getattr(item, "name", None)
        )
        with self._tap(matcher, stream):
            yield stream

    async def wait_raw(self, *matchers: Matcher) -> list[RawEvent]:
        """Wait for one event for each matcher, in this order, and return them; the same one n times waits for n.

        It goes on waiting over reconnects. Bound it with a cancel scope; cancelling only stops the waiting.

        Raises:
            ConfigError: no matcher was given.
            ClientClosed: the client was closed meanwhile.
        """
        self._place()
        if not matchers:
            raise ConfigError("matchers", "give at least one")
        stream: Stream[RawEvent | Gap] = Stream()
        found: list[RawEvent] = []
        with self._tap(any_of(*matchers), stream):
            while len(found) < len(matchers):
                item = await self._next(stream)
                if matchers[len(found)](item):
                    found.append(item)
        return found

    async def send_raw(self, name: str, payload: object = None) -> None:
        """Send an event, and return when it is in the bytes that are being written.

        Args:
            name: of the event.
            payload: anything that has a JSON form; None sends none. `msgspec.Raw` is sent as it is.

        Waits for its turn (the limiter's requests lane) as long as the caller's cancel scopes allow. Where that is
        cancelled before its turn, it is not sent. It is never sent twice, and not after the link was lost.

        Raises:
            LocalProtocolError: the client has a call of its own for it, or it would end the session; or it is no JSON.
            NotConnected: there is no link, or it was lost first; nothing was sent.
            RateLimited: its turn would come after the caller's deadline; nothing was sent.
            MailboxFull: too much waits already.
            ClientClosed: the client has been closed.
        """
        await self._send(name, payload, None)

    async def _send(self, name: str, payload: object, tap: RawTap | None) -> None:
        """Send it, and arm this tap at the moment in which it leaves."""
        place = self._place()
        message = raw_message(name, payload, self._refused)
        until = trio.current_effective_deadline()
        lane = lane_of(name)
        assert lane is not None, "what is never held up is refused"
        check_rate(lane, place.link.forecast(lane), place.seam.now(), place.seam.wall(), until, math.inf)
        outcome = Outcome()
        outcomes = place.raw.outcomes
        outcomes.add(outcome)

        def settled(error: PotrioError | None) -> None:
            if tap is not None and error is None:
                tap.armed = True
            outcome.settle(error)

        try:
            sent = Transmit(message, expires_at=until, settled=settled, wanted=lambda: not outcome.abandoned)
            if not place.tell(sent):
                raise MailboxFull(CONNECTION.name)
            await outcome.wait()
        finally:
            outcome.abandoned = True
            outcomes.discard(outcome)

    async def request_raw(self, name: str, payload: object, matcher: Matcher) -> RawEvent:
        """Send an event and return the first one after it that matches: its answer, if the matcher is good.

        There is no retry: what was sent may have been done. Bound it with a cancel scope; cancelling stops the
        waiting.

        Raises:
            NotConnected: there is no link, or it was lost before the answer came.
            LocalProtocolError, RateLimited, MailboxFull, ClientClosed: as `send_raw`.
        """
        stream: Stream[RawEvent | Gap] = Stream()
        with self._tap(matcher, stream, answers=True) as tap:
            await self._send(name, payload, tap)
            return await self._next(stream)

    @asynccontextmanager
    async def keep_alive(self, name: str, payload: object = None) -> AsyncGenerator[None, None]:
        """Send an event now, if there is a link, and on each link that comes up while the block lasts.

        For what the venue forgets with a connection. Never waits; leaving sends nothing.

        Raises:
            LocalProtocolError: as `send_raw`.
            RequestError: too many of these are open.
        """
        place = self._place()
        message, raw = raw_message(name, payload, self._refused), place.raw
        raw.keep(message)
        try:
            if place.link.ready and raw.epoch == place.link.epoch:  # else the router is just about to
                place.tell(Transmit(message, epoch=place.link.epoch))
            yield
        finally:
            if message in raw.keep_alives:
                raw.keep_alives.remove(message)

    # --- inside ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _tap(
        self, matcher: Matcher, stream: Stream[RawEvent | Gap], *, answers: bool = False
    ) -> Generator[RawTap, None, None]:
        place = self._place()
        if not isinstance(matcher, Matcher):
            raise ConfigError("matcher", f"must be a Matcher, not {type(matcher).__name__}")
        raw, tap = place.raw, RawTap(matcher, stream, until_lost=answers, armed=not answers)
        raw.open(tap, place.secret)
        try:
            yield tap
        finally:
            raw.close(tap)

    async def _next(self, stream: Stream[RawEvent | Gap]) -> RawEvent:
        try:
            item = await stream.receive()
        except trio.EndOfChannel:
            self._place()
            raise ClientClosed("the client has been closed") from None
        assert isinstance(item, RawEvent), "this stream says nothing of gaps"
        return item


class RawCalls(ClientCore, RawAccess):
    """Events as they are on the wire of the first session; a part of `Client`."""

    def _place(self) -> RawPlace:
        self._check_open()
        shared = self._shared
        return RawPlace(shared.router.raw, shared.link, self._tell, self._ssid.session, self._config.seam)

    def _tell(self, message: Transmit) -> bool:
        return self.supervisor.ref(CONNECTION).tell(message)


def overflow(dropped: int) -> RawEvent | Gap:
    """What a reader that was too slow finds in place of the events it lost."""
    return Gap("overflow", dropped=dropped)


def raw_message(name: str, payload: object, refused: Mapping[str, str] = CALLS) -> Unknown:
    """The message of one raw event.

    Args:
        refused: names that are not sent, and why.

    Raises:
        LocalProtocolError: it must not, or cannot, be sent.
    """
    if not isinstance(name, str) or not 0 < len(name) <= EVENT_NAME_CHARS_MAX or not name.isprintable():
        raise LocalProtocolError(f"an event's name has 1 to {EVENT_NAME_CHARS_MAX} printable characters")
    if name in refused:
        raise LocalProtocolError(f"{name!r} is not sent raw: {refused[name]}")
    if payload is None:
        return Unknown(name)
    try:
        encoded = ENCODE(payload)
        check_depth(encoded)
        msgspec.json.decode(encoded)
    except (*JSON_ERRORS, LimitExceeded, TypeError, ValueError):
        raise LocalProtocolError(f"the payload of {name!r} has no JSON form") from None
    if len(encoded) > RAW_PAYLOAD_BYTES_MAX:
        raise LocalProtocolError(f"the payload of {name!r} is larger than {RAW_PAYLOAD_BYTES_MAX} bytes")
    return Unknown(name, encoded)
