"""The account of a client: the balance as it changes, asked for anew, and its age; the venue's clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import trio

from potrio.actors.account import BalanceUpdate
from potrio.actors.keys import CONNECTION
from potrio.actors.limiter import Lane
from potrio.actors.link import Transmit
from potrio.actors.repeat import Repeater
from potrio.actors.stream import Gap, Policy, Stream
from potrio.client.core import ClientCore
from potrio.errors import ClockUnknown, ConfigError, NotConnected, RequestTimeout
from potrio.limits import REQUEST_TIMEOUT, STREAM_CAPACITY
from potrio.protocol.messages.account import GetBalance

__all__ = ["AccountCalls", "VenueClock"]


class VenueClock(msgspec.Struct, frozen=True):
    """What is known of the venue's clock.

    Attributes:
        at: its time when this was made, UTC.
        offset_s: its time minus the time of this machine; positive where it is ahead.
        error_s: bound of the error of ``offset_s``, and with it of ``at``.
        zone_s: how far its stamps are ahead of UTC, in whole hours (`protocol.md` 6.0).
        samples: stamps of the stream that it was measured by.
    """

    at: datetime
    offset_s: float
    error_s: float
    zone_s: int
    samples: int


class AccountCalls(ClientCore):
    """What a client knows of its account; a part of `Client`."""

    @property
    def balance_age_s(self) -> float | None:
        """Seconds since the venue told the balance; None before it has. A balance is not wrong for being old: the venue
        tells each change, as long as the link is up (`stale`)."""
        at = self._shared.account.balance_at
        return None if at is None else max(0.0, self._config.seam.now() - at)

    async def refresh_balance(self) -> BalanceUpdate:
        """Ask the venue for the balance and return what it tells then; never the one that was known before.

        Waits for the answer, ten seconds at most, and asks again after a pause where none came: three times, within the
        caller's deadline. Calls at the same time are one question. Cancelling only stops the waiting.

        Raises:
            NotConnected: the link is down, or went down before the answer came: safe to try again.
            RequestTimeout: the venue did not answer, the last time either.
            CircuitOpen: it has not answered lately, again and again; nothing was asked.
            RateLimited: the limiter has no room for the question in that time; nothing was sent.
            ConfigError: the venue answered for an account of the other kind (demo, live) than the SSID says.
            ClientClosed: the client has been closed.
        """
        breaker = self._shared.account.balance_breaker
        return await Repeater(breaker, self._config.seam).ask(self._ask_balance)

    async def _ask_balance(self) -> BalanceUpdate:
        self._check_open()
        account, link = self._shared.account, self._shared.link
        if not link.ready:
            await trio.lowlevel.checkpoint()
            raise NotConnected("no link to the venue; the balance was not asked for")
        epoch, told, now = link.epoch, account.balances_told, self._config.seam.now()
        asked = account.balance_asked
        if asked is None or asked[:2] != (epoch, told) or now - asked[2] >= REQUEST_TIMEOUT:
            self._check_rate(Lane.REQUESTS, now + REQUEST_TIMEOUT, REQUEST_TIMEOUT)
            account.balance_asked = (epoch, told, now)  # whoever asks while it is under way shares the answer
            asked_for = Transmit(
                GetBalance(),
                epoch,
                expires_at=now + REQUEST_TIMEOUT,
                wanted=lambda: account.balance_waiting > 0,
            )
            self.supervisor.ref(CONNECTION).tell(asked_for)
        account.balance_waiting += 1
        try:
            with trio.move_on_after(REQUEST_TIMEOUT):
                return await self._told_balance(epoch, told)
        finally:
            account.balance_waiting -= 1
            if not account.balance_waiting:
                account.balance_asked = None
        raise RequestTimeout(f"the venue did not tell the balance within {REQUEST_TIMEOUT:g} s")

    async def _told_balance(self, epoch: int, told: int) -> BalanceUpdate:
        """Wait for a balance that is told after so many others, on this connection."""
        account, link = self._shared.account, self._shared.link
        while account.balances_told == told:
            if account.contradicted:
                raise ConfigError("ssid", "the venue told the balance of an account of the other kind")
            if self._closed or link.epoch != epoch or not link.ready:
                self._check_open()
                raise NotConnected("the link was lost before the balance came")
            await account.wait_change()
        assert account.balance is not None
        assert account.balance_at is not None
        return BalanceUpdate.of(account.balance, account.balance_at)

    @asynccontextmanager
    async def balance_updates(
        self, *, policy: Policy = "ring", capacity: int = STREAM_CAPACITY
    ) -> AsyncGenerator[Stream[BalanceUpdate | Gap], None]:
        """Read each balance the venue tells from now on: ``async with client.balance_updates() as stream: ...``.

        One item for each message of the venue, equal ones included; after a reconnect the venue tells the balance of
        then, and what it was in between is not known. Entering and leaving never wait.
        """
        self._check_open()
        readers = self._shared.account.balance_readers
        stream: Stream[BalanceUpdate | Gap] = Stream(
            capacity=capacity, policy=policy, gap=overflow_gap, key=type
        )
        readers.add(stream)
        try:
            yield stream
        finally:
            readers.discard(stream)
            stream.close()

    def clock(self) -> VenueClock:
        """The venue's clock, with the bound of its error.

        Raises:
            ClockUnknown: no tick has come yet to measure it by.
        """
        clock = self._shared.account.clock
        if not clock.is_measured:
            raise ClockUnknown
        at = datetime.fromtimestamp(clock.to_utc(clock.stamp_at(self._config.seam.wall())), UTC)
        return VenueClock(at, clock.offset_s, clock.error_s, clock.zone_s, clock.observed - clock.rejected)


def overflow_gap(dropped: int) -> BalanceUpdate | Gap:
    """What a reader that was too slow finds in place of the updates it lost."""
    return Gap("overflow", dropped=dropped)
