"""What the demo does, chapter by chapter, with a client on a venue that it may ask for its counters, kill and start."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec
import trio

from potrio.actors.order_handle import OrderHandle, Result
from potrio.actors.stream import Gap
from potrio.cli.drill import drill
from potrio.cli.facts import FactRow, account_facts, agree, order_facts, wire_facts
from potrio.cli.outline import Outline
from potrio.cli.show import Screen, cents, chart, money
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.protocol.messages.market import Tick
from potrio.protocol.messages.trading import Side

__all__ = ["Story", "Summary", "VenueControl"]

WATCHED = ("EURUSD_otc", "GBPUSD_otc", "AUDCAD_otc")
ORDERS = ((WATCHED[0], Side.CALL), (WATCHED[0], Side.PUT), (WATCHED[1], Side.CALL))
"""Both sides of one asset: as a rule one of them wins and one loses."""
CANDLES_SHOWN = 100
TICKS_SHOWN = 8
DURATION_S = 5
DRILL_S = 1
"""The order that is open in a drill lives so much longer for each crash."""
SETTLING_S = 10.0
POLL_S = 0.05
STATUS_S = 0.25


class VenueControl(Protocol):
    """A venue and the switch it hangs on."""

    @property
    def url(self) -> str:
        """Where clients connect; the same after a restart."""

    async def stats(self) -> dict[str, Any]:
        """Its own counters."""

    async def kill(self) -> None:
        """End it at once, as a power cut would."""

    async def start(self) -> None:
        """Start it again; returns when it serves."""


class Summary(msgspec.Struct):
    """What `--json` prints."""

    ok: bool = False
    balance: Decimal | None = None
    assets: int = 0
    candles: int = 0
    ticks: int = 0
    orders: list[dict[str, str]] = []
    reconnects: int = 0
    crashes: dict[str, int] = {}
    seconds: float = 0.0
    facts: list[FactRow] = []


class Story:
    """One telling.

    Args:
        planned: the client's tree as it is written down; says what a crash must restart.
        crashes: the actors that crash while an order is open.
    """

    def __init__(
        self, venue: VenueControl, screen: Screen, planned: Outline, crashes: Sequence[str] = ()
    ) -> None:
        self.venue = venue
        self.screen = screen
        self.planned = planned
        self.crashes = crashes
        self.summary = Summary()
        self.handles: list[OrderHandle] = []
        self.results: list[Result] = []

    async def tell(self, config: Config, uid: int) -> Summary:
        """Run all chapters and compare; cancelling closes the client.

        Raises:
            PotrioError: something did not work at all.
        """
        summary = self.summary
        async with open_client(config) as client:
            await self.look(client)
            await self.stream(client)
            await self.three_orders(client)
            facts = await self.outage(client)
            facts += order_facts((handle.request_id for handle in self.handles), await self.venue.stats())
            facts += await self.money(client, uid)
            statistics = client.statistics()
        summary.reconnects = statistics.reconnects
        summary.crashes = statistics.crashes
        summary.facts = facts
        summary.ok = agree(facts) and bool(facts)
        self.screen.head("facts: ours against the venue's own counters")
        self.screen.table(
            ["fact", "ours", "venue", "agree"],
            [[fact.fact, fact.ours, fact.venue, "yes" if fact.agree else "NO"] for fact in facts],
        )
        return summary

    async def look(self, client: Client) -> None:
        """Balance, assets and a chart of 100 candles."""
        tradable = [asset for asset in client.assets.values() if asset.is_active]
        self.screen.head("account")
        self.screen.say(f"balance {cents(client.balance)} ({'demo' if client.is_demo else 'live'})")
        self.screen.say(f"{len(client.assets)} assets, {len(tradable)} open for trading")
        candles = await client.candles(WATCHED[0], "1m", count=CANDLES_SHOWN)
        closes = [candle.close for candle in candles]
        self.screen.head(f"{WATCHED[0]}, the last {len(candles)} minutes")
        self.screen.say(f"{max(closes):.5f}\n{chart(closes, CANDLES_SHOWN)}\n{min(closes):.5f}")
        self.summary.balance = client.balance
        self.summary.assets = len(client.assets)
        self.summary.candles = len(candles)

    async def stream(self, client: Client) -> None:
        """A few live ticks."""
        self.screen.head("live ticks")
        async with client.ticks(*WATCHED) as stream:
            async for item in stream:
                if isinstance(item, Gap):
                    continue
                self.screen.say(tick_line(item))
                self.summary.ticks += 1
                if self.summary.ticks == TICKS_SHOWN:
                    return

    # --- orders ------------------------------------------------------------------------------------------------------

    async def three_orders(self, client: Client) -> None:
        """Three orders in parallel, each to its settlement."""
        self.screen.head("three orders at once")
        async with trio.open_nursery() as nursery:
            for asset, side in ORDERS:
                nursery.start_soon(self.one_order, client, asset, side)

    async def one_order(self, client: Client, asset: str, side: Side) -> None:
        """One order from beginning to end."""
        handle = await self.open_order(client, asset, side, Decimal(10), DURATION_S)
        await self.settle(handle)

    async def open_order(
        self, client: Client, asset: str, side: Side, amount: Decimal, duration_s: int
    ) -> OrderHandle:
        """Place an order and wait until the venue has taken it."""
        handle = await client.place(asset, side, amount, duration=duration_s)
        self.handles.append(handle)
        deal = await handle.opened()
        self.screen.say(
            f"{asset}: {side.value} {cents(amount)} opened at {deal.open_price}, payout {deal.percent_profit} %, "
            f"settles in {duration_s} s"
        )
        return handle

    async def settle(self, handle: OrderHandle) -> None:
        """Wait for an order's result, visibly, and tell it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.show_waiting)
            result = await handle.result()
            nursery.cancel_scope.cancel("the order is settled")
        self.results.append(result)
        outcome = type(result).__name__.lower()
        deal, intent = result.deal, handle.intent
        self.screen.say(
            f"{deal.asset}: {intent.side.value} {outcome} {money(deal.profit)}, closed at {deal.close_price}"
        )
        self.summary.orders.append(
            {
                "request_id": handle.request_id,
                "asset": deal.asset,
                "side": intent.side.value,
                "outcome": outcome,
                "profit": str(deal.profit),
            }
        )

    async def show_waiting(self) -> None:
        """Keep a line on the screen that says what is waited for."""
        started = trio.current_time()
        while True:
            waiting = len(self.handles) - len(self.results)
            seconds = trio.current_time() - started
            self.screen.status(f"{waiting} order{'s' * (waiting != 1)} open, {seconds:.0f} s ...")
            await trio.sleep(STATUS_S)

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    async def outage(self, client: Client) -> list[FactRow]:
        """Crash actors, if asked to, and kill the venue, in the middle of an open order; it settles all the same."""
        kind = "crashes, and then the venue is killed" if self.crashes else "the venue is killed"
        self.screen.head(f"{kind}, in the middle of an open order")
        duration_s = DURATION_S + DRILL_S * len(self.crashes)
        handle = await self.open_order(client, WATCHED[0], Side.PUT, Decimal(25), duration_s)
        # What a crashed connection had not read yet is on nobody's books: so this comes before the crashes, and what
        # the venue counts between them and its end dies with it.
        facts = await self.wire(client, "before", after=0)
        for name in self.crashes:
            fact = await drill(client, self.planned, name)
            self.screen.say(f"{name} crashed; restarted: {fact.ours}; the client says: {client.phase.value}")
            facts.append(fact)
        epoch = client.epoch
        await self.venue.kill()
        self.screen.say("venue killed; the client says: " + await phase_after(client, "ready"))
        await self.venue.start()
        await client.wait_ready()
        self.screen.say(f"venue is back; the client says: {client.phase.value}")
        await self.settle(handle)
        return facts + await self.wire(client, "after", after=epoch)

    # --- facts -------------------------------------------------------------------------------------------------------

    async def wire(self, client: Client, name: str, after: int) -> list[FactRow]:
        """Compare the wire's counters at a quiet moment: what is in flight is counted on one side only."""
        rows: list[FactRow] = []
        with trio.move_on_after(SETTLING_S):
            while True:
                theirs = await self.venue.stats()
                rows = wire_facts(name, client.wire_counters(after_epoch=after), theirs)
                if agree(rows):
                    break
                await trio.sleep(POLL_S)
        return rows

    async def money(self, client: Client, uid: int) -> list[FactRow]:
        """Compare what the deals came to; the last balance may still be on its way."""
        ended = [type(result).__name__.lower() for result in self.results]
        rows: list[FactRow] = []
        with trio.move_on_after(SETTLING_S):
            while True:
                rows = account_facts(client.balance, ended, uid, await self.venue.stats())
                if agree(rows):
                    break
                await trio.sleep(POLL_S)
        return rows


def tick_line(tick: Tick) -> str:
    """One tick, in UTC."""
    return f"{tick.time:%H:%M:%S.%f}  {tick.asset:<12} {tick.price}"


async def phase_after(client: Client, phase: str) -> str:
    """Wait until the client is in another phase than this one, and name it."""
    while client.phase.value == phase:
        await client.wait_change()
    return client.phase.value
