"""What is known of the account and the market: balance, assets and the venue's clock.

The router is the only writer. Readers take what is there now; nothing is ever made up (P7).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import trio

from potrio.protocol.messages.account import Balance
from potrio.protocol.messages.market import Asset
from potrio.protocol.server_clock import ServerClock

__all__ = ["AccountState"]


class AccountState:
    """The latest snapshot of everything but orders."""

    def __init__(self, is_demo: bool = True) -> None:
        self.is_demo = is_demo  # as the SSID says
        self.contradicted = False  # the venue said otherwise: its balance was not taken
        self.balance: Balance | None = None
        self.balance_at: float | None = None  # on trio's clock
        self.stale = True  # no link now, or nothing heard on it yet
        self.clock = ServerClock()
        self._assets: Mapping[str, Asset] = MappingProxyType({})
        self._changed = trio.Event()

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The venue's assets by symbol; read-only, replaced as a whole when the venue sends a new table."""
        return self._assets

    async def wait_change(self) -> None:
        """Wait until something here changes; cancelling only stops the waiting."""
        await self._changed.wait()

    # --- for the router only -----------------------------------------------------------------------------------------

    def set_balance(self, balance: Balance, at: float) -> None:
        """The venue told the balance; one of an account of the other kind is not ours, and is refused (P12)."""
        if balance.is_demo is not None and bool(balance.is_demo) != self.is_demo:
            self.contradicted = True
        else:
            self.balance = balance
            self.balance_at = at
            self.stale = False
        self.notify()

    def set_assets(self, assets: Mapping[str, Asset]) -> None:
        """The venue sent its table."""
        self._assets = MappingProxyType(dict(assets))
        self.notify()

    def lost(self) -> None:
        """The link is gone: the balance is the last known one, and says so."""
        self.stale = True
        self.notify()

    def notify(self) -> None:
        """Wake whoever waits for a change."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()
