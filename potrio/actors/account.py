"""What is known of the account and the market: balance, assets and the venue's clock.

The router is the only writer. Readers take what is there now, or a stream of what changes; nothing is ever made up
(P7): a balance is one that the venue told, with the moment it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import msgspec
import trio

from potrio.actors.asset_changes import AssetChange, asset_changes
from potrio.actors.breaker import Breaker
from potrio.actors.cache import Cache
from potrio.actors.stream import Gap, Stream
from potrio.protocol.messages.account import Balance
from potrio.protocol.messages.market import Asset
from potrio.protocol.server_clock import ServerClock
from potrio.seam import Seam
from potrio.transport.steady import SteadySeam

__all__ = ["AccountState", "BalanceUpdate", "Readers", "ignore"]

T = TypeVar("T")

VIEWS_MAX: Final = 8
VIEWS_TTL_S: Final = 3600.0
"""Extracts of the asset table that are kept as long as the table is: payouts, active assets."""


class BalanceUpdate(msgspec.Struct, frozen=True):
    """One balance as the venue told it.

    Attributes:
        balance: exact, in ``currency``.
        currency: None where the venue did not say.
        is_demo: the kind of account it is of; None where the venue did not say.
        received_at: when it came, on trio's clock.
    """

    balance: Decimal
    currency: str | None
    is_demo: bool | None
    received_at: float

    @classmethod
    def of(cls, balance: Balance, at: float) -> BalanceUpdate:
        """What a message of the venue that came at this time says."""
        is_demo = None if balance.is_demo is None else bool(balance.is_demo)
        return cls(balance.balance, balance.currency, is_demo, at)


class Readers(Generic[T]):
    """The open streams of one kind of news. A closed one is forgotten; to one that is full applies its policy."""

    def __init__(self) -> None:
        self._streams: dict[Stream[T], Callable[[T], bool] | None] = {}

    def add(self, stream: Stream[T], wanted: Callable[[T], bool] | None = None) -> None:
        """Let this stream have what is published from now on, or of that what is wanted, until it is closed."""
        self._streams[stream] = wanted

    def discard(self, stream: Stream[T]) -> None:
        """This stream is read no more."""
        self._streams.pop(stream, None)

    def publish(self, items: Iterable[T]) -> None:
        """Give the items to everyone; never waits."""
        told = list(items)
        for stream, wanted in list(self._streams.items()):
            if stream.closed:
                self.discard(stream)
            else:
                stream.extend(told if wanted is None else [item for item in told if wanted(item)])

    def end(self, reason: Exception | None) -> None:
        """No more will come."""
        for stream in self._streams:
            stream.end(reason)
        self._streams.clear()

    def __len__(self) -> int:
        return len(self._streams)


class AccountState:
    """The latest snapshot of everything but orders."""

    def __init__(self, is_demo: bool = True) -> None:
        self.is_demo = is_demo  # as the SSID says
        self.contradicted = False  # the venue said otherwise: its balance was not taken
        self.balance: Balance | None = None
        self.balance_at: float | None = None  # on trio's clock
        self.balances_told = 0  # how often the venue told one that was taken
        self.balance_breaker = Breaker("the balance")
        self.balance_asked: tuple[int, int, float] | None = None  # for last: connection, told by then, time
        self.balance_waiting = 0  # calls that wait for the answer
        self.stale = True  # no link now, or nothing heard on it yet
        self.clock = ServerClock()
        self.steady: SteadySeam | None = None  # the wall clock that `clock` compares the venue's with
        self.on_doubt: Callable[[], object] = (
            ignore  # the router's: somebody has to ask the venue for a look at its clock
        )
        self.assets_at: float | None = None  # on trio's clock
        self.views: Cache[str, Mapping[str, Any]] = Cache(VIEWS_MAX, VIEWS_TTL_S)
        self.balance_readers: Readers[BalanceUpdate | Gap] = Readers()
        self.asset_readers: Readers[AssetChange | Gap] = Readers()
        self._assets: Mapping[str, Asset] = MappingProxyType({})
        self._changed = trio.Event()

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The venue's assets by symbol; read-only, replaced as a whole when the venue sends a new table."""
        return self._assets

    def go_by(self, seam: Seam) -> None:
        """Measure the venue's clock by this wall clock; told before anything runs."""
        if isinstance(seam, SteadySeam):
            self.steady = seam
            seam.on_jump = self.doubt

    def doubt(self, beyond_s: float, wall: float) -> None:
        """The system's clock has jumped: nothing is concluded from times before the venue has shown why."""
        self.clock.doubt(beyond_s, wall)
        self.on_doubt()

    def wall_at(self, at: float, wall: float) -> float:
        """The wall time, as our clock goes now, of something that came at ``at``, when it showed ``wall``."""
        return wall if self.steady is None else self.steady.wall_at(at)

    async def wait_change(self) -> None:
        """Wait until something here changes; cancelling only stops the waiting."""
        await self._changed.wait()

    # --- for the router only -----------------------------------------------------------------------------------------

    def observe(self, stamp: float, wall: float) -> None:
        """The venue stamped something so, as it arrived at ``wall``."""
        slow_s = self.clock.observe(stamp, wall)
        if slow_s and self.steady is not None:
            self.steady.follow(slow_s)

    def set_balance(self, balance: Balance, at: float) -> None:
        """The venue told the balance; one of an account of the other kind is not ours, and is refused (P12)."""
        if balance.is_demo is not None and bool(balance.is_demo) != self.is_demo:
            self.contradicted = True
        else:
            self.balance = balance
            self.balance_at = at
            self.balances_told += 1
            self.stale = False
            self.balance_readers.publish([BalanceUpdate.of(balance, at)])
        self.notify()

    def set_assets(self, assets: Mapping[str, Asset], at: float | None = None) -> None:
        """The venue sent its table. What is read-only is kept as it is: the clients of a program share it."""
        kept = assets if isinstance(assets, MappingProxyType) else MappingProxyType(dict(assets))
        before, self._assets = self._assets, kept
        self.assets_at = at
        self.views.invalidate()
        if len(self.asset_readers):
            self.asset_readers.publish(asset_changes(before, self._assets))
        self.notify()

    def lost(self) -> None:
        """The link is gone: the balance is the last known one, and says so."""
        self.stale = True
        self.views.invalidate()
        self.notify()

    def notify(self) -> None:
        """Wake whoever waits for a change."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def end(self, reason: Exception | None) -> None:
        """Nobody will write here any more: streams end, and whoever waits is woken."""
        self.balance_readers.end(reason)
        self.asset_readers.end(reason)
        self.notify()


def ignore() -> None:
    """There is no router that could ask."""
