"""The exchange: accounts shared by connections, streams by asset, logins, limits of what a client may do."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import trio

from loadsim.venue.config import AccessConfig, MarketConfig, VenueConfig
from potrio.secrets import Secret


async def test_account_events_go_to_all_connections_of_user_and_kind_and_no_others(
    autojump_clock: Any, world: Any
) -> None:
    async with (
        world.venue() as venue,
        world.client(venue) as one,
        world.client(venue) as two,
        world.client(venue) as live,
        world.client(venue) as stranger,
    ):
        await one.login(uid=1)
        await two.login(uid=1)
        await live.login(uid=1, demo=0)
        await stranger.login(uid=2)
        deal = await one.order(time=5)
        heard = [[name for name, _ in await client.events(8)] for client in (one, two, live, stranger)]

    results = ["successupdateBalance", "successcloseOrder", "updateClosedDeals"]
    assert heard[0] == ["successupdateBalance", *results]
    assert heard[1] == ["successopenOrder", "successupdateBalance", *results]
    assert heard[2] == heard[3] == []
    assert "requestId" in deal


async def test_a_reconnected_user_sees_open_deals_and_gets_their_results(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue:
        async with world.client(venue) as first:
            await first.login()
            deal = await first.order(time=30)
        async with world.client(venue) as second:
            await second.connect()
            await second.emit("auth", world.auth())
            assert [d["id"] for d in await second.until("updateOpenedDeals")] == [deal["id"]]
            result = await second.until("successcloseOrder")
            assert result["deals"][0]["id"] == deal["id"]
        async with world.client(venue) as third:
            await third.connect()
            await third.emit("auth", world.auth())
            assert await third.until("updateOpenedDeals") == []
            assert [d["id"] for d in await third.until("updateClosedDeals")] == [deal["id"]]
        assert venue.stats()["accounts"][0]["open"] == 0


async def test_a_deal_closes_at_the_price_of_the_last_tick_streamed_before_its_end(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        await client.idle(2)
        deal = await client.order(time=5)
        await client.idle(8)
        bodies = [json.loads(frame) for frame in client.frames if isinstance(frame, bytes)]

    ticks = [
        body[0] for body in bodies if isinstance(body, list) and len(body) == 1 and isinstance(body[0], list)
    ]
    (closed,) = next(body["deals"] for body in bodies if isinstance(body, dict) and "deals" in body)
    opened_at = deal["openTimestamp"] + deal["openMs"] / 1000
    closed_at = closed["closeTimestamp"] + closed["closeMs"] / 1000
    assert closed_at - opened_at == pytest.approx(5)
    assert deal["openPrice"] == [price for _, stamp, price in ticks if stamp <= opened_at][-1]
    assert closed["closePrice"] == [price for _, stamp, price in ticks if stamp <= closed_at][-1]
    move = closed["closePrice"] - closed["openPrice"]
    assert closed["profit"] == pytest.approx(deal["profit"] if move > 0 else -10 if move < 0 else 0)


async def test_a_standing_market_gives_draws(autojump_clock: Any, world: Any) -> None:
    async with (
        world.venue(VenueConfig(market=MarketConfig(volatility=0))) as venue,
        world.client(venue) as client,
    ):
        await client.login()
        await client.order(time=5)
        result = await client.until("successcloseOrder")
        assert (result["profit"], result["deals"][0]["profit"]) == (0, 0)
        (account,) = venue.stats()["accounts"]
        assert (account["draw"], account["balance"]) == (1, 50_000)


async def test_streams_are_those_of_the_newest_four_assets(autojump_clock: Any, world: Any) -> None:
    symbols = ["EURUSD_otc", "GBPUSD_otc", "USDJPY_otc", "AUDUSD_otc", "NZDUSD_otc"]
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        for symbol in symbols:
            await client.emit("subfor", symbol)
        ticks = [value[0][0] for name, value in await client.events(5) if name == "updateStream"]
        assert set(ticks[8:]) == set(symbols[1:])
        await client.emit("unsubfor", symbols[1])
        await client.events(1)
        ticks = [value[0][0] for name, value in await client.events(5) if name == "updateStream"]
        assert set(ticks) == set(symbols[2:])


async def test_ticks_streamed_are_those_that_history_tells_later(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("subfor", "EURUSD_otc")
        streamed = [value[0][1:] for name, value in await client.events(30) if name == "updateStream"]
        await client.emit("unsubfor", "EURUSD_otc")
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        history = await client.until("updateHistoryNewFast")
    told = [row for row in history["history"] if streamed[0][0] <= row[0] <= streamed[-1][0]]
    assert told == streamed


async def test_the_table_is_pushed_again_when_it_changes(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        pushes = []
        for _ in range(12):
            await client.emit("ps")
            pushes += [value for name, value in await client.events(150) if name == "updateAssets"]
    assert len(pushes) in (1, 2)
    assert pushes[0][0][1] == "#AAPL"


async def test_who_does_not_log_in_is_closed(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as silent, world.client(venue) as connected:
        await connected.connect()
        await silent.until_closed()
        await connected.until_closed()
        stats = venue.stats()
        assert 15 <= stats["uptime_s"] < 16
        assert stats["connections"]["closes"] == {"auth_timeout": 2}
        assert stats["violations"] == {}


async def test_a_bare_41_for_a_session_escaped_twice(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.connect()
        await client.until("updateAssets")
        await client.emit("auth", world.auth(session='a:1:{s:2:\\"x\\";}'))
        assert await client.frame() == "41"
        await client.until_closed()
        assert venue.stats()["connections"]["rejected"] == 1
        assert client.frames[4:] == ["41"]


async def test_a_client_that_leaves_with_41_is_let_go(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.send("41")
        await client.until_closed()
        await trio.sleep(0.1)
        assert venue.stats()["connections"]["closes"] == {"client": 1}


async def test_too_many_events_end_the_connection(autojump_clock: Any, world: Any) -> None:
    async with world.venue(VenueConfig(events_per_second_max=5)) as venue, world.client(venue) as client:
        await client.login()
        await client.send(*['42["ps"]'] * 51)
        await client.until_closed()
        assert venue.stats()["violations"] == {"too many events": 1}
        assert venue.stats()["connections"]["closes"] == {"violation": 1}


async def test_a_page_of_history_costs_in_proportion_to_its_rows(autojump_clock: Any, world: Any) -> None:
    page = {"asset": "EURUSD_otc", "index": 1, "time": world.unix + 7200, "offset": 9000, "period": 60}
    async with world.venue(VenueConfig(events_per_second_max=20)) as venue, world.client(venue) as client:
        await client.login()
        for number in range(30):
            await client.emit("loadHistoryPeriod", page | {"index": number})
        await client.until_closed()
        stats = venue.stats()
        assert stats["violations"] == {"too many events": 1}
        assert 10 <= stats["events_sent"]["loadHistoryPeriodFast"] <= 13, "200 at once, 16 for each page"
        assert stats["events_received"]["loadHistoryPeriod"] <= 14


async def test_one_client_with_many_questions_does_not_stop_the_others(
    autojump_clock: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many of one client's questions are answered from another's question to its answer."""
    page = {"asset": "EURUSD_otc", "index": 1, "time": world.unix + 7200, "offset": 9000, "period": 60}
    async with world.venue() as venue, world.client(venue) as canary, world.client(venue) as greedy:
        await canary.login(uid=1)
        await greedy.login(uid=2)
        prepare = venue.exchange.desk.prepare

        def working(*arguments: Any) -> Any:
            for _ in prepare(*arguments):
                autojump_clock.jump(0.0001)
                yield

        monkeypatch.setattr(venue.exchange.desk, "prepare", working)
        answered = venue.exchange.stats.events_received
        await greedy.send(*["42" + json.dumps(["loadHistoryPeriod", page])] * 100)
        meanwhile = []
        while answered.get("loadHistoryPeriod", 0) < 90:
            before = answered.get("loadHistoryPeriod", 0)
            await canary.emit("getBalance")
            await canary.until("successupdateBalance")
            meanwhile.append(answered.get("loadHistoryPeriod", 0) - before)
        assert max(meanwhile) <= 3


