"""Deals of an account as a client sees them, with a venue that settles them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import trio

from potrio import ConfigError
from potrio.client.deal_records import DealPage
from potrio.errors import OrderNotFound
from potrio.limits import CLOSED_DEALS_KEPT_MAX
from potrio.protocol.messages.trading import Outcome

from .conftest import ASSET, EPOCH, OTHER, balance_at

START = Decimal(50_000)


async def trade(client, count: int, asset: str = ASSET) -> list:
    handles = [await client.place(asset, "call", 10 + number, duration=5) for number in range(count)]
    for handle in handles:
        await handle.result()
    return handles


async def test_totals_are_what_the_balance_says(autojump_clock, connect, venue):
    async with connect() as client:
        await trade(client, 4)
        await trade(client, 3, OTHER)
        found = client.closed_deals()
        assert isinstance(found, DealPage)
        assert (found.total, found.totals.count, len(found.deals)) == (7, 7, 7)
        assert found.totals.staked == 10 + 11 + 12 + 13 + 10 + 11 + 12
        assert START + found.totals.profit == balance_at(venue) == client.balance
        closes = [record.closes_at for record in found.deals]
        assert closes == sorted(closes, reverse=True)
        assert client.opened_deals() == []
        halves = [client.closed_deals(page=page, per_page=2) for page in (1, 2, 3, 4)]
        assert [record for page in halves for record in page.deals] == list(found.deals)


async def test_filters(autojump_clock, connect):
    async with connect() as client:
        await trade(client, 3)
        await trade(client, 2, OTHER)
        every = client.closed_deals().deals
        assert [record.id for record in client.closed_deals(asset=OTHER).deals] == [
            record.id for record in every if record.asset == OTHER
        ]
        border = every[2].closes_at
        since, until = client.closed_deals(since=border).deals, client.closed_deals(until=border).deals
        assert {record.id for record in since} | {record.id for record in until} == {r.id for r in every}
        assert all(record.closes_at >= border for record in since)
        assert all(record.closes_at < border for record in until)
        split = [client.deal_totals(outcome=outcome) for outcome in Outcome]
        assert sum(totals.count for totals in split) == 5
        assert split[0] == client.deal_totals(outcome="won")
        assert split[0].won == split[0].count
        assert client.deal_totals(asset=ASSET).count == 3


async def test_deals_of_another_client_are_seen_once_and_are_not_ours(autojump_clock, connect):
    async with connect() as one, connect() as other:
        (handle,) = await trade(one, 1)
        long = await one.place(ASSET, "put", 7, duration=600)
        await long.opened()
        await trade(other, 1)
        for client, owner in ((one, long.request_id), (other, None)):
            assert [record.request_id for record in client.opened_deals()] in ([owner], [])
        assert one.closed_deals().total == other.closed_deals().total == 2
        theirs = other.deal(handle.deal.id)
        assert theirs.request_id is None
        assert one.deal(handle.deal.id).request_id == handle.request_id
        assert theirs.profit == one.deal(handle.deal.id).profit
    async with connect() as late:
        await trio.sleep(1)
        assert late.closed_deals().total == 2, "the venue's own list"
        (record,) = late.opened_deals()
        assert (record.id, record.is_closed, record.outcome, record.profit) == (
            long.deal.id,
            False,
            None,
            None,
        )
        assert record.closes_at - record.opened_at <= timedelta(seconds=600)
        assert abs(record.opened_at.timestamp() - EPOCH) < 60
        await trio.sleep(700)
        assert late.opened_deals() == []
        assert late.closed_deals().total == 3


async def test_clearing_begins_anew_and_what_is_told_again_does_not_come_back(autojump_clock, connect):
    async with connect() as client:
        (handle,) = await trade(client, 1)
        assert client.clear_closed_deals() == 1
        assert client.closed_deals().total == client.deal_totals().count == 0
        assert client.deal(handle.deal.id).is_closed
        assert (await handle.result()).deal.id == handle.deal.id
        await trade(client, 2)  # the venue tells all three in its list
        await trio.sleep(1)
        assert client.closed_deals().total == 2
        assert client.clear_closed_deals() == 2
        assert client.clear_closed_deals() == 0


async def test_a_thousand_are_listed(autojump_clock, connect):
    async with connect() as client:
        (handle,) = await trade(client, 1)
        pattern = handle.deal
        book = client._shared.book
        for number in range(CLOSED_DEALS_KEPT_MAX + 10):
            fields = {name: getattr(pattern, name) for name in pattern.__struct_fields__}
            fields |= {"id": f"x{number}", "close_timestamp": pattern.close_timestamp + number + 1}
            book.keep_external(type(pattern)(**fields))
        found = client.closed_deals(per_page=CLOSED_DEALS_KEPT_MAX)
        assert (found.total, len(found.deals)) == (CLOSED_DEALS_KEPT_MAX,) * 2
        assert found.deals[0].id == f"x{CLOSED_DEALS_KEPT_MAX + 9}"
        assert client.deal(pattern.id).request_id == handle.request_id, "known all the same"


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"page": 0}, "page"),
        ({"page": True}, "page"),
        ({"page": 1.0}, "page"),
        ({"per_page": 0}, "per_page"),
        ({"per_page": CLOSED_DEALS_KEPT_MAX + 1}, "per_page"),
        ({"outcome": "maybe"}, "outcome"),
        ({"since": datetime(2026, 1, 1)}, "since"),  # naive, which is the point
        ({"until": datetime(2026, 1, 1)}, "until"),
    ],
)
async def test_what_cannot_be_meant_is_refused(autojump_clock, connect, options, path):
    async with connect() as client:
        with pytest.raises(ConfigError) as caught:
            client.closed_deals(**options)
        assert caught.value.path == path
        assert client.closed_deals(since=datetime(2026, 1, 1, tzinfo=UTC)).total == 0


async def test_a_deal_that_nobody_knows_is_an_error(autojump_clock, connect):
    async with connect() as client:
        with pytest.raises(OrderNotFound):
            client.deal("nothing")
