"""`potrio trade`: one order from the command line, every state it goes through, and its result as an exit code."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import click
import trio

from potrio.actors.order_handle import Draw, Lost, OrderHandle, Result, Won
from potrio.cli.interrupt import run_until_interrupted
from potrio.cli.show import money, to_json
from potrio.cli.target import Target, target_options
from potrio.client.client import Client, open_client
from potrio.errors import ConfigError, OrderDenied, OrderRejected, OutcomeUnknown
from potrio.protocol.messages.trading import Side

__all__ = ["EXIT_LOST", "EXIT_NOT_OPENED", "EXIT_UNKNOWN", "trade"]

EXIT_LOST = 10
EXIT_NOT_OPENED = 12
EXIT_UNKNOWN = 13
"""0: won or a draw; 10: lost; 12: denied or rejected, no money moved; 13: its fate is not known."""


@click.command()
@click.argument("asset")
@click.argument("side", type=click.Choice([side.value for side in Side], case_sensitive=False))
@click.argument("amount")
@click.option("--duration", "-d", type=click.IntRange(min=1), default=60, show_default=True, help="Seconds.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the result; 0 when the venue has opened it.")
@click.option(
    "--arm-live", is_flag=True, help="Allow a live account: real money. You are asked, unless --yes."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object per change of state, and one for the result."
)
@target_options
def trade(
    target: Target,
    asset: str,
    side: str,
    amount: str,
    duration: int,
    no_wait: bool,
    arm_live: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Place one order on ASSET, SIDE call or put, with a stake of AMOUNT, and wait for its result.

    \b
    Exit codes: 0 won or draw, 10 lost, 12 denied or rejected, 13 its fate is not known.
    Example: potrio trade EURUSD_otc call 1 --duration 60
    """
    config = target.config(arm_live=arm_live or None)
    is_live = not config.parsed_ssid().is_demo
    if is_live and not arm_live:
        raise ConfigError("arm-live", "this is a live account: give --arm-live to trade real money")
    if is_live and not yes:
        click.confirm(f"{side} {asset} with {amount} of real money for {duration} s?", abort=True, err=True)

    async def main() -> int:
        async with open_client(config) as client:
            return await follow(client, asset, Side(side.lower()), amount, duration, no_wait, as_json)

    return run_until_interrupted(main)


async def follow(
    client: Client, asset: str, side: Side, amount: str, duration: int, no_wait: bool, as_json: bool
) -> int:
    """Place, say each state, return the exit code. Waits no longer than the handle does: silence is no result."""
    try:
        order = await client.place(asset, side, amount, duration=duration)
        said = States(order, as_json)
        try:
            async with said.as_they_come():
                result = await (order.opened() if no_wait else order.result())
        finally:
            said.say()
        return say_result(result, as_json) if isinstance(result, Won | Lost | Draw) else 0
    except (OrderDenied, OrderRejected) as error:
        click.echo(
            to_json({"result": "not opened", "reason": str(error)}) if as_json else f"not opened: {error}"
        )
        return EXIT_NOT_OPENED
    except OutcomeUnknown as error:
        click.echo(to_json({"result": "unknown", "reason": str(error)}) if as_json else f"unknown: {error}")
        return EXIT_UNKNOWN


class States:
    """Says each state of an order once, as it comes, and on demand those that have not been said yet."""

    def __init__(self, order: OrderHandle, as_json: bool) -> None:
        self.order = order
        self.as_json = as_json
        self.said = 0

    def say(self) -> None:
        """Print what is new."""
        for change in self.order.log[self.said :]:
            self.said += 1
            line = {
                "state": change.state.value,
                "request_id": self.order.request_id,
                "deal_id": self.order.deal_id,
            }
            click.echo(to_json(line) if self.as_json else change.state.value)

    @asynccontextmanager
    async def as_they_come(self) -> AsyncGenerator[None, None]:
        """Print while the block runs; what the block raises leaves unwrapped."""
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow)
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised again below, outside of the group that a nursery makes
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _follow(self) -> None:
        with suppress(OutcomeUnknown):  # told to who waits for the result
            async for _ in self.order.changes():
                self.say()


def say_result(result: Result, as_json: bool) -> int:
    """Print how it ended."""
    word = type(result).__name__.lower()
    deal = result.deal
    if as_json:
        click.echo(
            to_json(
                {
                    "result": word,
                    "profit": result.profit,
                    "deal_id": deal.id,
                    "open_price": deal.open_price,
                    "close_price": deal.close_price,
                }
            )
        )
    else:
        click.echo(f"{word} {money(result.profit)} ({deal.open_price} -> {deal.close_price})")
    return 0 if isinstance(result, Won | Draw) else EXIT_LOST
