"""The supervision tree of a client, as a value: who runs, in which order, and what restarts together.

``root`` ▸ ``monitor`` · ``account`` (rest_for_one: journal if one is kept, order_book, history) · ``link``
(rest_for_one: connection, pinger, router) · ``users`` (yours). An outage is no crash: the connection reports it as
state. A crash restarts the crashed actor and those after it in its group, and nobody else (P13).
"""

from __future__ import annotations

from typing import Never

import trio

from potrio.actors.account import AccountState
from potrio.actors.book import Book
from potrio.actors.callback_facts import Facts
from potrio.actors.callbacks import Callbacks
from potrio.actors.connection import GIVEN_UP, connection, lane
from potrio.actors.history import HistoryState, history
from potrio.actors.journal import JournalState, journal
from potrio.actors.keys import CONNECTION, HISTORY, JOURNAL, MONITOR, ORDER_BOOK, PINGER, ROUTER
from potrio.actors.link import LinkState
from potrio.actors.link_settings import LinkSettings
from potrio.actors.monitor import MONITOR_MAILBOX, MonitorState, monitor
from potrio.actors.order_book import order_book
from potrio.actors.pinger import pinger
from potrio.actors.region_health import RegionHealth
from potrio.actors.router import RouterState, router
from potrio.client.sessions import SESSIONS, SessionPool
from potrio.limits import CLOSE_TIMEOUT, MAILBOX_CAPACITY, READS_WAITING_MAX
from potrio.supervision.backoff import Backoff
from potrio.supervision.child_spec import ChildSpec
from potrio.supervision.intensity import Limit
from potrio.supervision.mailbox_spec import bounded, lanes, unbounded
from potrio.supervision.spec import child, supervisor

__all__ = ["Shared", "client_tree"]


class Shared:
    """The state that outlives the actors' incarnations; each part has one writer, named where it is defined."""

    def __init__(
        self,
        *,
        is_demo: bool = True,
        stale_after: float | None = None,
        health: RegionHealth | None = None,
    ) -> None:
        self.health = health or RegionHealth()
        self.sessions: SessionPool | None = None  # set before the tree is built
        self.link = LinkState()
        self.account = AccountState(is_demo)
        self.router = RouterState(stale_after)
        self.book = Book()
        self.history = HistoryState()
        self.deals_cleared: set[str] = (
            set()
        )  # ids of closed deals that lists and totals leave out (DealCalls)
        self.pausing: set[trio.CancelScope] = (
            set()
        )  # calls of `pause` that wait; `resume` ends them (LinkCalls)
        self.monitor = MonitorState()
        self.callbacks = Callbacks()
        self.facts = Facts(self.callbacks, is_demo=is_demo)
        self.monitor.observe = self.facts.observe
        self.book.observe = self.facts.order
        self.facts.secrets = self.router.raw.secrets
        self.link.begun = self.facts.attempt
        self.journal: JournalState | None = None  # set before the tree is built, where one is kept


def client_tree(settings: LinkSettings, shared: Shared) -> ChildSpec[Never]:
    """Build the tree; nothing runs before `open_supervisor` is given it."""
    seam = settings.seam
    backoff = Backoff(base=0.05, cap=2.0, reset_after=30.0)
    return supervisor(
        child(
            monitor,
            shared.monitor,
            seam,
            id=MONITOR,
            mailbox=MONITOR_MAILBOX,
        ),
        supervisor(
            # Before the order book, so that it is stopped after it and can write what that still says.
            *(
                []
                if shared.journal is None
                else [child(journal, shared.journal, seam, id=JOURNAL, mailbox=unbounded())]
            ),
            # Orders and results are never the thing that is dropped (P5): what can come in is bounded by the venue.
            child(
                order_book,
                shared.book,
                shared.account,
                shared.link,
                seam,
                shared.journal,
                id=ORDER_BOOK,
                mailbox=unbounded(),
            ),
            # A page waits for the pages before it; each has its own deadline on the wire.
            child(history, shared.history, shared.link, id=HISTORY, ask_timeout=None),
            id="account",
            strategy="rest_for_one",
            limit=Limit(10, within=300.0),
            backoff=backoff,
        ),
        supervisor(
            child(
                connection,
                settings,
                shared.link,
                id=CONNECTION,
                mailbox=lanes(unbounded(), unbounded(), bounded(MAILBOX_CAPACITY), lane=lane),
                stop_on=GIVEN_UP,
                shutdown=2 * CLOSE_TIMEOUT,
            ),
            child(pinger, shared.link, id=PINGER, shutdown=0.0),
            child(
                router,
                shared.router,
                shared.account,
                shared.link,
                id=ROUTER,
                mailbox=bounded(READS_WAITING_MAX),
            ),
            id="link",
            strategy="rest_for_one",
            limit=Limit(10, within=300.0),
            backoff=backoff,
        ),
        *([] if shared.sessions is None or shared.sessions.sessions_max == 1 else [supervisor(id=SESSIONS)]),
        supervisor(id="users"),
        id="root",
        limit=Limit(5, within=600.0),
        backoff=backoff,
    )
