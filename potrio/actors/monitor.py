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
from potrio.actors.link import LinkLost, LinkState, LinkUp, count
from potrio.actors.router import RouterState
from potrio.limits import MAILBOX_CAPACITY
from potrio.logs import potrio_logger
from potrio.seam import Seam
from potrio.supervision.context import Context
from potrio.supervision.events import ChildCrashed, RestartScheduled
from potrio.supervision.mailbox_spec import MailboxSpec, bounded, lanes, unbounded

__all__ = ["MONITOR_MAILBOX", "Fact", "MonitorMessage", "MonitorState", "Statistics", "monitor", "statistics"]

LOG = potrio_logger("client")

FACTS_KEPT = 1000


class Fact(msgspec.Struct, frozen=True):
    """Something that happened to the link or the tree. ``wall``: Unix seconds by the local clock."""

    wall: float
    kind: str
    text: str


class Statistics(msgspec.Struct, frozen=True):
    """Everything that is counted, since the client was opened; JSON-safe."""

    phase: str
    url: str
    connections: int
    reconnects: int
    messages_sent: int
    messages_received: int
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
) -> Statistics:
    """Add up the counters as they are now."""
    total = link.total()
    return Statistics(
        phase=link.phase.value,
        url=link.url,
        connections=link.epoch,
        reconnects=link.reconnects,
        messages_sent=total.messages_sent,
        messages_received=total.messages_received,
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
    )
