"""`open_client` and `Client`: the front door of trading, with plain reads of the latest truth and few awaits."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from operator import attrgetter

import trio

from potrio.actors.connection import LinkSettings
from potrio.actors.evidence import OrderIntent
from potrio.actors.keys import CONNECTION, MONITOR, ORDER_BOOK, ROUTER
from potrio.actors.link import LinkCounters, LinkPhase
from potrio.actors.monitor import Fact, Statistics, statistics
from potrio.actors.order_book import OrderBookMessage, PlaceOrder
from potrio.actors.order_handle import OrderHandle, Result
from potrio.actors.router import Subscribe, Unsubscribe
from potrio.actors.stream import Gap, Policy, Stream
from potrio.client.config import Config
from potrio.client.orders import check_order
from potrio.client.pages import load_candles
from potrio.client.tree import Shared, client_tree
from potrio.errors import (
    ClientClosed,
    ClientFailed,
    ConfigError,
    NotConnected,
    OrderDenied,
    RequestTimeout,
    SupervisorFailed,
)
from potrio.limits import CLOCK_TIMEOUT, STREAM_CAPACITY
from potrio.protocol.candles import Candle, parse_timeframe
from potrio.protocol.messages.market import Asset, Tick
from potrio.protocol.messages.trading import Deal, Side
from potrio.protocol.ssid import Ssid
from potrio.secrets import Secret
from potrio.supervision.events import ChildCrashed, Event, RestartScheduled
from potrio.supervision.opening import open_supervisor
from potrio.supervision.ref import Ref
from potrio.supervision.supervisor import Supervisor
from potrio.supervision.tree import Node

__all__ = ["Client", "open_client"]

VALID_FOR_S = 2.0
"""An order that could not be sent within this time is not sent at all: seconds decide in this market."""


@asynccontextmanager
async def open_client(
    ssid: str | Secret | Ssid | Config, *, url: str | None = None, **options: object
) -> AsyncGenerator[Client, None]:
    """Open a client: connected, authenticated, and with the first snapshot (balance, assets) folded in.

    Args:
        ssid: the auth frame from the browser, or a whole `Config`.
        url: one venue to use instead of the public ones.
        options: the other fields of `Config`.

    Leaving the block closes everything: no task, no socket and no frame is left, and waiting calls raise
    `ClientClosed`. Cancelling does the same, within two seconds. Your own exception is never wrapped.

    Raises:
        ConfigError: an argument cannot be used (`SsidError`: the SSID).
        AuthError: the venue rejects the SSID.
        ConnectError: no address of the venue can be reached; its subclasses say at which stage.
        RequestTimeout: connected, but the venue never told balance and assets.
        ClientFailed: the client died while the block ran; ``__cause__`` is what of.
    """
    ssid = Secret(ssid) if isinstance(ssid, str) else ssid  # out of tracebacks that capture locals (P8)
    config = ssid if isinstance(ssid, Config) else Config(ssid=ssid, url=url, **options)  # type: ignore[arg-type]  # checked below
    if isinstance(ssid, Config) and (url is not None or options):
        raise ConfigError("config", "give either a Config or single options, not both")
    config = config.checked()
    parsed = config.parsed_ssid()
    settings = LinkSettings(
        ssid=parsed,
        candidates=config.candidates(parsed),
        seam=config.seam,
        transport=config.transport,
        headers=config.headers,
        ssl_context=config.ssl_context,
        allow_insecure=config.allow_insecure,
        handshake_timeout=config.handshake_timeout_s,
    )
    shared = Shared(is_demo=parsed.is_demo)
    client: Client | None = None
    try:
        async with open_supervisor(client_tree(settings, shared)) as running:
            running.observe(partial(report_crash, running))
            await shared.link.wait_ready()
            client = Client(config, parsed, shared, running)
            await client.wait_snapshot()
            try:
                yield client
            finally:
                client.close()
    except SupervisorFailed as failure:
        cause = shared.link.fatal or failure
        if client is None and shared.link.fatal is not None:
            raise shared.link.fatal from None
        raise ClientFailed(f"the client died: {cause}") from cause
    finally:
        shared.link.enter(LinkPhase.CLOSED, config.seam.now())
        shared.router.feeds.end(shared.link.fatal)
        shared.book.fail(ClientClosed("the client was closed before the order was settled"))


class Client:
    """One account of one venue, under supervision. Made by `open_client`; to be used in the same trio run."""

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
    def balance(self) -> Decimal:
        """The balance the venue told last, exact. ``stale`` says whether the link is down since.

        Raises:
            NotConnected: the venue has not told any (guest accounts have to ask for one).
        """
        balance = self._shared.account.balance
        if balance is None:
            raise NotConnected("the venue has not told a balance yet")
        return balance.balance

    @property
    def is_demo(self) -> bool:
        """A practice account? As the SSID says; a venue that says otherwise is refused, at any time (P12)."""
        return self._ssid.is_demo

    @property
    def stale(self) -> bool:
        """Is the link down, so that balance and assets may have changed since?"""
        return self._shared.account.stale

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The venue's assets by symbol: payout, tradable now, durations. Read-only."""
        return self._shared.account.assets

    @property
    def orders(self) -> Mapping[str, OrderHandle]:
        """This client's orders by request id."""
        return dict(self._shared.book.handles)

    @property
    def external_deals(self) -> Mapping[str, Deal]:
        """Deals of the account that this client did not place, by deal id."""
        return dict(self._shared.book.external)

    @property
    def history(self) -> list[Fact]:
        """What happened to the link and the tree, oldest first; bounded."""
        return list(self._shared.monitor.facts)

    def venue_time(self) -> datetime:
        """The venue's time now (UTC, aware), from the clock estimate that its ticks feed."""
        clock = self._shared.account.clock
        return datetime.fromtimestamp(clock.to_utc(clock.stamp_at(self._config.seam.wall())), UTC)

    def statistics(self) -> Statistics:
        """All counters, as they are now."""
        shared = self._shared
        return statistics(shared.link, shared.router, shared.book, shared.account, shared.monitor)

    @property
    def epoch(self) -> int:
        """The number of the present connection, attempts included; the first is 1."""
        return self._shared.link.epoch

    def wire_counters(self, after_epoch: int = 0) -> LinkCounters:
        """What was on the wire, in all connections or in those after a certain one."""
        return self._shared.link.total(after_epoch)

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

    # --- market ------------------------------------------------------------------------------------------------------

    async def candles(
        self, asset: str, timeframe: str | int = "1m", count: int = 100, end: datetime | None = None
    ) -> list[Candle]:
        """Load exactly ``count`` closed candles, oldest first; the last one closes at or before ``end`` (default: now).

        Args:
            asset: a symbol of `assets`.
            timeframe: ``"5s"``, ``"1m"``, ``"4h"``, ``"1d"``, or seconds.
            end: an aware datetime.

        Pages are asked for one after another; cancelling stops after the present one.

        Raises:
            ConfigError: unknown asset or timeframe, count < 1, naive ``end``.
            HistoryShort: the venue has fewer.
            NotConnected: the link is down, or went down on the way: safe to try again.
            RequestTimeout: the venue did not answer.
        """
        self._check_open()
        self._check_asset(asset)
        period_s = parse_timeframe(timeframe)
        return await load_candles(
            self.supervisor, self._shared, self._config.seam, asset, period_s, count, end
        )

    @asynccontextmanager
    async def ticks(
        self, *assets: str, policy: Policy = "ring", capacity: int = STREAM_CAPACITY
    ) -> AsyncGenerator[Stream[Tick | Gap], None]:
        """Read live ticks: ``async with client.ticks("EURUSD_otc") as stream: async for item in stream: ...``.

        The subscription survives reconnects; what was missed is back-filled, or a `Gap` says from when to when.
        Several readers of one asset share one subscription at the venue. Leaving the block ends this reader's.

        Raises:
            ConfigError: unknown asset, or none.
            RequestError: more assets at once than the venue streams on one connection.
        """
        self._check_open()
        if not assets:
            raise ConfigError("assets", "name at least one")
        for asset in assets:
            self._check_asset(asset)
        router = self.supervisor.ref(ROUTER)
        stream: Stream[Tick | Gap] = Stream(
            capacity=capacity, policy=policy, gap=overflow_gap, key=attrgetter("asset")
        )
        try:
            await router.ask(Subscribe(stream, assets))
            yield stream
        finally:
            stream.close()
            router.tell(Unsubscribe(stream))

    # --- orders ------------------------------------------------------------------------------------------------------

    async def place(
        self,
        asset: str,
        side: Side | str,
        amount: Decimal | int | str,
        *,
        duration: int,
        valid_for: float = VALID_FOR_S,
        request_id: str | None = None,
    ) -> OrderHandle:
        """Place an order and return its handle at once; it is sent at most once, whatever happens.

        Args:
            side: ``Side.CALL`` or ``Side.PUT``, or their names.
            amount: stake in account currency; no floats, money is exact.
            duration: seconds until expiry.
            valid_for: seconds after which, if it could not be sent, it never will be (state DENIED).
            request_id: your own id; the same id with the same terms gives the same handle.

        Cancelling before the handle is returned means that nothing was placed.

        Raises:
            OrderDenied: the order cannot be right (unknown or closed asset, amount, duration, live account not armed).
            ValueError: the request id is taken by an order with other terms.
            ClientClosed: the client has been closed.
        """
        self._check_open()
        if not valid_for >= 0:
            raise OrderDenied(f"valid_for is a number of seconds >= 0, not {valid_for}")
        seam = self._config.seam
        side, amount = check_order(
            self.assets,
            asset,
            side,
            amount,
            duration,
            self._shared.book,
            live=not self.is_demo,
            arm_live=self._config.arm_live,
            request_id=request_id,
        )
        intent = OrderIntent(
            request_id=request_id or seam.new_id(),
            asset=asset,
            side=side,
            amount=amount,
            duration_s=duration,
            is_demo=self.is_demo,
            created_wall=seam.wall(),
            expires_at=seam.now() + min(valid_for, 10**9 if valid_for == math.inf else valid_for),
        )
        book: Ref[OrderBookMessage | PlaceOrder] = self.supervisor.ref(ORDER_BOOK)
        return await book.ask(PlaceOrder(intent))

    async def trade(
        self, asset: str, side: Side | str, amount: Decimal | int | str, *, duration: int, **options: object
    ) -> Result:
        """Place an order and wait for its result: `place` and `OrderHandle.result` in one.

        Cancelling stops the waiting, never an order that was placed; a note on the exception carries its request id.
        """
        handle = await self.place(asset, side, amount, duration=duration, **options)  # type: ignore[arg-type]  # passed through
        try:
            return await handle.result()
        except BaseException as error:
            error.add_note(f"order {handle.request_id} lives on: {handle.state.value}")
            raise

    # --- inside ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Refuse further calls; what runs is ended by leaving the block."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("the client has been closed")

    def _check_asset(self, asset: str) -> None:
        if asset not in self.assets:
            raise ConfigError("asset", f"{asset!r} is not among the venue's {len(self.assets)} assets")


def report_crash(running: Supervisor, event: Event) -> None:
    """Let the monitor know of crashes and restarts, its own included."""
    if isinstance(event, RestartScheduled) or (isinstance(event, ChildCrashed) and not expected(event)):
        running.ref(MONITOR).tell(event)


def expected(crash: ChildCrashed) -> bool:
    """Is it the connection saying that the venue cannot be had? It ends the client, but nothing is broken."""
    return crash.decision == "escalate" and crash.path.endswith(CONNECTION.name)


def overflow_gap(dropped: int) -> Tick | Gap:
    """What a reader that was too slow finds in place of the ticks it lost."""
    return Gap("overflow", dropped=dropped)
