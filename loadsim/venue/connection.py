"""One connection of the server core: a session, a transport, and a bounded queue between the two.

Two tasks: one reads, one writes whatever waits at a wake-up in a single write and keeps the deadlines. Nothing else
ever waits for a client: who has something to say queues it, and a client that does not read until the queue is full
is closed with 1013. What the session's events mean is the business of an `Application`.

One client's questions never cost the others more than a moment: the reader works in slices and lets everybody run
between them, it waits for the writer while much is queued, and it stops at once when the connection is being ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import trio

from loadsim.venue.stats import Stats
from potrio.errors import (
    ConnectionBroken,
    ConnectionClosed,
    HeartbeatMissed,
    PotrioError,
    RemoteProtocolError,
)
from potrio.limits import CLOSE_TIMEOUT
from potrio.protocol.engineio import Message
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import Closed, SessionEvent
from potrio.protocol.session import Session
from potrio.protocol.websocket import WebSocketCodec
from potrio.seam import Seam
from potrio.transport.base import Transport
from potrio.transport.framed import FramedTransport

__all__ = ["Application", "Connection"]

NO_EVENT: Final = ""
"""The name under which packets of the session itself are queued."""

SLICE_S: Final = 0.001
"""Work for one client until the others have their turn."""

MESSAGES_AT_ONCE: Final = 32
"""Messages decoded in one go: one read can bring thousands of small ones."""

PATIENCE_S: Final = 1.0
"""How long the next question waits for a client to read the answers to the last; then it is served all the same, which
fills the queue of a client that does not read."""

GOING_AWAY: Final = 1001
TRY_AGAIN_LATER: Final = 1013


class Application(Protocol):
    """What a server core serves."""

    def opened(self, connection: Connection) -> None:
        """A client is there; its session has queued its first packet."""

    def received(self, connection: Connection, event: SessionEvent) -> Iterable[None]:
        """Something came; `Closed` is never among it.

        Returns:
            the steps of the work, to be gone through; each is short, and others may run between two of them. The
            rest of the steps are left out when the connection is being ended.
        """

    def closed(self, connection: Connection) -> None:
        """The client is gone; called exactly once for each `opened`."""

    def deadline(self, connection: Connection) -> float | None:
        """Return when `due` wants to be called, besides the session's own deadlines."""

    def due(self, connection: Connection, now: float) -> None:
        """The deadline has come."""


