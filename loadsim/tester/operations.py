"""The operations of a load test. Each ends with an answer of the venue that was checked, or raises.

`ping` and `burst` send ``ps``, which the venue does not answer; it handles events in their order, so the answer to a
question behind them proves that it has them. What is asked of orders is answered from what the venue has told: the
protocol has no question for it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import trio

from potrio.actors.keys import CONNECTION
from potrio.actors.link import Transmit
from potrio.actors.raw import Outcome
from potrio.client.client import Client
from potrio.errors import NotConnected, OrderNotFound, PotrioError
from potrio.limits import CONCURRENT_ORDERS_MAX
from potrio.protocol.messages.auth import Ps
from potrio.protocol.messages.trading import Deal, Side

__all__ = ["ASSETS", "BURST", "READING", "TRADING", "AnswerWrong", "Desk", "choose", "perform"]

ASSETS = ("EURUSD_otc", "GBPUSD_otc", "USDJPY_otc", "AUDUSD_otc")
TIMEFRAMES = ("1m", "5m", "15m")
COUNTS = (10, 50)
STAKE = Decimal(1)
SETTLING = timedelta(seconds=2)
"""Around its close time a deal may be listed or not."""

TOLD_WITHIN_S = 5.0
TOLD_STEP_S = 0.05
BURST_PS = 3
BURST_GAP_S = 0.01

READING = ("balance", "candles", "ping", "market_data")
TRADING = ("place_order", "check_order", "get_orders")
BURST = "burst"


class AnswerWrong(PotrioError):
    """The venue answered, but not what was asked for."""


class Placed(msgspec.Struct, frozen=True):
    """An order that the venue has accepted; ``closes_at`` is the venue's time."""

    deal: Deal
    closes_at: datetime


class Desk:
    """What one client of the test works with: its chance, and the orders it has placed, over all its connections."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.placed: list[Placed] = []

    def open_at(self, moment: datetime) -> list[Placed]:
        """The orders that cannot have been settled by then."""
        return [each for each in self.placed if each.closes_at > moment]


def choose(desk: Desk, *, trading: bool, moment: datetime) -> str:
    """What the client does next: any operation that makes sense at that moment."""
    possible = list(READING)
    if trading:
        if len(desk.open_at(moment - SETTLING)) < CONCURRENT_ORDERS_MAX:
            possible.append("place_order")
        if desk.placed:
            possible += ["check_order", "get_orders"]
    return desk.chance.choice(possible)


async def perform(name: str, client: Client, desk: Desk) -> None:
    """Do it and check the answer. Waits for the venue; cancelling stops the waiting, never an order.

    Raises:
        AnswerWrong: the answer is not what was asked for.
        PotrioError: there was none.
    """
    await OPERATIONS[name](client, desk)


async def ask_balance(client: Client, desk: Desk) -> None:
    update = await client.refresh_balance()
    if not (update.balance.is_finite() and update.balance >= 0):
        raise AnswerWrong("a balance is an amount")


async def load_candles(client: Client, desk: Desk) -> None:
    await candles(
        client, desk.chance.choice(ASSETS), desk.chance.choice(TIMEFRAMES), desk.chance.randint(*COUNTS)
    )


async def load_market_data(client: Client, desk: Desk) -> None:
    asset = desk.chance.choice(ASSETS)
    for timeframe in TIMEFRAMES[:2]:
        await candles(client, asset, timeframe, COUNTS[0])


async def candles(client: Client, asset: str, timeframe: str, count: int) -> None:
    """Load candles: exactly so many, one after the other, none empty."""
    found = await client.candles(asset, timeframe, count)
    times = [candle.time for candle in found]
    if len(found) != count or times != sorted(set(times)):
        raise AnswerWrong(f"{count} candles in their order, not {len(found)}")
    if not all(
        candle.low <= candle.open <= candle.high and candle.low <= candle.close <= candle.high
        for candle in found
    ):
        raise AnswerWrong("a candle lies between its low and its high")


async def ping(client: Client, desk: Desk) -> None:
    await send_ps(client)
    await ask_balance(client, desk)


async def burst(client: Client, desk: Desk) -> None:
    for number in range(BURST_PS):
        if number:
            await trio.sleep(BURST_GAP_S)
        await send_ps(client)
    await ask_balance(client, desk)


async def send_ps(client: Client) -> None:
    """Send one ``ps``; returns when it is in the bytes that are being written."""
    outcome = Outcome()
    if not client.supervisor.ref(CONNECTION).tell(Transmit(Ps(), epoch=client.epoch, settled=outcome.settle)):
        raise NotConnected("the link takes no more")
    await outcome.wait()


async def place_order(client: Client, desk: Desk) -> None:
    asset = desk.chance.choice([name for name in ASSETS if name in client.active_assets()])
    side = desk.chance.choice(tuple(Side))
    order = await client.place(asset, side, STAKE, duration=min(client.durations(asset)))
    deal = await order.opened()
    if order.closes_at is not None:
        desk.placed.append(Placed(deal, order.closes_at))
    if (deal.asset, deal.amount) != (asset, STAKE) or order.closes_at is None:
        raise AnswerWrong("a deal on another asset, or of another amount, than was ordered")


async def check_order(client: Client, desk: Desk) -> None:
    """Look the last order up: the venue has told it to this connection, with what was ordered."""
    wanted = desk.placed[-1].deal
    await until(lambda: known(client, wanted.id))
    found = client.deal(wanted.id).deal
    if (found.asset, found.amount) != (wanted.asset, STAKE):
        raise AnswerWrong("the deal is on another asset, or of another amount, than was ordered")


async def get_orders(client: Client, desk: Desk) -> None:
    """List the open orders: all of this client that cannot have been settled yet are among them."""

    def complete() -> bool:
        listed = {record.id for record in client.opened_deals()}
        return all(each.deal.id in listed for each in desk.open_at(client.venue_time() + SETTLING))

    await until(complete)


def known(client: Client, deal_id: str) -> bool:
    """Has the client been told of this deal?"""
    try:
        client.deal(deal_id)
    except OrderNotFound:
        return False
    return True


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the venue has told something; AnswerWrong where it does not within `TOLD_WITHIN_S`."""
    with trio.move_on_after(TOLD_WITHIN_S):
        while not condition():  # noqa: ASYNC110  # lists come in pieces, of which no single event tells
            await trio.sleep(TOLD_STEP_S)
        await trio.lowlevel.checkpoint()
        return
    raise AnswerWrong(f"the venue has not told of an order within {TOLD_WITHIN_S:g} s")


OPERATIONS: Mapping[str, Callable[[Client, Desk], Awaitable[None]]] = {
    "balance": ask_balance,
    "candles": load_candles,
    "ping": ping,
    "market_data": load_market_data,
    "place_order": place_order,
    "check_order": check_order,
    "get_orders": get_orders,
    BURST: burst,
}
