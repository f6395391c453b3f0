"""Raw access, as the router sees it: taps that are shown events as they came, and messages to be sent on each link.

Without a tap the router pays one look at an empty list per read. With one, each event of a read is looked at, those of
a run one by one. What a tap is shown never has the session token in it, and no tap makes the router wait.
"""

from __future__ import annotations

from collections.abc import Iterable

import trio

from potrio.actors.stream import Gap, Stream
from potrio.errors import ClientClosed, NotConnected, PotrioError, RequestError
from potrio.limits import RAW_KEEP_ALIVES_MAX, RAW_TAPS_MAX
from potrio.protocol.events import EventReceived, EventRun, SessionEvent
from potrio.protocol.matchers import Matcher, RawEvent
from potrio.protocol.messages.base import Message
from potrio.secrets import RUN_MIN, Secret, redact

__all__ = ["Outcome", "RawState", "RawTap"]


class RawTap:
    """One reader of raw events.

    Attributes:
        errors: how often the matcher itself has raised, each time meaning no (a `custom` function counts its own).
        armed: is it shown anything? The tap of a question is not before the question leaves: what comes earlier is no
            answer to it.
    """

    def __init__(
        self,
        matcher: Matcher,
        stream: Stream[RawEvent | Gap],
        *,
        until_lost: bool = False,
        armed: bool = True,
    ) -> None:
        self.matcher = matcher
        self.stream = stream
        self.until_lost = until_lost
        self.armed = armed
        self.errors = 0

    def offer(self, event: RawEvent) -> None:
        """Show it one event."""
        if not self.armed:
            return
        try:
            meant = self.matcher(event)
        except Exception:  # noqa: BLE001 - a matcher of somebody else's must not end the router; counted
            self.errors += 1
            return
        if meant:
            self.stream.push(event)


class Outcome:
    """What becomes of one message: set once by the connection, waited for by the sender."""

    def __init__(self) -> None:
        self.abandoned = False
        """Does the sender wait no more? Then it is not to be sent."""
        self._settled = trio.Event()
        self._error: PotrioError | None = None

    def settle(self, error: PotrioError | None) -> None:
        """None: it is in the bytes of the next write. Only the first call counts."""
        if not self._settled.is_set():
            self._error = error
            self._settled.set()

    async def wait(self) -> None:
        """Wait for it, and raise the error if it is one. Cancelling only stops the waiting."""
        await self._settled.wait()
        if self._error is not None:
            raise self._error


class RawState:
    """Who reads raw events, what is sent anew on each link, and who waits for a message to leave."""

    def __init__(self) -> None:
        self.taps: list[RawTap] = []
        self.keep_alives: list[Message] = []
        self.epoch = 0  # the last link that has been sent them
        self.outcomes: set[Outcome] = set()
        self.secrets: dict[Secret, tuple[bytes, ...]] = {}
        """What no tap is shown; the sessions of a client have one and the same."""

    # --- the readers' side -------------------------------------------------------------------------------------------

    def open(self, tap: RawTap, secret: Secret) -> None:
        """Let a tap see events from now on, without this secret.

        Raises:
            RequestError: there are too many.
        """
        if len(self.taps) >= RAW_TAPS_MAX:
            raise RequestError(f"{RAW_TAPS_MAX} raw taps are open; close one first")
        self.hide(secret)
        self.taps.append(tap)

    def hide(self, secret: Secret) -> None:
        """Show no tap this secret, from now on: one for each SSID that the client has logged in with."""
        if secret not in self.secrets:
            # A part of it that is worth hiding has RUN_MIN characters, so it has one of these pieces as a whole in it.
            token, size = secret.reveal().encode(), RUN_MIN // 2
            pieces = [token[i : i + size] for i in range(0, max(1, len(token) - size + 1), size)]
            self.secrets[secret] = tuple(piece for piece in pieces if piece)

    def close(self, tap: RawTap) -> None:
        """It sees nothing more; again does nothing."""
        if tap in self.taps:
            self.taps.remove(tap)
        tap.stream.close()

    def keep(self, message: Message) -> None:
        """Send this on each link that comes up.

        Raises:
            RequestError: there are too many.
        """
        if len(self.keep_alives) >= RAW_KEEP_ALIVES_MAX:
            raise RequestError(f"{RAW_KEEP_ALIVES_MAX} messages are sent anew on each link; end one first")
        self.keep_alives.append(message)

    # --- the router's side -------------------------------------------------------------------------------------------

    def offer(self, events: Iterable[SessionEvent], at: float) -> None:
        """Show the events of one read to the taps."""
        for event in events:
            match event:
                case EventReceived(name=name, payload=payload):
                    self._offer(name, payload, at)
                case EventRun(name=name, payloads=payloads):
                    for payload in payloads:
                        self._offer(name, payload, at)
                case _:
                    pass

    def up(self, epoch: int) -> list[Message]:
        """There is a link: what is to be sent on it. What is kept from now on is for its keeper to send."""
        self.epoch = epoch
        return list(self.keep_alives)

    def lost(self, reason: str) -> None:
        """The link is gone: who waits for an answer on it is told."""
        for tap in self.taps:
            if tap.until_lost:
                tap.stream.end(NotConnected(f"the link was lost before the answer came: {reason}"))

    def end(self, reason: PotrioError | None) -> None:
        """The client is closed, or died of ``reason``."""
        for tap in self.taps:
            tap.stream.end(reason)
        for outcome in self.outcomes:
            outcome.settle(reason or ClientClosed("the client has been closed"))
        self.taps.clear()
        self.keep_alives.clear()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _offer(self, name: str, payload: bytes, at: float) -> None:
        event = RawEvent(name, payload, at)
        encoded = name.encode("utf-8", "replace")
        if any(piece in payload or piece in encoded for pieces in self.secrets.values() for piece in pieces):
            shown = redact(payload.decode("latin-1"), *self.secrets).encode("latin-1")
            event = RawEvent(redact(name, *self.secrets), shown, at)
        for tap in tuple(self.taps):
            tap.offer(event)