class Connection:
    """A client.

    Args:
        number: counts connections; for logs.
        transport: fresh, in the role of the server.
        stream: what lies under it: for the faults that hurt it.
        session: fresh, in the role of the server.
        application: what is served.
        stats: counts what passes.
        seam: for the clock.
        messages_max: messages that may wait for a slow reader.
        bytes_max: their bytes.
        authenticated: to be called by the application when it knows who the client is.
    """

    def __init__(
        self,
        number: int,
        *,
        transport: Transport,
        stream: trio.abc.Stream,
        session: Session | EngineIOSession,
        application: Application,
        stats: Stats,
        seam: Seam,
        messages_max: int,
        bytes_max: int,
        authenticated: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = number
        self.authenticated = authenticated
        self.session = session
        self.drain_delay_s = 0.0
        """Every write waits so long first (a fault)."""
        self._transport = transport
        self._stream = stream
        self._application = application
        self._stats = stats
        self._seam = seam
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._outbound: list[tuple[str, Sequence[Message]]] = []
        self._outbound_messages = 0
        self._outbound_bytes = 0
        self._wake = trio.Event()
        self._taken = trio.Event()
        self._is_patient = True
        self._slice_ends = -math.inf
        self._sleeps_until = math.inf
        self._scope = trio.CancelScope()
        self._flushing = False
        self._linger_s = 0.0
        self._silent = False
        self._dropped = False
        self._last_bytes = b""
        self._close: tuple[int, str] = (1000, "")
        self._reason = "client"

    def __repr__(self) -> str:
        return f"<Connection {self.number} {self.session.state.name}>"

    # --- life ---

    async def run(self) -> None:
        """Serve the client until one side leaves.

        Waits all that time. Cancelling closes the connection with 1001 (going away).
        """
        self._stats.opened()
        try:
            self._application.opened(self)
            self.flush_session()  # OPEN, which the session queued when it was made
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
        finally:
            if not self._scope.cancel_called:
                self._note("venue", GOING_AWAY, "the venue is closing")
            self._application.closed(self)
            self._stats.closed(self._reason)
            await self._hang_up()

    async def _hang_up(self) -> None:
        if not self._dropped:
            await self._transport.aclose(*self._close)
            return
        with trio.CancelScope(shield=True):
            if self._last_bytes:
                with trio.move_on_after(CLOSE_TIMEOUT):
                    try:
                        await self._stream.send_all(self._last_bytes)
                    except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                        pass  # The client went first: nobody is left to be hurt.
            await trio.aclose_forcefully(self._stream)
            await self._transport.aclose()

    async def _read(self) -> None:
        try:
            while True:
                messages = await self._transport.receive()
                if self._silent:
                    await trio.sleep_forever()
                self._stats.received(messages)
                self._slice_ends = self._seam.now() + SLICE_S
                for start in range(0, len(messages), MESSAGES_AT_ONCE):
                    if self._is_ending:
                        break
                    some = messages[start : start + MESSAGES_AT_ONCE]
                    await self._take(self.session.receive_messages(some, self._seam.now()))
        except (ConnectionClosed, RemoteProtocolError) as error:
            self._lost(error)

    async def _write(self) -> None:
        try:
            while True:
                self._wake = trio.Event()
                self._run_timers()
                if self._outbound:
                    await self._write_waiting()
                elif self._flushing:
                    await trio.sleep(self._linger_s)
                    self._scope.cancel()
                    return
                else:
                    self._sleeps_until = self._deadline()
                    await self._seam.wait_until(self._wake, self._sleeps_until)
        except (ConnectionClosed, RemoteProtocolError) as error:
            self._lost(error)

    async def _write_waiting(self) -> None:
        if self.drain_delay_s:
            await trio.sleep(self.drain_delay_s)
        waiting, self._outbound = self._outbound, []
        self._outbound_messages = self._outbound_bytes = 0
        self._taken.set()
        self._taken = trio.Event()
        self._is_patient = True
        if not waiting:
            return
        await self._transport.send([message for _, messages in waiting for message in messages])
        for name, messages in waiting:
            self._stats.sent(messages)
            if name:
                self._stats.events_sent.count(name)

    def _run_timers(self) -> None:
        now = self._seam.now()
        if not self._silent:
            deadline = self.session.next_deadline()
            if deadline is not None and deadline <= now:
                for event in self.session.handle_deadline(now):
                    assert isinstance(event, Closed), "time brings nothing but the end"
                    self._session_closed(event.error)
                self.flush_session()
        own = self._application.deadline(self)
        if own is not None and own <= now and not self._flushing:
            self._application.due(self, now)
            self.flush_session()

    def _deadline(self) -> float:
        deadlines = [self._application.deadline(self)]
        if not self._silent:
            deadlines.append(self.session.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=math.inf)

    # --- in ---

    async def _take(self, events: Sequence[SessionEvent]) -> None:
        for event in events:
            if self._is_ending:
                break
            if isinstance(event, Closed):
                self._session_closed(event.error)
                break
            for _ in self._application.received(self, event):
                await self._breathe()
                if self._is_ending:
                    break
            await self._breathe()
        self.flush_session()
        deadline = self.session.next_deadline()
        if deadline is not None and deadline < self._sleeps_until:
            self._wake.set()  # a pong brings the next ping nearer

    @property
    def _is_ending(self) -> bool:
        return self._flushing or self._silent or self._scope.cancel_called

    async def _breathe(self) -> None:
        """Let the others run when a slice is over, and the writer first where half of what may wait does."""
        if self._is_patient and self._is_half_full:
            with trio.move_on_after(PATIENCE_S) as scope:
                await self._taken.wait()
            self._is_patient = not scope.cancelled_caught
        elif self._seam.now() >= self._slice_ends:
            await trio.lowlevel.checkpoint()
        else:
            return
        self._slice_ends = self._seam.now() + SLICE_S

    @property
    def _is_half_full(self) -> bool:
        return 2 * self._outbound_messages > self._messages_max or 2 * self._outbound_bytes > self._bytes_max

    def _session_closed(self, error: PotrioError | None) -> None:
        match error:
            case HeartbeatMissed():
                self.close("heartbeat", 1000, "no pong came")
            case RemoteProtocolError():
                self._stats.violations.count(f"{type(error).__name__} {error.close_code}")
                self.close("violation", error.close_code, str(error))
            case _:
                self.close("client", 1000, "")

    def _lost(self, error: PotrioError) -> None:
        """The transport has ended: by the client, or by a breach of its rules."""
        if isinstance(error, RemoteProtocolError):
            self._stats.violations.count(f"{type(error).__name__} {error.close_code}")
            self._note("violation", error.close_code, "")
        elif isinstance(error, ConnectionBroken):
            self._note("client", 1000, "")
        self.session.receive_close(error)
        self._scope.cancel()

    # --- out ---

    def send(self, event: str, messages: Sequence[Message], frames: bytes = b"") -> None:
        """Queue messages; ``event`` is the name they are counted by, once they are on the wire.

        A broadcast comes with its ``frames``, encoded once for all; they are written at once where nothing waits.
        """
        if self._flushing or self._silent or self._scope.cancel_called:
            return
        if event:
            self.flush_session()  # what the session said before comes before
        if frames and not self._outbound and self._write_now(frames, len(messages)):
            self._stats.sent(messages)
            self._stats.events_sent.count(event)
            return
        self._outbound.append((event, messages))
        self._outbound_messages += len(messages)
        for message in messages:
            self._outbound_bytes += len(message)
        if self._outbound_messages > self._messages_max or self._outbound_bytes > self._bytes_max:
            self._note("slow_reader", TRY_AGAIN_LATER, "the client does not read")
            self._scope.cancel()
        self._wake.set()

    def _write_now(self, frames: bytes, count: int) -> bool:
        can = isinstance(self._transport, FramedTransport) and not self.drain_delay_s
        return can and self._transport.send_encoded_nowait(frames, count)  # type: ignore[attr-defined]  # checked

    def flush_session(self) -> None:
        """Queue what the session has to say; you must call it after each of the session's methods."""
        messages = self.session.messages_to_send()
        if messages:
            self.send(NO_EVENT, messages)

    def send_from_session(self, event: str) -> None:
        """Queue what the session has to say, and count it as this event."""
        messages = self.session.messages_to_send()
        if messages:
            self.send(event, messages)

    def close(self, reason: str, code: int = 1000, text: str = "", *, linger_s: float = 0.0) -> None:
        """Close after what is queued has been sent, within the close timeout.

        Args:
            reason: a word, for the statistics.
            code: of the Close frame.
            text: of the Close frame.
            linger_s: from the last message to the Close frame.
        """
        if self._flushing:
            return
        self.flush_session()
        self._linger_s = linger_s
        self._note(reason, code, text)
        self._flushing = True
        self._scope.deadline = min(self._scope.deadline, self._seam.now() + CLOSE_TIMEOUT)
        self._wake.set()

    # --- faults ---

    def drop(self, last: bytes = b"") -> None:
        """Close TCP without a word, or after some last bytes."""
        self._note("fault", 1006, "")
        self._dropped = True
        self._last_bytes = last
        self._scope.cancel()

    def fall_silent(self) -> None:
        """Say and hear nothing more, but stay open: what a client sees when the way to the venue is cut."""
        self._silent = True
        self._outbound = []
        self._outbound_messages = self._outbound_bytes = 0
        self._reason = "fault"

    @property
    def is_silent(self) -> bool:
        """Whether `fall_silent` has been called."""
        return self._silent

    def truncate(self, messages: Sequence[Message]) -> None:
        """Send what is queued and then only half of a frame, and close TCP."""
        codec = WebSocketCodec("server", mask_bytes=self._seam.mask_bytes)
        codec.send_messages([message for _, waiting in self._outbound for message in waiting])
        whole = codec.data_to_send()
        codec.send_messages(messages[-1:])
        frame = codec.data_to_send()
        self._outbound = []
        self.drop(whole + frame[: max(1, len(frame) // 2)])

    def _note(self, reason: str, code: int, text: str) -> None:
        if self._reason == "client":
            self._reason = reason
            self._close = (code, text)
