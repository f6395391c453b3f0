"""Bugs to be found: each breaks one method of the product while a simulation runs, to prove that the checks see it.

They live here and not in the product: nothing in it can be switched wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final
from unittest.mock import patch

import msgspec
import trio

from loadsim.simulation.planted_orders import ORDER_BUGS, Patches
from potrio.actors.account import AccountState
from potrio.actors.feeds import Feeds
from potrio.actors.link_settings import LinkSettings
from potrio.actors.router import Routes
from potrio.actors.stream import Stream
from potrio.actors.wire import Wire
from potrio.protocol.client_session import ClientSession
from potrio.protocol.server_clock import ServerClock
from potrio.supervision.backoff import Backoff
from potrio.supervision.lanes import ChannelLane

__all__ = ["PLANTED", "planted"]


def lost_subscription() -> Patches:
    """After a reconnect only the first asset is asked for again."""

    def restore(self: Routes) -> None:
        for asset in self.feeds.start_bridging()[:1]:
            self.ask_for(asset)

    return ((Routes, "restore", restore), (Routes, "ask_for", _ask_once(Routes.ask_for)))


def _ask_once(real: Callable[..., None]) -> Callable[..., None]:
    def ask_for(self: Routes, asset: str) -> None:
        if asset == self.feeds.assets[0]:
            real(self, asset)

    return ask_for


def gap_not_reported() -> Patches:
    """What was missed in an outage is neither fetched nor told."""
    real = Feeds.start_bridging

    def start_bridging(self: Feeds) -> list[str]:
        assets = real(self)
        for feed in self._feeds.values():
            feed.bridging = None
        return assets

    return ((Feeds, "start_bridging", start_bridging),)


def balance_invented() -> Patches:
    """The first balance after an outage is a cent too high, and so are all that follow."""
    real = AccountState.set_balance
    lost: set[int] = set()

    def set_balance(self: AccountState, balance: Any, at: float) -> None:
        if self.stale and self.balance is not None:
            lost.add(id(self))
        more = Decimal("0.01") if id(self) in lost else Decimal(0)
        real(self, msgspec.structs.replace(balance, balance=balance.balance + more), at)

    return ((AccountState, "set_balance", set_balance),)


def zone_forgotten() -> Patches:
    """Ticks carry the venue's clock instead of UTC."""
    return ((Routes, "in_utc", lambda self, ticks: ticks),)


def overflow_unsaid() -> Patches:
    """A reader that is too slow is not told that items were dropped."""
    real = Stream.__init__

    def init(self: Any, **options: Any) -> None:
        real(self, **options)
        self._gap = None

    return ((Stream, "__init__", init),)


def leaked_task() -> Patches:
    """Each connection leaves a task behind."""
    real = Wire.run

    async def run(self: Wire, budget: float) -> Any:
        trio.lowlevel.spawn_system_task(trio.sleep_forever)
        return await real(self, budget)

    return ((Wire, "run", run),)


def reconnect_storm() -> Patches:
    """A lost link is tried again without a pause."""
    return ((LinkSettings, "reconnect", Backoff(base=0.001, cap=0.002, jitter="full", reset_after=10.0)),)


def outage_forgets_readers() -> Patches:
    """With the link the streams that were read over it are forgotten."""
    return ((Feeds, "lost", lambda self: self._feeds.clear()),)


def orders_not_counted() -> Patches:
    """The counters of a connection know nothing of the orders that were sent on it."""
    real = Wire.put

    async def put(self: Wire, transport: Any, messages: list[Any]) -> None:
        await real(self, transport, messages)
        self.counters.events_sent.pop("openOrder", None)

    return ((Wire, "put", put),)


def login_not_awaited() -> Patches:
    """A keep-alive is sent right behind the login, before its answer."""
    real = ClientSession.authenticate

    def authenticate(self: ClientSession, frame_payload: str) -> None:
        real(self, frame_payload)
        self._queue(['42["ps"]'])

    return ((ClientSession, "authenticate", authenticate),)


def mailboxes_without_bounds() -> Patches:
    """A full mailbox takes more."""
    real = ChannelLane.__init__

    def init(self: ChannelLane, capacity: float, overflow: Any) -> None:
        real(self, math.inf, overflow)

    return ((ChannelLane, "__init__", init),)


def sleep_taken_for_a_set_clock() -> Patches:
    """Where the venue's stamps show that the machine has slept, its clock is thought to have been set so far ahead."""

    def amend(self: ServerClock, by_s: float, sample: float, wall: float) -> float:
        self._system.settle()
        self._apart = None
        self._best.clear()
        self._zone_s = 3600 * round(sample / 3600)
        self._take(sample, wall)
        return 0.0

    return ((ServerClock, "_amend", amend),)


PLANTED: Final[dict[str, Callable[[], Patches]]] = {
    bug.__name__: bug
    for bug in (
        *ORDER_BUGS,
        lost_subscription,
        gap_not_reported,
        balance_invented,
        zone_forgotten,
        overflow_unsaid,
        leaked_task,
        reconnect_storm,
        outage_forgets_readers,
        orders_not_counted,
        login_not_awaited,
        mailboxes_without_bounds,
        sleep_taken_for_a_set_clock,
    )
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Have this bug in the product while the block runs; "" is none.

    Raises:
        KeyError: there is no bug of this name.
    """
    patches = [patch.object(*each) for each in (PLANTED[name]() if name else ())]
    started = []
    try:
        for each in patches:
            each.start()
            started.append(each)
        yield
    finally:
        for each in reversed(started):
            each.stop()
