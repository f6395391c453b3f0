"""`potrio demo`: the main job from end to end, against a simulated venue in a process of its own.

Balance, assets, history, live ticks, three orders at once; then the venue is killed in the middle of an open order
and started again. At the end our counters stand beside the venue's own; the exit code is 0 only if all agree.
"""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from potrio.actors.order_handle import OrderHandle, Result
from potrio.actors.stream import Gap
from potrio.cli.facts import FactRow, account_facts, agree, order_facts, wire_facts
from potrio.cli.show import Screen, chart, money, to_json
from potrio.cli.venue_process import VenueProcess, open_venue_process
from potrio.client.client import Client, open_client
from potrio.errors import PotrioError
from potrio.protocol.messages.market import Tick
from potrio.protocol.messages.trading import Side

__all__ = ["demo"]

UID = 12345678
SSID = f'42["auth",{{"session":"demo0session0of0potrio0x1","isDemo":1,"uid":{UID},"platform":2}}]'
WATCHED = ("EURUSD_otc", "GBPUSD_otc", "AUDCAD_otc")
TICKS_SHOWN = 8
DURATION_S = 5
DEADLINE_S = 60.0
SETTLING_S = 3.0
POLL_S = 0.05


class Summary(msgspec.Struct):
    """What `--json` prints."""

    ok: bool = False
    balance: Decimal | None = None
    assets: int = 0
    candles: int = 0
    ticks: int = 0
    orders: list[dict[str, str]] = []
    reconnects: int = 0
    seconds: float = 0.0
    facts: list[FactRow] = []


