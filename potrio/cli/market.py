"""`potrio balance`, `assets`, `candles` and `ticks`: look at an account and its market."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import click
import msgspec
import trio

from potrio.actors.stream import Gap
from potrio.cli.interrupt import run_until_interrupted
from potrio.cli.progress import progress
from potrio.cli.show import cents, table, to_json
from potrio.cli.target import Target, target_options
from potrio.client.candle_list import CandleList
from potrio.client.client import Client, open_client

__all__ = ["assets", "balance", "candles", "json_option", "ticks", "with_client"]

T = TypeVar("T")


def with_client(target: Target, use: Callable[[Client], Awaitable[T]]) -> T:
    """Open a client, use it, close it."""
    config = target.config()

    async def main() -> T:
        async with open_client(config) as client:
            return await use(client)

    return run_until_interrupted(main)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON value per line.")


@click.command()
@json_option
@target_options
def balance(target: Target, as_json: bool) -> None:
    """Print the account's balance.

    Example: potrio balance --json
    """

    async def use(client: Client) -> tuple[Decimal, bool]:
        await trio.lowlevel.checkpoint()
        return client.balance, client.is_demo

    amount, is_demo = with_client(target, use)
    kind = "demo" if is_demo else "live"
    click.echo(to_json({"balance": amount, "account": kind}) if as_json else f"{cents(amount)} ({kind})")


@click.command()
@click.option("--all", "everything", is_flag=True, help="Closed assets too.")
@json_option
@target_options
def assets(target: Target, everything: bool, as_json: bool) -> None:
    """List the assets that can be traded now, with their payout.

    Example: potrio assets --all --json
    """

    async def use(client: Client) -> list[dict[str, object]]:
        await trio.lowlevel.checkpoint()
        return [
            {
                "symbol": asset.symbol,
                "label": asset.label,
                "kind": asset.kind,
                "payout": asset.payout,
                "open": asset.is_active,
            }
            for asset in client.assets.values()
            if everything or asset.is_active
        ]

    rows = with_client(target, use)
    if as_json:
        for row in rows:
            click.echo(to_json(row))
    else:
        table(["symbol", "label", "kind", "payout %", "open"], [list(row.values()) for row in rows])


def pages_of(client: Client) -> int:
    """Pages of history that have come."""
    return client.statistics().events_received.get("loadHistoryPeriod", 0)


@click.command()
@click.argument("asset")
@click.option("--timeframe", "-t", default="1m", show_default=True, help="5s, 1m, 4h, 1d ...")
@click.option("--count", "-n", default=100, show_default=True, type=click.IntRange(min=1), help="How many.")
@json_option
@target_options
def candles(target: Target, asset: str, timeframe: str, count: int, as_json: bool) -> None:
    """Print the last COUNT closed candles of ASSET, oldest first.

    On a terminal, standard error counts the pages as they come.

    Example: potrio candles EURUSD_otc -t 5m -n 1000 --json
    """

    async def load(client: Client) -> CandleList:
        async with progress(lambda: f"{pages_of(client)} pages"):
            return await client.candles(asset, timeframe, count)

    found = with_client(target, load)
    if as_json:
        for candle in found:
            click.echo(to_json(candle))
        return
    rows = [
        [
            datetime.fromtimestamp(candle.time, UTC).isoformat(),
            candle.open,
            candle.high,
            candle.low,
            candle.close,
        ]
        for candle in found
    ]
    table(["time (UTC)", "open", "high", "low", "close"], rows)


@click.command()
@click.argument("names", metavar="ASSET...", nargs=-1, required=True)
@click.option("--count", "-n", type=click.IntRange(min=1), help="Stop after this many.")
@json_option
@target_options
def ticks(target: Target, names: tuple[str, ...], count: int | None, as_json: bool) -> None:
    """Print live ticks of some assets until interrupted.

    Example: potrio ticks EURUSD_otc AUDUSD_otc -n 100 --json
    """

    async def use(client: Client) -> None:
        left = count
        async with client.ticks(*names) as stream:
            async for item in stream:
                if as_json:
                    kind = "gap" if isinstance(item, Gap) else "tick"
                    click.echo(to_json({"kind": kind, **msgspec.structs.asdict(item)}))
                elif isinstance(item, Gap):
                    click.echo(f"-- gap ({item.reason}) {item.asset or ''}")
                else:
                    click.echo(f"{item.time.isoformat()}  {item.asset}  {item.price}")
                if left is not None:
                    left -= not isinstance(item, Gap)
                    if left <= 0:
                        return

    with_client(target, use)
