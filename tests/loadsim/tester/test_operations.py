"""An operation succeeds only with an answer that was checked; what is chosen makes sense at that moment."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import trio

from loadsim.tester import operations
from loadsim.tester.operations import READING, TRADING, AnswerWrong, Desk, Placed, choose, perform
from loadsim.venue import VenueConfig, open_venue
from potrio import BalanceUpdate, Candle, Config, open_client
from potrio.errors import NotConnected
from potrio.limits import CONCURRENT_ORDERS_MAX
from potrio.testing.network import MemoryNetwork

from .conftest import PORT, SSID

NOW = datetime(2026, 2, 2, tzinfo=UTC)


@pytest.fixture
def desk() -> Desk:
    return Desk(random.Random(1))


@pytest.fixture
async def running(autojump_clock, network: MemoryNetwork):
    async with open_venue(VenueConfig(seed=3, port=PORT), seam=network) as venue:
        yield venue


@asynccontextmanager
async def connected(venue, network: MemoryNetwork):
    with trio.fail_after(300):
        async with open_client(Config(ssid=SSID, url=venue.url, seam=network)) as client:
            yield client


@pytest.mark.parametrize("name", [*READING, "burst"])
async def test_each_reading_operation_works(name: str, running, network, desk: Desk, autojump_clock) -> None:
    async with connected(running, network) as client:
        before = running.stats()["events_received"]
        await perform(name, client, desk)
        after = running.stats()["events_received"]

    assert sum(after.values()) > sum(before.values()), "the venue was asked"
    expected = {"ping": 1, "burst": 3}.get(name, 0)
    assert after["ps"] - before.get("ps", 0) == expected


async def test_orders_are_real(running, network, desk: Desk, autojump_clock) -> None:
    async with connected(running, network) as client:
        for name in TRADING:
            await perform(name, client, desk)
        assert running.stats()["deals"]["opened"] == 1
        assert running.stats()["orders"][client.deal(desk.placed[0].deal.id).request_id] == 1
        await trio.sleep(120)
        await perform("check_order", client, desk)
        await perform("get_orders", client, desk)
        assert running.stats()["deals"]["settled"] == 1


async def test_the_next_connection_knows_the_orders_of_the_last(
    running, network, desk: Desk, autojump_clock
) -> None:
    async with connected(running, network) as client:
        await perform("place_order", client, desk)
    async with connected(running, network) as client:
        await perform("check_order", client, desk)
        await perform("get_orders", client, desk)


async def test_an_order_the_venue_never_tells_of_is_a_failure(
    running, network, desk: Desk, autojump_clock
) -> None:
    async with connected(running, network) as client:
        await perform("place_order", client, desk)
        real = desk.placed[0]
        desk.placed.append(
            Placed(
                type(real.deal)(
                    **{name: getattr(real.deal, name) for name in real.deal.__struct_fields__}
                    | {"id": "no such deal"}
                ),
                real.closes_at,
            )
        )
        for name in ("check_order", "get_orders"):
            with pytest.raises(AnswerWrong, match="has not told"):
                await perform(name, client, desk)


class Wrong:
    """A client whose answers are not what was asked for."""

    def __init__(self) -> None:
        self.found: list[Candle] = []

    async def candles(self, asset: str, timeframe: str, count: int) -> list[Candle]:
        return self.found

    async def refresh_balance(self) -> BalanceUpdate:
        return BalanceUpdate(Decimal("NaN"), "USD", True, 0.0)


async def test_answers_are_checked(desk: Desk) -> None:
    client = Wrong()
    fine = [Candle(60 * number, 1.0, 2.0, 0.5, 1.5) for number in range(10)]
    for wrong in ([], fine[:9], fine[::-1], [fine[0]] * 10, [*fine[:9], Candle(540, 1.0, 0.9, 0.5, 0.7)]):
        client.found = wrong
        with pytest.raises(AnswerWrong):
            await operations.candles(client, "EURUSD_otc", "1m", 10)  # type: ignore[arg-type]
    client.found = fine
    await operations.candles(client, "EURUSD_otc", "1m", 10)  # type: ignore[arg-type]
    with pytest.raises(AnswerWrong, match="amount"):
        await perform("balance", client, desk)  # type: ignore[arg-type]


async def test_without_a_link_a_ping_fails(running, network, desk: Desk, autojump_clock) -> None:
    async with connected(running, network) as client:
        await client.pause()
        for name in ("ping", "burst", "balance"):
            with pytest.raises(NotConnected):
                await perform(name, client, desk)


def test_what_is_chosen(desk: Desk) -> None:
    def chosen(trading: bool) -> set[str]:
        return {choose(desk, trading=trading, moment=NOW) for _ in range(300)}

    assert chosen(False) == set(READING)
    assert chosen(True) == {*READING, "place_order"}, "there is no order to ask for yet"
    desk.placed = [Placed(None, NOW + timedelta(seconds=60))] * CONCURRENT_ORDERS_MAX  # type: ignore[arg-type]
    assert chosen(True) == {*READING, "check_order", "get_orders"}, "the venue allows no more at once"
    desk.placed[0] = Placed(None, NOW - timedelta(seconds=60))  # type: ignore[arg-type]
    assert chosen(True) == {*READING, *TRADING}
