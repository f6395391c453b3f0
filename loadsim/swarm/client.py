"""One client of a swarm: connect, upgrade, log in, subscribe, take ticks, answer pings, send. No task of its own.

It is the owner of its line, so the poller calls it with what came; what it notices it tells the `MuxOwner`.
"""

from __future__ import annotations

import enum
from typing import Any, Final, Protocol

from loadsim.swarm.lean import Kit, LeanSession
from potrio.errors import (
    ConnectionBroken,
    ConnectionClosed,
    ConnectRefused,
    HandshakeFailed,
    LocalProtocolError,
    PotrioError,
    RemoteProtocolError,
    TlsFailed,
)
from potrio.protocol.events import Authenticated, Closed, Connected, EventReceived, SessionEvent
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.codec import decode_server_event, encode
from potrio.protocol.messages.market import Tick, UpdateStream
from potrio.protocol.ssid import Ssid
from potrio.transport.http_head import HeadBuffer
from potrio.transport.line import Line, LineOwner
from potrio.transport.poller_tls import TlsLine
from potrio.transport.upgrade import ClientUpgrade

__all__ = ["MuxClient", "MuxHost", "MuxOwner", "MuxPhase"]

TICKS_NAME: Final = "updateStream"


class MuxPhase(enum.Enum):
    """Where a client is in its life."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    UPGRADING = "upgrading"
    LOGGING_IN = "logging in"
    READY = "ready"
    CLOSED = "closed"


class MuxOwner:
    """Whom a swarm tells what happens. Nothing here may wait; what it raises ends that client."""

    def ready(self, client: MuxClient) -> None:
        """It has logged in: the moment to subscribe."""

    def ticks(self, client: MuxClient, ticks: list[Tick], now: float) -> None:
        """Ticks have come, decoded, with the venue's own stamps; ``now`` is trio's clock at the read."""

    def event(self, client: MuxClient, name: str, payload: bytes, now: float) -> None:
        """Any other event has come: the JSON text of its argument."""

    def closed(self, client: MuxClient, error: Exception | None) -> float | None:
        """It has ended, and not by `MuxClient.close`.

        Returns:
            After how many seconds it is to connect again; None for never.
        """
        return None


class MuxHost(Protocol):
    """What a client needs of its swarm."""

    kit: Kit
    owner: MuxOwner
    ticks: int
    events: int
    sent: int

    def now(self) -> float:
        """Trio's clock."""

    def upgrade(self) -> ClientUpgrade:
        """Begin a WebSocket handshake."""

    def entered(self, client: MuxClient) -> None:
        """The client is ready."""

    def left(self, client: MuxClient, error: Exception | None, *, told: bool = True) -> None:
        """The client has ended; its owner is told of it, or knows."""


