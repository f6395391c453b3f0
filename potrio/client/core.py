"""`ClientCore`: what every part of the client's front door stands on: phase, clock, counters, waiting, closing."""

from __future__ import annotations

from datetime import UTC, datetime

import trio

from potrio.actors.limiter import Lane, check_rate
from potrio.actors.link import LinkCounters
from potrio.actors.monitor import Fact, Statistics, statistics
from potrio.actors.phases import LinkPhase
from potrio.client.config import Config
from potrio.client.tree import Shared
from potrio.errors import ClientClosed, ClockUnknown, ConfigError, RequestTimeout
from potrio.limits import CLOCK_TIMEOUT, RATE_HOLD_MAX
from potrio.protocol.ssid import Ssid
from potrio.supervision.supervisor import Supervisor
from potrio.supervision.tree import Node

__all__ = ["ClientCore"]


class ClientCore:
    """One account of one venue, under supervision. The parts of `Client` derive from this."""

    def __init__(self, config: Config, ssid: Ssid, shared: Shared, supervisor: Supervisor) -> None:
        self._config = config
        self._ssid = ssid
        self._shared = shared
        self._closed = False
        self.supervisor = supervisor
        """The running tree; add actors of your own under ``users``."""

    def __repr__(self) -> str:
        return f"<Client of {self._ssid!r} at {self._shared.link.url}: {self.phase.value}>"

    # --- plain reads -------------------------------------------------------------------------------------------------

    @property
    def phase(self) -> LinkPhase:
        """Where the link is in its life."""
        return LinkPhase.CLOSED if self._closed else self._shared.link.phase

    @property
    def is_demo(self) -> bool:
        """A practice account? As the SSID says; a venue that says otherwise is refused, at any time (P12)."""
        return self._ssid.is_demo

    @property
    def stale(self) -> bool:
        """Is the link down, so that balance and assets may have changed since?"""
        return self._shared.account.stale

    @property
    def history(self) -> list[Fact]:
        """What happened to the link and the tree, oldest first; bounded."""
        return list(self._shared.monitor.facts)

    def venue_time(self) -> datetime:
        """The venue's time now (UTC, aware), from the clock estimate that its ticks feed; `clock` has its error bound.

        Raises:
            ClockUnknown: no tick has come yet to measure it by.
        """
        clock = self._shared.account.clock
        if not clock.is_measured:
            raise ClockUnknown
        return datetime.fromtimestamp(clock.to_utc(clock.stamp_at(self._config.seam.wall())), UTC)

    def statistics(self) -> Statistics:
        """All counters, as they are now."""
        shared = self._shared
        first = statistics(
            shared.link,
            shared.router,
            shared.book,
            shared.account,
            shared.history,
            shared.monitor,
            self._config.seam.now(),
        )
        return first if shared.sessions is None else shared.sessions.added_to(first)

    @property
    def epoch(self) -> int:
        """The number of the present connection, attempts included; the first is 1."""
        return self._shared.link.epoch

    def wire_counters(self, after_epoch: int = 0) -> LinkCounters:
        """What was on the wire, in all connections or in those of the first session after a certain one."""
        total = self._shared.link.total(after_epoch)
        if not after_epoch and self._shared.sessions is not None:
            total.add(self._shared.sessions.wire_counters())
        return total

    def tree(self) -> Node:
        """The supervision tree now: states, restarts, mailboxes."""
        return self.supervisor.tree()

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def wait_ready(self) -> None:
        """Wait until the link is up. Cancelling only stops the waiting.

        Raises:
            AuthError: the venue does not accept the SSID any more.
            ClientClosed: the client has been closed.
        """
        self._check_open()
        await self._shared.link.wait_ready()

    async def wait_change(self) -> None:
        """Wait until `phase` changes; ClientClosed once the client is closed. Cancelling only stops the waiting."""
        self._check_open()
        await self._shared.link.wait_change()

    async def wait_snapshot(self) -> None:
        """Wait for the first balance and asset table, and for a moment for the venue's clock.

        Cancelling only stops the waiting.

        Raises:
            ConfigError: the venue says that the account is of the other kind than the SSID says.
            RequestTimeout: they did not come within the handshake's time.
        """
        account, link, seconds = self._shared.account, self._shared.link, self._config.handshake_timeout_s
        with trio.move_on_after(seconds) as scope:
            while not account.assets or (account.balance is None and not self._ssid.is_guest):
                if account.contradicted:
                    kinds = ("live", "demo")
                    here, there = kinds[self.is_demo], kinds[not self.is_demo]
                    raise ConfigError("ssid", f"says {here}, but the venue says {there}: refused")
                if link.fatal is not None:
                    raise link.fatal
                await account.wait_change()
        if scope.cancelled_caught:
            missing = "asset table" if not account.assets else "balance"
            raise RequestTimeout(f"connected, but the venue sent no {missing} within {seconds:g} s")
        with trio.move_on_after(CLOCK_TIMEOUT):
            while not account.clock.is_measured:
                await account.wait_change()

    # --- inside ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Refuse further calls; what runs is ended by leaving the block."""
        self._closed = True

    def _check_rate(self, lane: Lane, until: float, patience: float = RATE_HOLD_MAX) -> None:
        """Raise RateLimited where the limiter would hold a message of this lane beyond a moment, or that long."""
        seam = self._config.seam
        check_rate(lane, self._shared.link.forecast(lane), seam.now(), seam.wall(), until, patience)

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("the client has been closed")