@pytest.mark.parametrize(
    "frame", ["nonsense", b"stray", "42{", '451-["x",{"_placeholder":true,"num":7}]', "4" + "2" * 9]
)
async def test_garbage_ends_only_the_connection_it_came_on(
    autojump_clock: Any, world: Any, frame: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client, world.client(venue) as other:
        await client.login()
        await other.login(uid=2)
        await client.send(frame)
        if frame == '451-["x",{"_placeholder":true,"num":7}]':
            await client.send(b"{}")
        await client.until_closed()
        await other.order()
        assert sum(venue.stats()["violations"].values()) == 1


async def test_pending_orders_open_on_the_wire(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        now = int(world.unix + 7200)
        for changes in (
            {"openType": 0, "openTime": now + 10},
            {"openType": 1, "openPrice": 0.5, "openTime": None},
        ):
            request = {"amount": 3, "asset": "EURUSD_otc", "timeframe": 5, "command": 1} | changes
            await client.emit("openPendingOrder", request)
            await client.until("successopenPendingOrder")
        await client.until("successupdatePending")
        deal = await client.until("successopenOrder")
        assert (deal["openTimestamp"], deal["command"], deal["amount"]) == (now + 10, 1, 3)
        assert [order["openPrice"] for order in await client.until("successupdatePending")] == [0.5]
        assert (await client.until("successcloseOrder"))["deals"][0]["id"] == deal["id"]


async def test_sessions_are_nowhere_to_be_seen(
    autojump_clock: Any, world: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "k3v9canary0session"
    config = VenueConfig(access=AccessConfig(sessions=(Secret(canary),)))
    async with world.venue(config) as venue, world.client(venue) as client, world.client(venue) as wrong:
        await client.login(session=canary)
        await wrong.connect()
        await wrong.emit("auth", world.auth(session=canary + "x"))
        await wrong.until_closed()
        seen = (
            json.dumps(venue.stats())
            + repr(config)
            + repr(venue.__dict__)
            + caplog.text
            + "".join(capfd.readouterr())
        )
    assert canary not in seen


async def test_counters_equal_what_the_client_saw(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        await client.order(time=5, requestId="mine")
        await client.emit("getBalance")
        await client.idle(60)
        stats = venue.stats()

    headers = [
        json.loads(frame[4:])[0]
        for frame in client.frames
        if isinstance(frame, str) and frame.startswith("451")
    ]
    assert stats["events_sent"] == {name: headers.count(name) for name in headers}
    assert stats["events_received"] == {"auth": 1, "changeSymbol": 1, "openOrder": 1, "getBalance": 1}
    assert stats["frames"]["text_sent"] == sum(isinstance(frame, str) for frame in client.frames)
    assert stats["frames"]["binary_sent"] == sum(isinstance(frame, bytes) for frame in client.frames)
    assert stats["frames"]["text_received"] == 1 + 4 + client.pings
    assert stats["pings_sent"] == stats["pongs_received"] == client.pings == 2
    assert stats["ticks_sent"] == headers.count("updateStream")
    assert stats["orders"] == {"mine": 1}
