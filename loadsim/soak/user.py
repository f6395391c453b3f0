"""One user of the soak, with a supervised client: trades, reads, asks, pauses, and now and then starts anew."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

import msgspec
import trio

from loadsim.soak.habits import Habits, has_ended, ssid_of
from loadsim.soak.orders import Placed, VenueEar, pending_name
from loadsim.soak.ticks import CandleAudit, TickAudit
from loadsim.soak.verdict import Verdict
from loadsim.venue.accounts import AccountKey
from loadsim.venue.market import Market
from potrio.actors.order_handle import OrderHandle
from potrio.actors.outages import ConnectionLost, ConnectionResumed
from potrio.actors.pending_handle import PendingHandle
from potrio.actors.stream import Gap
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.errors import AuthError, ClientFailed, OrderNotFound, PotrioError
from potrio.protocol.matchers import RawEvent
from potrio.supervision.tree import Node

__all__ = ["SoakUser"]

DURATIONS_S: Final = (5, 5, 10, 30)
VALID_FOR_S: Final = (0.5, 2.0, 2.0, 10.0)
PENDING_VALID_S: Final = 10.0
AGAIN_S: Final = 1.0
QUICK_CAPACITY: Final = 10_000
SLOW_CAPACITY: Final = 64
RAW_CAPACITY: Final = 4096
CANDLE_S: Final = 5
PENDING_CENTS: Final = 9999


class SoakUser:
    """One account and whoever trades on it.

    Attributes:
        client: the present one; None between two.
        works: orders, questions and pauses are made while this is set.
        placed: orders since the last `forget`.
        counts: what was done, and what came of it.
    """

    def __init__(
        self,
        uid: int,
        habits: Habits,
        config: Config,
        *,
        market: Market,
        zone_s: int,
        ear: VenueEar,
        verdict: Verdict,
        seed: int,
    ) -> None:
        self.uid = uid
        self.habits = habits
        self.client: Client | None = None
        self.works = False
        self.placed: dict[str, Placed] = {}
        self.counts: Counter[str] = Counter()
        self.ticks: list[TickAudit] = []
        self.candles: list[CandleAudit] = []
        self._config = config
        self._market = market
        self._zone_s = zone_s
        self._ear = ear
        self._verdict = verdict
        self._chance = random.Random(f"soak/{seed}/{uid}")
        self._sessions = 0
        self._number = self._pending = 0
        self._changed = trio.Event()
        self._leave = trio.Event()
        self._closed_calls: Counter[str] = Counter()
        self._raw: Counter[str] = Counter()
        self._raw_before: Counter[str] = Counter()
        self._raw_whole = False
        self._outage = False

    @property
    def key(self) -> AccountKey:
        """The account."""
        return AccountKey(self.uid, True)

    # --- life --------------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Open clients, one after another, until cancelled."""
        while True:
            config = msgspec.structs.replace(
                self._config, ssid=ssid_of(self.uid, self._sessions), fresh_ssid=self._fresh_ssid
            )
            try:
                async with open_client(config) as client:
                    await self._live_with(client)
            except ClientFailed as error:
                self._wrong("P13", f"the client of {self.uid} died: {error.__cause__!r}")
            except PotrioError as error:  # bad weather at the very first connection
                self.counts[f"opening failed: {type(error).__name__}"] += 1
                await trio.sleep(AGAIN_S)
            finally:
                self._set(None)

    async def _live_with(self, client: Client) -> None:
        self._leave = trio.Event()
        self._begin(client)
        async with trio.open_nursery() as nursery:
            with Callbacks(self, client):
                for task in (self._trade, self._trade_later, self._ask, self._pause, self._outages):
                    nursery.start_soon(self._again, task, client)
                nursery.start_soon(self._again, self._read_raw, client)
                for capacity, slow_s in ((QUICK_CAPACITY, 0.0), (SLOW_CAPACITY, self.habits.slow_s)):
                    audit = TickAudit(self._market, self._zone_s, partial(self._wrong, "P4"))
                    self.ticks.append(audit)
                    nursery.start_soon(self._again, partial(self._read, audit, capacity, slow_s), client)
                nursery.start_soon(self._again, self._read_candles, client)
                self._set(client)
                await self._leave.wait()
                nursery.cancel_scope.cancel("starts anew")

    def _begin(self, client: Client) -> None:
        """Take the orders of the client before this one over; a journal must have brought them along."""
        self.ticks.clear()
        self.candles.clear()
        self._outage = False
        for placed in tuple(self.placed.values()):
            placed.is_old = True
            match placed.handle:
                case OrderHandle() as handle if not handle.state.ended:
                    found = client.orders.get(placed.request_id)
                    placed.handle = found
                    if found is None and self._ear.heard[placed.name]:
                        self._wrong("P2", f"{handle!r} is not known any more after a new start")
                case PendingHandle() as pending if not has_ended(pending):
                    try:
                        placed.handle = client.pending_order(placed.request_id)
                    except OrderNotFound:  # no journal: the venue tells of those that wait
                        placed.handle = client.pending.get(pending.ticket or "")
                    if placed.handle is None:
                        del self.placed[placed.request_id]

    async def _fresh_ssid(self, error: AuthError) -> str:
        await trio.lowlevel.checkpoint()
        self.counts["fresh ssid"] += 1
        self._sessions += 1
        return ssid_of(self.uid, self._sessions)

    async def start_anew(self) -> None:
        """Close the client and open another; returns when it is open. Cancelling stops only the waiting."""
        self.counts["started anew"] += 1
        self._leave.set()
        while self.client is not None:
            await self._changed.wait()
        await self.wait_open()

    async def wait_open(self) -> Client:
        """Wait until there is a client. Cancelling stops only the waiting."""
        while self.client is None:
            await self._changed.wait()
        return self.client

    def _set(self, client: Client | None) -> None:
        self.client = client
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def _again(self, task: Callable[[Client], Awaitable[None]], client: Client) -> None:
        """Do something again and again, whatever the weather does to it."""
        while True:
            try:
                await task(client)
            except PotrioError as error:
                self.counts[f"{type(error).__name__}"] += 1
            await trio.sleep(AGAIN_S)

    def _wrong(self, promise: str, text: str) -> None:
        self._verdict.breach(promise, f"{self.uid}: {text}", trio.current_time())

    # --- trading -----------------------------------------------------------------------------------------------------

    def _place(self, valid_for: float, pending: Decimal | None = None) -> Placed:
        self._number += 1
        request_id = f"soak-{self.uid}-{self._number}"
        name = request_id if pending is None else pending_name(self.uid, pending)
        order = Placed(request_id, name, trio.current_time() + valid_for)
        self.placed[request_id] = order
        self._ear.deadlines[name] = order.expires_at
        return order

    def forget(self) -> None:
        """The orders have been compared: they are of no interest any more."""
        for order in self.placed.values():
            self._ear.deadlines.pop(order.name, None)
        self.placed.clear()

    async def _trade(self, client: Client) -> None:
        chance, habits = self._chance, self.habits
        while True:
            await trio.sleep(chance.expovariate(habits.orders_per_hour / 3600))
            if not self.works:
                continue
            order = self._place(valid_for := chance.choice(VALID_FOR_S))
            try:
                order.handle = await client.place(
                    chance.choice(habits.assets),
                    chance.choice(("call", "put")),
                    chance.randint(1, 50) if chance.random() > 0.05 else 20_000,
                    duration=chance.choice(DURATIONS_S),
                    valid_for=valid_for,
                    request_id=order.request_id,
                )
                self.counts["orders"] += 1
            except PotrioError as error:
                self.counts[f"order: {type(error).__name__}"] += 1

    async def _trade_later(self, client: Client) -> None:
        chance, habits = self._chance, self.habits
        while True:
            await trio.sleep(chance.expovariate(habits.pending_per_hour / 3600))
            if not self.works:
                continue
            at_time = client.venue_time().replace(microsecond=0) + timedelta(seconds=chance.randint(15, 40))
            self._pending = self._pending % PENDING_CENTS + 1
            amount = 1 + Decimal(self._pending) / 100  # by which the venue's ear knows it: it carries no id
            order = self._place(PENDING_VALID_S, amount)
            try:
                asset, side = chance.choice(habits.assets), chance.choice(("call", "put"))
                handle = order.handle = await client.place_pending(
                    asset,
                    side,
                    amount,
                    at_time=at_time,
                    duration=5,
                    valid_for=PENDING_VALID_S,
                    request_id=order.request_id,
                )
            except PotrioError as error:
                self.counts[f"pending order: {type(error).__name__}"] += 1
                continue
            self.counts["pending orders"] += 1
            if chance.random() < 0.3:
                await trio.sleep(chance.random() * 10)
                with trio.move_on_after(30):
                    outcome = await handle.cancel()
                    self.counts[f"cancelled: {outcome.cancelled}"] += 1

    async def _ask(self, client: Client) -> None:
        chance, habits = self._chance, self.habits
        while True:
            await trio.sleep(chance.expovariate(habits.questions_per_hour / 3600))
            if not self.works:
                continue
            with trio.move_on_after(chance.choice((0.5, 20.0))):  # some callers go before the answer comes
                if chance.random() < 0.5:
                    count = chance.randint(1, 100)
                    rows = await client.candles(chance.choice(habits.assets), "1m", count=count)
                    self._verdict.check("P7", len(rows) == count, "too few candles", trio.current_time())
                else:
                    await client.refresh_balance()
                self.counts["answers"] += 1

    async def _pause(self, client: Client) -> None:
        chance = self._chance
        while True:
            await trio.sleep(chance.expovariate(self.habits.pauses_per_hour / 3600))
            if self.works:
                self.counts["pauses"] += 1
                await client.pause()
                await trio.sleep(chance.random() * 20)
                await client.resume()

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _read(self, audit: TickAudit, capacity: int, slow_s: float, client: Client) -> None:
        async with client.ticks(*self.habits.assets, capacity=capacity) as stream:
            while True:
                try:
                    batch = await stream.receive_batch()
                except trio.EndOfChannel:
                    return
                for item in batch:
                    audit.take(item)
                self._verdict.checked["P4"] += len(batch)
                waiting = stream.statistics().peak
                self._verdict.check("P5", waiting <= capacity, f"{waiting} ticks waited", trio.current_time())
                if slow_s:
                    await trio.sleep(slow_s)

    async def _read_candles(self, client: Client) -> None:
        asset = self.habits.assets[0]
        async with client.live_candles(asset, CANDLE_S, history=10) as stream:
            audit = CandleAudit(self._market, self._zone_s, asset, CANDLE_S, partial(self._wrong, "P4"))
            self.candles[:] = [audit]
            async for item in stream:
                audit.take(item)
                self._verdict.checked["P4"] += 1

    async def _read_raw(self, client: Client) -> None:
        self._raw_whole = True
        self._raw.clear()
        self._raw_before = Counter(client.wire_counters().events_received)
        async with client.raw(capacity=RAW_CAPACITY) as stream:
            async for item in stream:
                if isinstance(item, RawEvent):
                    self._raw[item.name] += 1
                else:
                    self._raw_whole = False

    async def _outages(self, client: Client) -> None:
        async for event in client.outages():
            now = trio.current_time()
            match event:
                case ConnectionLost():
                    self._verdict.check("P10", not self._outage, "lost twice in a row", now)
                    self._outage = True
                    self.counts["outages"] += 1
                case ConnectionResumed():
                    self._verdict.check("P10", self._outage, "resumed, but not lost", now)
                    self._outage = False

    def on_order_closed(self, handle: OrderHandle) -> None:
        """A callback of the client's."""
        self._closed_calls[handle.request_id] += 1

    def on_tick(self, item: Any) -> None:
        """A callback of the client's."""
        self.counts["ticks called back" if not isinstance(item, Gap) else "gaps called back"] += 1

    # --- in calm weather ---------------------------------------------------------------------------------------------

    def is_settled(self) -> bool:
        """Is the client there and ready, and nothing under way?"""
        client = self.client
        if client is None or client.phase.value != "ready":
            return False
        ended = all(has_ended(order.handle) for order in self.placed.values())
        return ended and not client.exposure and not client.pending

    async def refresh_balance(self) -> None:
        """Ask for the balance: the last one that was told may have been lost on its way. Waits for the answer."""
        if self.client is not None and self.is_settled():
            with trio.move_on_after(AGAIN_S):
                await self.client.refresh_balance()

    def check_calm(self, utc: float) -> None:
        """Everything flows; each end of an order was called back once; the raw tap saw what was counted."""
        client, now = self.client, trio.current_time()
        assert client is not None, "is_settled says so"
        for audit, within_s in zip(self.ticks, (10.0, 10.0 + self.habits.slow_s), strict=True):
            audit.check_alive(self.habits.assets, utc, within_s)
        for candles in self.candles:
            candles.flush()
        for order in self.placed.values():
            if isinstance(order.handle, OrderHandle) and not order.is_old:
                ends = sum(change.state.ended for change in order.handle.log)
                times = self._closed_calls[order.request_id]
                text = f"{order.handle!r} ended {ends} times, and was called back {times} times"
                self._verdict.check("P2", times == ends, text, now)
        self._closed_calls.clear()
        if self._raw_whole:
            counted = Counter(client.wire_counters().events_received)
            counted.subtract(self._raw_before)
            del counted["successauth"]  # the session's own: it never comes to a tap
            same = +counted == +self._raw
            self._verdict.check("P10", same, f"{self.uid}: counted {+counted}, tapped {+self._raw}", now)
        waiting = [client.tree()]
        while waiting:
            node: Node = waiting.pop()
            waiting.extend(node.children)
            depth = 0 if node.mailbox is None else node.mailbox.depth
            self._verdict.check("P5", depth <= 16, f"{node.path} has {depth} messages waiting", now)


class Callbacks:
    """The callbacks of a user, on while the block lasts."""

    def __init__(self, user: SoakUser, client: Client) -> None:
        self._client = client
        self._handles = [
            client.on("order_closed", user.on_order_closed),
            client.on("tick", user.on_tick, asset=user.habits.assets[-1]),
        ]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            self._client.off(handle)