@click.command()
@click.option("--seed", default=7, show_default=True, help="Seed of the venue's market.")
@click.option(
    "--transport", type=click.Choice(["framed", "trio-websocket"]), default="framed", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, nothing else.")
def demo(seed: int, transport: str, as_json: bool) -> int:
    """Run the whole system against a simulated venue: no account, no network beyond this machine, under 30 s."""
    summary = Summary()
    screen = Screen(quiet=as_json)

    async def main() -> None:
        started = trio.current_time()
        with trio.fail_after(DEADLINE_S), tempfile.TemporaryDirectory(prefix="potrio-demo-") as folder:
            async with open_venue_process(Path(folder) / "venue.json", seed) as venue:
                screen.say(f"a venue of its own is ready at {venue.url}")
                await _Story(venue, screen, summary).tell(transport)
        summary.seconds = round(trio.current_time() - started, 1)

    try:
        trio.run(main)
    except trio.TooSlowError:
        raise PotrioError(f"the demo did not end within {DEADLINE_S:g} s") from None
    if as_json:
        click.echo(to_json(summary))
    else:
        verdict = "all facts agree" if summary.ok else "FACTS DISAGREE"
        screen.say(f"\n{verdict} ({summary.seconds} s)")
    return 0 if summary.ok else 1


class _Story:
    """The demo's chapters."""

    def __init__(self, venue: VenueProcess, screen: Screen, summary: Summary) -> None:
        self.venue = venue
        self.screen = screen
        self.summary = summary
        self.handles: list[OrderHandle] = []
        self.results: list[Result] = []

    async def tell(self, transport: str) -> None:
        async with open_client(SSID, url=self.venue.url, transport=transport) as client:
            await self.look(client)
            await self.stream(client)
            await self.three_orders(client)
            facts = await self.outage(client)
            facts += order_facts((handle.request_id for handle in self.handles), await self.venue.stats())
            await self.wait_for_money(client)
            ended = [type(result).__name__.lower() for result in self.results]
            facts += account_facts(client.balance, ended, UID, await self.venue.stats())
            self.summary.reconnects = client.statistics().reconnects
        self.screen.head("facts: ours against the venue's own counters")
        self.screen.table(
            ["fact", "ours", "venue", "agree"],
            [[fact.fact, fact.ours, fact.venue, "yes" if fact.agree else "NO"] for fact in facts],
        )
        self.summary.facts = facts
        self.summary.ok = agree(facts) and bool(facts)

    async def look(self, client: Client) -> None:
        """Balance, assets and a chart of 100 candles."""
        tradable = [asset for asset in client.assets.values() if asset.is_active]
        self.screen.head("account")
        self.screen.say(f"balance {client.balance} ({'demo' if client.is_demo else 'live'})")
        self.screen.say(f"{len(client.assets)} assets, {len(tradable)} open for trading")
        candles = await client.candles(WATCHED[0], "1m", count=100)
        closes = [candle.close for candle in candles]
        self.screen.head(f"{WATCHED[0]}, the last {len(candles)} minutes")
        self.screen.say(f"{max(closes):.5f}\n{chart(closes, 100)}\n{min(closes):.5f}")
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

    async def three_orders(self, client: Client) -> None:
        """Three orders in parallel, each to its settlement."""
        self.screen.head("three orders at once")
        sides = (Side.CALL, Side.PUT, Side.CALL)
        async with trio.open_nursery() as nursery:
            for asset, side in zip(WATCHED, sides, strict=True):
                nursery.start_soon(self.one_order, client, asset, side)

    async def one_order(self, client: Client, asset: str, side: Side) -> None:
        handle = await client.place(asset, side, Decimal("10"), duration=DURATION_S)
        self.handles.append(handle)
        deal = await handle.opened()
        self.screen.say(f"{asset}: {side.value} opened at {deal.open_price}, payout {deal.percent_profit} %")
        await self.settle(handle)

    async def settle(self, handle: OrderHandle) -> None:
        result = await handle.result()
        self.results.append(result)
        outcome = type(result).__name__.lower()
        deal = result.deal
        self.screen.say(f"{deal.asset}: {outcome} {money(deal.profit)}, closed at {deal.close_price}")
        self.summary.orders.append(
            {
                "request_id": handle.request_id,
                "asset": deal.asset,
                "outcome": outcome,
                "profit": str(deal.profit),
            }
        )

    async def outage(self, client: Client) -> list[FactRow]:
        """Kill the venue in the middle of an open order, start it again, and see the order settle all the same."""
        self.screen.head("the venue is killed in the middle of an open order")
        handle = await client.place(WATCHED[0], Side.PUT, Decimal("25"), duration=DURATION_S)
        self.handles.append(handle)
        await handle.opened()
        facts, epoch = await self.wire(client, "before", after=0)
        await self.venue.kill()
        self.screen.say("venue killed; the client says: " + await phase_after(client, "ready"))
        await self.venue.start()
        await client.wait_ready()
        self.screen.say(f"venue is back; the client says: {client.phase.value}")
        await self.settle(handle)
        after, _ = await self.wire(client, "after", after=epoch)
        return facts + after

    async def wire(self, client: Client, name: str, after: int) -> tuple[list[FactRow], int]:
        """Compare the wire's counters at a quiet moment: what is in flight is counted on one side only."""
        rows: list[FactRow] = []
        with trio.move_on_after(SETTLING_S):
            while True:
                theirs: dict[str, Any] = await self.venue.stats()
                rows = wire_facts(name, client.wire_counters(after_epoch=after), theirs)
                if agree(rows):
                    break
                await trio.sleep(POLL_S)
        return rows, client.epoch

    async def wait_for_money(self, client: Client) -> None:
        """The last balance may still be on its way."""
        with trio.move_on_after(SETTLING_S):
            while not agree(  # noqa: ASYNC110  # the venue is another process: it can only be asked
                account_facts(client.balance, (), UID, await self.venue.stats())[:1]
            ):
                await trio.sleep(POLL_S)


def tick_line(tick: Tick) -> str:
    """One tick, in UTC."""
    return f"{tick.time:%H:%M:%S.%f}  {tick.asset:<12} {tick.price}"


async def phase_after(client: Client, phase: str) -> str:
    """Wait until the client is in another phase than this one, and name it."""
    while client.phase.value == phase:
        await client.wait_change()
    return client.phase.value
