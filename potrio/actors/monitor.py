"""The monitor: keeps the story of the link and of crashes, and adds the actors' counters up to one true `Statistics`.

Counters are plain integers in the actor that does the counting; nothing is estimated, and what the wire did not carry
is not counted (P10). The story is bounded: the newest facts stay.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from potrio.actors.account import AccountState
from potrio.actors.book import Book
from potrio.actors.cache import CacheStatistics
from potrio.actors.evidence import Anomaly
from potrio.actors.history import HistoryState
from potrio.actors.latencies import Latency
from potrio.actors.link import LinkLost, LinkState, LinkUp, count
from potrio.actors.router import RouterState
from potrio.limits import MAILBOX_CAPACITY
from potrio.logs import potrio_logger
from potrio.seam import Seam
from potrio.supervision.context import Context
from potrio.supervision.events import ChildCrashed, RestartScheduled
from potrio.supervision.mailbox_spec import MailboxSpec, bounded, lanes, unbounded

__all__ = [
    "MONITOR_MAILBOX",
    "Fact",
    "MonitorMessage",
    "MonitorState",
    "Statistics",
    "Throughput",
    "monitor",
    "statistics",
]

LOG = potrio_logger("client")

FACTS_KEPT = 1000


class Fact(msgspec.Struct, frozen=True):
    """Something that happened to the link or the tree. ``wall``: Unix seconds by the local clock."""

    wall: float
    kind: str
    text: str


class Throughput(msgspec.Struct, frozen=True):
    """What was on the wire per second."""

    messages_sent: float
    messages_received: float
    bytes_sent: float
    bytes_received: float


class Statistics(msgspec.Struct, frozen=True):
    """Everything that is counted, since the client was opened; JSON-safe.

    Attributes:
        connections: attempts to connect; ``connections_ready`` of them became a link, ``reconnects`` links were lost.
        age_s: seconds since the first attempt.
        uptime_s: seconds in which there was a link, all in all; ``uptime_now_s`` of the present one (none: 0).
        since_drop_s: seconds since a link was lost last; None: none was.
        latencies: ``ready``, ``order`` and ``history``, those that were measured (`Latencies`).
    """

    phase: str
    url: str
    connections: int
    connections_ready: int
    reconnects: int
    age_s: float
    uptime_s: float
    uptime_now_s: float
    since_drop_s: float | None
    messages_sent: int
    messages_received: int
    bytes_sent: int
    bytes_received: int
    pings_received: int
    pongs_sent: int
    events_sent: dict[str, int]
    events_received: dict[str, int]
    requests_dropped: int
    events_unknown: dict[str, int]
    events_undecodable: dict[str, int]
    ticks_delivered: int
    ticks_unwanted: int
    ticks_out_of_order: int
    orders: dict[str, int]
    crashes: dict[str, int]
    history_rows_bad: int
    caches: dict[str, CacheStatistics]
    clock_offset_s: float | None
    clock_error_s: float | None
    latencies: dict[str, Latency]

    def rates(self, since: Statistics | None = None) -> Throughput:
        """What was on the wire per second, from an earlier look on; without one, since the client was opened."""
        seconds = self.age_s - (0.0 if since is None else since.age_s)
        names = Throughput.__struct_fields__
        counts = [getattr(self, name) - (0 if since is None else getattr(since, name)) for name in names]
        return Throughput(*(count / seconds if seconds > 0 else 0.0 for count in counts))


MonitorMessage = LinkUp | LinkLost | Anomaly | ChildCrashed | RestartScheduled


def _lane(message: MonitorMessage) -> int:
    return 0 if isinstance(message, LinkUp | LinkLost) else 1


MONITOR_MAILBOX: Final[MailboxSpec[MonitorMessage]] = lanes(
    unbounded(), bounded(MAILBOX_CAPACITY, "drop_oldest"), lane=_lane
)
"""News of the link come as slowly as links do, and each is told in callbacks: a flood of others must not drop one."""


class MonitorState:
    """The story so far; outlives the monitor's incarnations."""

    def __init__(self) -> None:
        self.facts: deque[Fact] = deque(maxlen=FACTS_KEPT)
        self.crashes: Counter[str] = Counter()
        self.observe: Callable[[object], None] = lambda message: None
        """Told of every message, in passing (callbacks)."""


async def monitor(ctx: Context[MonitorMessage], state: MonitorState, seam: Seam) -> None:
    """Write the story until stopped; never waits but for its inbox."""
    async for message in ctx.inbox:
        state.observe(message)
        kind, text = describe(message)
        state.facts.append(Fact(seam.wall(), kind, text))
        fields = {
            "kind": kind,
            "epoch": getattr(message, "epoch", None),
            "path": getattr(message, "path", None),
        }
        if isinstance(message, ChildCrashed):
            count(state.crashes, message.path)
            LOG.warning("%s", text, extra=fields)
        elif isinstance(message, Anomaly):
            LOG.warning("%s", text, extra=fields)
        else:
            LOG.info("%s", text, extra=fields)


def describe(message: MonitorMessage | Any) -> tuple[str, str]:
    """One line about a fact, without anything secret."""
    match message:
        case LinkUp(epoch=epoch):
            return "up", f"connection {epoch} is ready"
        case LinkLost(epoch=epoch, reason=reason):
            return "lost", f"connection {epoch} is gone: {reason}"
        case Anomaly(request_id=request_id, text=text):
            return "anomaly", f"order {request_id}: {text}"
        case ChildCrashed(path=path):
            return "crash", f"{path} crashed"
        case RestartScheduled(path=path):
            return "restart", f"{path} will be restarted"
        case _:
            raise AssertionError(f"the monitor has no use for a {type(message).__name__}")


def statistics(
    link: LinkState,
    router: RouterState,
    book: Book,
    account: AccountState,
    history: HistoryState,
    state: MonitorState,
    now: float,
) -> Statistics:
    """Add up the counters as they are now, at ``now`` of the monotonic clock."""
    total = link.total()
    return Statistics(
        phase=link.phase.value,
        url=link.url,
        connections=link.epoch,
        connections_ready=link.ups,
        reconnects=link.reconnects,
        age_s=0.0 if link.began is None else now - link.began,
        uptime_s=link.up_s(now),
        uptime_now_s=0.0 if link.up_since is None else now - link.up_since,
        since_drop_s=None if link.dropped_at is None else now - link.dropped_at,
        messages_sent=total.messages_sent,
        messages_received=total.messages_received,
        bytes_sent=total.bytes_sent,
        bytes_received=total.bytes_received,
        pings_received=total.pings_received,
        pongs_sent=total.pongs_sent,
        events_sent=dict(total.events_sent),
        events_received=dict(total.events_received),
        requests_dropped=total.dropped,
        events_unknown=dict(router.counters.unknown),
        events_undecodable=dict(router.counters.undecodable),
        ticks_delivered=router.feeds.delivered,
        ticks_unwanted=router.feeds.unwanted,
        ticks_out_of_order=router.feeds.out_of_order,
        orders=dict(Counter(handle.state.value for handle in book.handles.values())),
        crashes=dict(state.crashes),
        history_rows_bad=history.rows_bad,
        caches={"assets": account.views.statistics(), "candles": history.blocks.statistics()},
        clock_offset_s=account.clock.offset_s if account.clock.is_measured else None,
        clock_error_s=account.clock.error_s if account.clock.is_measured else None,
        latencies=link.latencies.statistics(),
    )
