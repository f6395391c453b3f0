"""What the actors of a link say to each other, and the state of the link that everyone may read.

The connection actor is the only writer of `LinkState`; it reports every change as a message too (`LinkUp`,
`LinkLost`), in order with the data, so that an actor that lives by messages sees the same history.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import trio

from potrio.actors.latencies import Latencies
from potrio.actors.limiter import Lane
from potrio.actors.phases import SENDING, LinkPhase, may_follow
from potrio.errors import ClientClosed, PotrioError
from potrio.protocol.engineio import Handshake
from potrio.protocol.events import SessionEvent
from potrio.protocol.frames import Message as Frame
from potrio.protocol.messages.base import Message
from potrio.transport.base import TransportStatistics

__all__ = [
    "Batch",
    "CheckDeadline",
    "FrameReader",
    "LinkCounters",
    "LinkLost",
    "LinkState",
    "LinkUp",
    "NotSent",
    "Pause",
    "Resync",
    "StreamsStale",
    "SubmitOrder",
    "TooMany",
    "Transmit",
    "Unpause",
    "Written",
    "count",
]


# --- to the connection -----------------------------------------------------------------------------------------------


class Transmit(msgspec.Struct, frozen=True):
    """Send this if the link is ready, else drop and count it. ``epoch`` pins it to one connection (None: whichever).

    For requests that are safe to repeat or worthless later: whoever needs the outcome watches for `LinkLost`.

    Attributes:
        expires_at: do not send it later than this (trio's clock); the limiter refuses what would have to wait longer.
        settled: called once, with None when it is in the bytes of the next write, or with the error for which it
            never will be: `NotConnected`, `RateLimited`, `MailboxFull`. It must not raise.
        wanted: asked at the moment in which it would leave: does anybody still wait for it? What nobody waits for is
            not sent (P3), and settled as such. It must not raise.
    """

    message: Message
    epoch: int | None = None
    expires_at: float = math.inf
    settled: Callable[[PotrioError | None], None] | None = None
    wanted: Callable[[], bool] | None = None

    def settle(self, error: PotrioError | None) -> None:
        """Tell whoever wants to know."""
        if self.settled is not None:
            self.settled(error)


class TooMany(msgspec.Struct, frozen=True, gc=False):
    """The venue said that there was too much of this lane."""

    lane: Lane


class SubmitOrder(msgspec.Struct, frozen=True):
    """Put this order on the wire, at most once, not later than ``expires_at`` (trio's clock).

    Answered to the order book with `Written` before the bytes leave, or with `NotSent` if they never will.
    """

    request_id: str
    message: Message
    expires_at: float


class CheckDeadline(msgspec.Struct, frozen=True, gc=False):
    """The session's deadline may have passed: look, and drop the link if the peer has gone silent."""


class Resync(msgspec.Struct, frozen=True, gc=False):
    """Drop the link and connect again: the only way to be told everything anew. ``epoch`` as in `Transmit`.

    ``wished``: the program wants it so; nothing is wrong with the link or its address.
    """

    reason: str
    epoch: int | None = None
    wished: bool = False


class StreamsStale(msgspec.Struct, frozen=True, gc=False):
    """These assets are silent though they may be traded (none: all flow again). ``epoch``: of the link they came by."""

    assets: tuple[str, ...]
    epoch: int


class Pause(msgspec.Struct, frozen=True, gc=False):
    """End the link, with a word to the venue, and stay disconnected."""


class Unpause(msgspec.Struct, frozen=True, gc=False):
    """Connect again, at once."""


# --- from the connection, in order with the data ---------------------------------------------------------------------


class LinkUp(msgspec.Struct, frozen=True, gc=False):
    """Connection number ``epoch`` is authenticated, at ``at`` on trio's clock."""

    epoch: int
    at: float


class LinkLost(msgspec.Struct, frozen=True, gc=False):
    """Connection number ``epoch`` is gone. It need not have been up: a failed attempt has an epoch too."""

    epoch: int
    reason: str
    at: float


class Batch(msgspec.Struct, gc=False):
    """The session events of one read. ``position`` is how many are done: a restarted router goes on from there.

    ``tapped``: the taps have been shown them.
    """

    epoch: int
    events: list[SessionEvent]
    at: float
    wall: float
    position: int = 0
    tapped: bool = False


class Written(msgspec.Struct, frozen=True, gc=False):
    """The order is in the outgoing bytes of connection ``epoch``: from here on it may have reached the venue."""

    request_id: str
    epoch: int
    at: float
    wall: float


class NotSent(msgspec.Struct, frozen=True, gc=False):
    """The order has not been sent and this submission of it never will be; ``final``: nor should another be tried."""

    request_id: str
    reason: str
    final: bool = False


FrameReader = Callable[[bool, "LinkState", Sequence[Frame], float], None]
"""Is shown messages once they were sent (True) or received, over which link, and when; must not raise."""


# --- state everyone may read -----------------------------------------------------------------------------------------


NAMES_MAX = 300
"""Names that are counted one by one; a venue that invents more of them has the rest counted together."""

OTHER_NAMES = "(other)"


def count(counter: Counter[str], name: str, times: int = 1) -> None:
    """Count something by a name that somebody else chose: bounded, and the sum stays true."""
    if name not in counter and len(counter) >= NAMES_MAX:
        name = OTHER_NAMES
    counter[name] += times


class LinkCounters(msgspec.Struct):
    """What one connection has sent and received, as the wire counts it; bytes are those of WebSocket frames."""

    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    pings_received: int = 0
    pongs_sent: int = 0
    dropped: int = 0
    events_sent: Counter[str] = msgspec.field(default_factory=Counter)
    events_received: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, other: LinkCounters) -> None:
        """Add another connection's counters to these."""
        self.messages_sent += other.messages_sent
        self.messages_received += other.messages_received
        self.bytes_sent += other.bytes_sent
        self.bytes_received += other.bytes_received
        self.pings_received += other.pings_received
        self.pongs_sent += other.pongs_sent
        self.dropped += other.dropped
        for name, times in other.events_sent.items():
            count(self.events_sent, name, times)
        for name, times in other.events_received.items():
            count(self.events_received, name, times)


class LinkState:
    """The link as the connection actor last knew it. Only that actor calls the methods below the line."""

    def __init__(self, session: int = 1) -> None:
        self.session = session  # of which of the client's sessions; 1 is its own
        self.phase = LinkPhase.DISCONNECTED
        self.epoch = 0
        self.url = ""
        self.since = 0.0
        self.reconnects = 0  # links that were lost; those that the program ended itself are not counted
        self.ups = 0  # connections that became ready
        self.began: float | None = None  # when the first attempt was made
        self.up_since: float | None = None  # of the present link
        self.dropped_at: float | None = None  # when a link was lost last
        self.latencies = Latencies()
        self.begun: Callable[[int, str], None] = lambda epoch, url: None
        """Told of every attempt, in passing (callbacks)."""
        self.frame_readers: list[FrameReader] = []
        """Shown what goes over the wire, in passing (callbacks); all sessions have this one list. Mostly empty."""
        self._up_before = 0.0  # seconds of all links before the present one
        self.meter: Callable[[], TransportStatistics] | None = None
        """Tells the bytes of the present connection, to whoever wants to know: nobody counts them as they come."""
        self.paused = False
        self.transitions: Counter[tuple[LinkPhase, LinkPhase]] = Counter()
        self.handshake: Handshake | None = None
        self.deadline: float | None = None
        self._sooner = trio.Event()
        self.last_error: PotrioError | None = None
        self.fatal: PotrioError | None = None
        self.counters: dict[int, LinkCounters] = {}
        self._earlier = LinkCounters()  # connections whose own counters are not kept any more
        self._changed = trio.Event()
        self.forecast: Callable[[Lane], float] = lambda _: 0.0
        """Seconds until one more message of a lane would leave, as far as the limiter is concerned."""

    @property
    def ready(self) -> bool:
        """Authenticated now, so that something can be sent? A degraded link is."""
        return self.phase in SENDING

    async def wait_ready(self) -> None:
        """Wait until the link is ready; cancelling only stops the waiting.

        Raises:
            PotrioError: what ended the link for good: AuthError, ConnectError of the first attempt, or ClientClosed.
        """
        while not self.ready:
            if self.fatal is not None:
                raise self.fatal
            if self.phase is LinkPhase.CLOSED:
                raise ClientClosed("the client has been closed")
            await self._changed.wait()

    async def wait_deadline(self, until: float) -> None:
        """Wait until a moment, or until the phase changes or the session's deadline comes nearer.

        Cancelling only stops the waiting.
        """
        with trio.move_on_at(until):
            await self._sooner.wait()

    async def wait_change(self) -> None:
        """Wait until the phase changes; cancelling only stops the waiting."""
        await self._changed.wait()

    def measure(self) -> None:
        """Bring the bytes of the present connection up to date."""
        if self.meter is not None:
            found, counters = self.meter(), self.counters[self.epoch]
            counters.bytes_sent, counters.bytes_received = found.bytes_sent, found.bytes_received

    def up_s(self, now: float) -> float:
        """For how long there was a link, all in all."""
        return self._up_before + (0.0 if self.up_since is None else now - self.up_since)

    def total(self, after_epoch: int = 0) -> LinkCounters:
        """The counters of all connections together, or of those after a certain one (as far as they are kept)."""
        self.measure()
        total = LinkCounters()
        if not after_epoch:
            total.add(self._earlier)
        for epoch, counters in self.counters.items():
            if epoch > after_epoch:
                total.add(counters)
        return total

    # --- for the connection actor only -------------------------------------------------------------------------------

    EPOCHS_KEPT = 64
    """This many connections keep counters of their own; older ones are in the total only."""

    def move(self, phase: LinkPhase, at: float) -> None:
        """Go on to another phase that may follow the present one; anything else is a bug of the connection."""
        assert may_follow(self.phase, phase), f"{phase.value} after {self.phase.value}"
        self.enter(phase, at)

    def enter(self, phase: LinkPhase, at: float) -> None:
        """Be in a phase, wherever the link was, and wake whoever waits for it."""
        self.transitions[self.phase, phase] += 1
        if self.began is None:
            self.began = at
        if phase not in SENDING:
            self._up_before, self.up_since = self.up_s(at), None
        elif self.up_since is None:
            self.up_since = at
        self.phase = phase
        self.since = at
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        self._wake()

    def lost(self, at: float) -> None:
        """A link was lost, and not because the program wished it."""
        self.reconnects += 1
        self.dropped_at = at

    def set_deadline(self, deadline: float | None) -> None:
        """The session has to be looked at by then."""
        before, self.deadline = self.deadline, deadline
        if deadline is not None and (before is None or deadline < before):
            self._wake()

    def _wake(self) -> None:
        sooner, self._sooner = self._sooner, trio.Event()
        sooner.set()

    def begin(self, url: str) -> LinkCounters:
        """Start another connection: a new epoch with counters of its own."""
        self.measure()
        self.meter = None
        self.epoch += 1
        self.url = url
        self.handshake = None
        self.deadline = None
        self.begun(self.epoch, url)
        counters = self.counters[self.epoch] = LinkCounters()
        while len(self.counters) > self.EPOCHS_KEPT:
            self._earlier.add(self.counters.pop(next(iter(self.counters))))
        return counters
