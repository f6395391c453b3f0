"""`potrio deals`: the account's open and closed deals as the venue lists them, with totals."""

from __future__ import annotations

from decimal import Decimal

import click
import trio

from potrio.cli.market import json_option, with_client
from potrio.cli.show import money, table, to_json
from potrio.cli.target import Target, target_options
from potrio.client.client import Client
from potrio.client.deal_records import DealRecord

__all__ = ["deals"]

LISTS_WAIT_S = 2.0
"""The venue sends its lists of deals by itself after the login, within this time or not at all."""


@click.command()
@click.option("--open", "which", flag_value="open", help="Open deals only.")
@click.option("--closed", "which", flag_value="closed", help="Closed deals only.")
@click.option(
    "--count", "-n", default=50, show_default=True, type=click.IntRange(1, 1000), help="Closed ones at most."
)
@json_option
@target_options
def deals(target: Target, which: str | None, count: int, as_json: bool) -> None:
    """List deals, open ones first, then the newest closed ones.

    Example: potrio deals --closed -n 10 --json
    """

    async def use(client: Client) -> list[DealRecord]:
        with trio.move_on_after(LISTS_WAIT_S):
            while not client.opened_deals() and not client.closed_deals().deals:  # noqa: ASYNC110  # lists wake nobody
                await trio.sleep(0.1)
        found = client.opened_deals() if which != "closed" else []
        return found + (list(client.closed_deals(per_page=count).deals) if which != "open" else [])

    rows = [row_of(each) for each in with_client(target, use)]
    if as_json:
        for row in rows:
            click.echo(to_json(row))
    else:
        table(
            ["id", "asset", "side", "amount", "profit", "state", "opened", "closes"],
            [
                [
                    money(each) if isinstance(each, Decimal) and name == "profit" else each
                    for name, each in row.items()
                ]
                for row in rows
            ],
        )


def row_of(record: DealRecord) -> dict[str, object]:
    """One deal as it is printed; the profit of an open one is what it may make."""
    return {
        "id": record.id,
        "asset": record.asset,
        "side": record.side.value,
        "amount": record.deal.amount,
        "profit": record.deal.profit,
        "state": "closed" if record.is_closed else "open",
        "opened": record.opened_at.isoformat(),
        "closes": record.closes_at.isoformat(),
    }