class MuxClient(LineOwner):
    """One client.

    Attributes:
        number: counts the clients of a swarm, from 0 on.
        ssid: whom it logs in as.
        tag: anything; the swarm does not look at it.
        phase: where it is.
        ticks: ticks received in all its connections.
        began: when (trio's clock) its present connection began, or is to begin.
    """

    __slots__ = ("_host", "_lean", "_line", "_opening", "began", "number", "phase", "ssid", "tag", "ticks")

    def __init__(self, host: MuxHost, number: int, ssid: Ssid, tag: Any = None) -> None:
        self.number = number
        self.ssid = ssid
        self.tag = tag
        self.phase = MuxPhase.WAITING
        self.ticks = 0
        self.began = host.now()
        self._host = host
        self._line: Line | None = None
        self._lean: LeanSession | None = None
        self._opening: tuple[ClientUpgrade, HeadBuffer] | None = None

    def __repr__(self) -> str:
        return f"<MuxClient {self.number} {self.phase.value}>"

    # --- for the program ---

    @property
    def waiting(self) -> int:
        """Bytes that the venue has not taken yet."""
        return 0 if self._line is None else self._line.waiting

    def send(self, message: Message) -> None:
        """Send a message, as an order.

        Raises:
            LocalProtocolError: the client is not ready, or the message cannot be sent.
            OutboundFull: the venue does not read.
            ConnectionClosed: the connection has been lost.
        """
        name, payload = encode(message)
        self.send_event(name, payload)

    def send_event(self, name: str, payload: bytes | None = None) -> None:
        """Send an event: its name and the JSON text of its argument.

        Raises:
            LocalProtocolError, OutboundFull, ConnectionClosed: as `send`.
        """
        if self._line is None or self._lean is None or self.phase is not MuxPhase.READY:
            raise LocalProtocolError(f"cannot send an event: the client is {self.phase.value}")
        self._line.send(self._lean.send_event(name, payload))
        self._host.sent += 1

    def pause(self, silent: bool) -> None:
        """Stop reading, or go on: the link of one client fails, and the venue cannot know."""
        if self._line is not None and not self._line.is_closed:
            if silent:
                self._line.pause()
            else:
                self._line.resume()

    def close(self) -> None:
        """End it, without telling the owner. It can be started again (`MuxClients.start`)."""
        if self.phase is not MuxPhase.CLOSED:
            self._drop()
            self._host.left(self, None, told=False)

    # --- for the swarm ---

    @property
    def stage(self) -> str:
        """What it is about, in a word: its phase, or TLS."""
        line = self._line
        if self.phase is MuxPhase.CONNECTING and isinstance(line, TlsLine) and line.is_securing:
            return "tls"
        return self.phase.value

    def begin(self, line: Line) -> None:
        """A connection has been begun."""
        self._line = line
        self.began = self._host.now()
        self.phase = MuxPhase.CONNECTING

    def fail(self, error: Exception | None) -> None:
        """The connection has ended, or cannot go on."""
        self._drop()
        self._host.left(self, error)

    def deadline(self) -> float | None:
        """When `run_timers` wants to be called because the venue may have gone silent."""
        return None if self._lean is None else self._lean.deadline()

    def run_timers(self, now: float) -> None:
        """Die of silence, where it is time."""
        if self._lean is not None:
            self._take(self._lean.handle_deadline(now), now)

    # --- the line's owner ---

    def connected(self, line: Line) -> None:
        """Send the HTTP request."""
        upgrade = self._host.upgrade()
        self._opening = (upgrade, HeadBuffer("response"))
        self.phase = MuxPhase.UPGRADING
        line.send(upgrade.request)

    def received(self, line: Line, data: bytes) -> None:
        """Take what came."""
        try:
            if self._opening is not None:
                data = self._take_head(data)
            if data:
                assert self._lean is not None, "after the head there is a session"
                now = self._host.now()
                events, written = self._lean.receive_data(data, now)
                if written:
                    line.send(written)
                self._take(events, now)
        except PotrioError as error:  # the venue's fault, or the network's: this client's end
            self.fail(error)

    def closed(self, line: Line, error: Exception | None) -> None:
        """Tell how it ended."""
        if type(error) is ConnectionClosed:  # by ourselves: the whole swarm ends
            self.close()
            return
        if error is None and self._lean is None:
            error = HandshakeFailed(self._host.kit.target, "the venue closed the connection", "http")
        if (
            self.phase is MuxPhase.CONNECTING
            and isinstance(error, PotrioError)
            and not isinstance(error, TlsFailed)
        ):
            refused = ConnectRefused(self._host.kit.target, str(error))
            refused.__cause__ = error.__cause__
            error = refused
        if error is None:
            error = ConnectionBroken("the venue ended the connection without a WebSocket Close frame")
        if self._lean is not None and isinstance(error, PotrioError):
            closed = [each for each in self._lean.receive_close(error) if isinstance(each, Closed)]
            error = closed[0].error if closed else error
        self._line = None
        self.fail(error)

    # --- private ---

    def _take_head(self, data: bytes) -> bytes:
        assert self._opening is not None, "there is a handshake under way"
        upgrade, head = self._opening
        complete = head.receive_data(data)
        if complete is None:
            return b""
        upgrade.receive_head(complete)
        self._opening = None
        self._lean = LeanSession(self._host.kit, self._host.now())
        self.phase = MuxPhase.LOGGING_IN
        return head.rest

    def _take(self, events: list[SessionEvent], now: float) -> None:
        host = self._host
        for event in events:
            if type(event) is EventReceived:
                if event.name == TICKS_NAME:
                    self._take_ticks(event.payload, now)
                else:
                    host.events += 1
                    host.owner.event(self, event.name, event.payload, now)
            elif isinstance(event, Connected):
                assert self._lean is not None, "it has just spoken"
                assert self._line is not None, "it has just been read"
                self._line.send(self._lean.authenticate(self.ssid.auth_payload()))
            elif isinstance(event, Authenticated):
                self.phase = MuxPhase.READY
                host.entered(self)
                host.owner.ready(self)
            elif isinstance(event, Closed):
                self.fail(event.error)
                return
            if self._lean is None:
                return  # closed by its owner

    def _take_ticks(self, payload: bytes, now: float) -> None:
        update = decode_server_event(TICKS_NAME, payload)
        if not isinstance(update, UpdateStream):
            raise RemoteProtocolError("updateStream is not what it should be")
        self.ticks += len(update.ticks)
        self._host.ticks += len(update.ticks)
        self._host.owner.ticks(self, update.ticks, now)

    def _drop(self) -> None:
        line, self._line = self._line, None
        self._lean = None
        self._opening = None
        self.phase = MuxPhase.CLOSED
        if line is not None:
            line.close()
