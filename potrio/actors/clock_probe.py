"""The clock probe: an asset whose ticks are asked for to measure the venue's clock, where nobody reads any (P9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from potrio.actors.account import AccountState
from potrio.actors.feeds import PERIOD_S, Feeds
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.market import ChangeSymbol, UnsubscribeSymbol

__all__ = ["ClockProbe", "LookAtClock"]

Transmitter: TypeAlias = Callable[[Message], None]


class LookAtClock(msgspec.Struct, frozen=True, gc=False):
    """The system's wall clock has jumped: somebody has to ask the venue why."""


class ClockProbe:
    """Owned by the router; outlives its incarnations.

    Attributes:
        asset: whose stream was asked for; None where no probe is under way.
    """

    def __init__(self) -> None:
        self.asset: str | None = None

    def begin(self, account: AccountState, feeds: Feeds, transmit: Transmitter) -> None:
        """Ask for an asset's ticks, where that is needed, and there is one to ask for.

        The streams of closed assets are silent. A probe must not take the place of a stream that is read: the venue
        ends the oldest where one too many is asked for.
        """
        if account.clock.is_certain or self.asset is not None:
            return
        assets = account.assets
        if any(symbol not in assets or assets[symbol].is_active for symbol in feeds.assets):
            return
        found = (asset.symbol for asset in assets.values() if asset.is_active and asset.is_otc)
        asset = next(found, None)
        if asset is not None and feeds.room_for((asset,)):
            self.asset = asset
            transmit(ChangeSymbol(asset=asset, period=PERIOD_S))

    def settle(self, account: AccountState, feeds: Feeds, transmit: Transmitter) -> None:
        """End the stream that was asked for only to measure the clock, if that has been measured."""
        if self.asset is not None and account.clock.is_certain:
            self._end(feeds, transmit)
            account.notify()

    def give_way(self, feeds: Feeds, assets: tuple[str, ...], transmit: Transmitter) -> None:
        """End it, where it leaves no room for these assets."""
        if self.asset is not None and not feeds.room_for((*assets, self.asset)):
            self._end(feeds, transmit)

    def _end(self, feeds: Feeds, transmit: Transmitter) -> None:
        asset, self.asset = self.asset, None
        if asset is not None and asset not in feeds.assets:
            transmit(UnsubscribeSymbol(asset))
