"""`protocol.md` section 0, rule by rule, on the wire."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from loadsim.venue.config import AccessConfig, MarketConfig, VenueConfig
from potrio.errors import ConnectionBroken
from potrio.secrets import Secret

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
HEADER = re.compile(r'451-\["[A-Za-z/]+",\{"_placeholder":true,"num":0\}\]')
PUSHED = ["successauth", "successupdateBalance", "updateOpenedDeals", "updateClosedDeals"]


@pytest.mark.parametrize(
    "query",
    [
        "EIO=4&transport=websocket",
        "transport=websocket&EIO=4",
        "EIO=4&transport=websocket&t=1770856131.3",
        "t=PQx1&transport=websocket&EIO=4",
    ],
)
async def test_rule_01_query_in_any_order_with_an_extra_t(
    autojump_clock: Any, world: Any, query: str
) -> None:
    async with world.venue() as venue, world.client(venue, query) as client:
        assert str(await client.frame()).startswith("0")


async def test_rule_02_first_frame_is_open_with_sid_first_and_no_whitespace(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        first = await client.frame()

    assert re.fullmatch(
        r'0\{"sid":"[0-9A-Za-z_-]{20}","upgrades":\[\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}',
        first,
    )


@pytest.mark.parametrize("connect", ["40", "40{}"])
async def test_rule_03_connect_is_answered_compact_with_sid_first(
    autojump_clock: Any, world: Any, connect: str
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.frame()
        await client.send(connect)
        answer = await client.frame()

    assert re.fullmatch(r'40\{"sid":"[0-9A-Za-z_-]+"\}', answer)


async def test_rule_04_nothing_comes_between_open_and_connect(autojump_clock: Any, world: Any) -> None:
    """A client is silent for two seconds after it connected; nobody else's business disturbs it."""
    async with world.venue() as venue, world.client(venue) as other, world.client(venue) as client:
        await client.frame()
        await other.login()
        await other.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        await other.order(time=5)
        await client.idle(9.5)
        assert len(client.frames) == 1
        await client.send("40")
        assert str(await client.frame()).startswith('40{"sid":')


async def test_rule_05_assets_are_pushed_right_after_connect_before_auth(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.connect()
        header, table = await client.frame(), await client.frame()
        await client.idle(1)

    assert header == '451-["updateAssets",{"_placeholder":true,"num":0}]'
    assert table.startswith(b'[[5,"#AAPL","Apple","stock",')
    assert len(json.loads(table)) >= 170
    assert {len(row) for row in json.loads(table)} == {19}
    assert len(client.frames) == 4, "and nothing else before auth"


async def test_rule_06_auth_is_answered_with_binary_successauth_with_id_and_server_name(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.connect()
        await client.until("updateAssets")
        await client.emit("auth", world.auth())
        header, body = await client.frame(), await client.frame()

    assert header == '451-["successauth",{"_placeholder":true,"num":0}]'
    assert UUID.fullmatch(json.loads(body)["id"])
    assert list(json.loads(body)) == ["id", "serverName"]


async def test_rule_07_account_is_pushed_unprompted_and_get_balance_is_answered(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.connect()
        await client.until("updateAssets")
        await client.emit("auth", world.auth(uid=77))
        events = await client.events(1)
        await client.emit("getBalance")
        asked = await client.events(1)

    assert [name for name, _ in events] == [*PUSHED, "updateCharts", "successupdatePending"]
    assert dict(events)["successupdateBalance"] == {"isDemo": 1, "balance": 50_000, "uid": 77}
    assert asked == [("successupdateBalance", {"isDemo": 1, "balance": 50_000, "uid": 77})]


async def test_rule_08_every_event_is_a_header_and_at_once_its_binary_frame(
    autojump_clock: Any, world: Any
) -> None:
    """Ticks, pings, results and answers of many tasks at once: never is anything between the two frames."""
    config = VenueConfig(ping_interval_ms=100, ping_timeout_ms=5000)
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        for symbol in ("EURUSD_otc", "GBPUSD_otc", "USDJPY_otc", "AUDUSD_otc"):
            await client.emit("changeSymbol", {"asset": symbol, "period": 60})
        for number in range(5):
            await client.emit("openOrder", world.order(requestId=number, time=5))
        await client.idle(10)

    frames = client.frames[2:]
    assert frames.count("2") > 80
    for place, frame in enumerate(frames):
        if isinstance(frame, bytes):
            assert HEADER.fullmatch(frames[place - 1]), "a header comes right before"
            json.loads(frame.decode())
            assert frame[0] in b"[{", "raw UTF-8 JSON, no 0x04 in front"
        elif frame != "2":
            assert HEADER.fullmatch(frame)
            assert isinstance(frames[place + 1], bytes), "its attachment comes right behind"


async def test_rule_09_header_json_is_compact(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        await client.order(time=5)
        await client.idle(8)

    headers = [frame for frame in client.frames if isinstance(frame, str) and frame.startswith("4")]
    assert len(headers) > 20
    assert all(" " not in header for header in headers)
    assert '451-["successcloseOrder",{"_placeholder":true,"num":0}]' in headers


async def test_rule_10_exactly_one_tick_per_update_stream_frame(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        await client.emit("subscribeSymbol", "#AAPL_otc")
        ticks = [value for name, value in await client.events(20) if name == "updateStream"]

    assert len(ticks) in range(76, 85)
    for tick in ticks:
        ((symbol, stamp, price),) = tick
        assert symbol in ("EURUSD_otc", "#AAPL_otc")
        assert isinstance(stamp, float)
        assert isinstance(price, float)


async def test_rule_11_columns_and_orders_of_history(autojump_clock: Any, world: Any) -> None:
    """Close is third, high fourth, low fifth; candles newest first, ticks and pages oldest first."""
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        history = await client.until("updateHistoryNewFast")
        await client.emit(
            "loadHistoryPeriod",
            {"asset": "EURUSD_otc", "index": 1, "time": world.unix + 7200, "offset": 3600, "period": 60},
        )
        page = await client.until("loadHistoryPeriodFast")

    candles, ticks = history["candles"], history["history"]
    assert [row[0] for row in candles] == sorted((row[0] for row in candles), reverse=True)
    assert ticks == sorted(ticks)
    stamps = [row["time"] for row in page["data"]]
    assert stamps == sorted(stamps)
    by_stamp = {row["time"]: row for row in page["data"]}
    rebuilt = 0
    for stamp, first, last, high, low in candles[1:]:
        prices = [price for at, price in ticks if stamp <= at < stamp + 60]
        if ticks[0][0] < stamp and prices:
            assert (first, last, high, low) == (prices[0], prices[-1], max(prices), min(prices))
            rebuilt += 1
        if stamp in by_stamp:
            row = by_stamp[stamp]
            assert (first, last, high, low) == (row["open"], row["close"], row["high"], row["low"])
    assert rebuilt >= 2


@pytest.mark.parametrize("echo", ["7b1f3c1e-0000-4000-8000-00000000000a", 18396039, "buy", None, 2**63, 1.5])
async def test_rule_12_echoes_are_verbatim_with_their_json_type(
    autojump_clock: Any, world: Any, echo: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        deal = await client.order(requestId=echo)
        await client.emit(
            "loadHistoryPeriod",
            {"asset": "#AAPL_otc", "index": echo, "time": world.unix + 7200, "offset": 600, "period": 60},
        )
        page = await client.until("loadHistoryPeriodFast")
        await client.emit("changeSymbol", {"asset": "GBPUSD_otc", "period": 180})
        history = await client.until("updateHistoryNewFast")

    assert deal["requestId"] == echo
    assert type(deal["requestId"]) is type(echo)
    assert page["index"] == echo
    assert type(page["index"]) is type(echo)
    assert (page["asset"], page["period"]) == ("#AAPL_otc", 60)
    assert (history["asset"], history["period"]) == ("GBPUSD_otc", 180)


async def test_rule_13_request_id_is_only_in_successopen_order_of_who_asked(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client, world.client(venue) as other:
        await client.login()
        await other.login()
        deal = await client.order(time=5)
        events = await client.events(8)
        events += await other.events(0.1)
        await client.emit("updateOpenedDeals")
        events += await client.events(1)

    assert "requestId" in deal
    names = [name for name, _ in events]
    assert {"successopenOrder", "successcloseOrder", "updateClosedDeals", "updateOpenedDeals"} <= set(names)
    assert "requestId" not in json.dumps(events)


async def test_rule_14_no_opened_deals_after_an_opening(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.order(time=60)
        names = [name for name, _ in await client.events(50)]
        await client.emit("updateOpenedDeals")
        asked = await client.until("updateOpenedDeals")

    assert names == ["successupdateBalance"]
    assert len(asked) == 1, "safe when asked for"


async def test_rule_15_balance_then_result_then_closed_deals(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        first, second = await client.order(time=5, requestId=1), await client.order(time=5, requestId=2)
        events = await client.events(8)

    assert [name for name, _ in events] == [
        "successupdateBalance",
        "successupdateBalance",
        "successcloseOrder",
        "updateClosedDeals",
    ]
    (_, balance), (_, result), (_, closed) = events[1:]
    assert [deal["id"] for deal in result["deals"]] == [first["id"], second["id"]], "together in one frame"
    assert [deal["id"] for deal in closed] == [second["id"], first["id"]], "newest first"
    assert result["profit"] == pytest.approx(sum(max(0, deal["profit"]) for deal in result["deals"]))
    assert balance["balance"] == pytest.approx(50_000 + sum(deal["profit"] for deal in result["deals"]))


async def test_rule_16_no_top_level_balance_and_no_sid_where_they_confuse(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        await client.order(time=5)
        pending = {
            "openType": 1,
            "asset": "EURUSD_otc",
            "amount": 1,
            "timeframe": 60,
            "command": 0,
            "openPrice": 9.0,
        }
        await client.emit("openPendingOrder", pending)
        ticket = (await client.until("successopenPendingOrder"))["ticket"]
        await client.emit("cancelPendingOrder", {"ticket": ticket})
        for name in (
            "favorite/load",
            "indicator/load",
            "price-alert/load",
            "assets/load",
            "updateOpenedDeals",
        ):
            await client.emit(name)
        await client.idle(8)

    before = ""
    for frame in client.frames:
        if isinstance(frame, bytes):
            value = json.loads(frame)
            assert not (isinstance(value, dict) and "balance" in value) or "successupdateBalance" in before
        else:
            before = frame
            assert "sid" not in frame or frame.startswith(("0", "40"))


async def test_rule_17_a_rejected_login_is_not_authorized_then_41_then_close(
    autojump_clock: Any, world: Any
) -> None:
    config = VenueConfig(access=AccessConfig(rejected_sessions=(Secret("wrong"),)))
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.connect()
        await client.until("updateAssets")
        await client.emit("auth", world.auth(session="wrong"))
        error = await client.until_closed()

        assert client.frames[4:] == ['42["NotAuthorized"]', "41"]
        assert isinstance(error, ConnectionBroken)
        assert venue.stats()["connections"]["rejected"] == 1


@pytest.mark.parametrize("offset_s", [7200, 0, -3600])
async def test_rule_18_every_stamp_is_unix_plus_the_offset(
    autojump_clock: Any, world: Any, offset_s: int
) -> None:
    config = VenueConfig(offset_s=offset_s, market=MarketConfig(candles_stale_s=0))
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        history = await client.until("updateHistoryNewFast")
        ((_, tick, _),) = await client.until("updateStream")
        deal = await client.order()

    now = world.unix + offset_s
    assert now <= tick < now + 2
    assert now - 2 < history["history"][-1][0] < now + 2
    assert now - 60 < history["candles"][0][0] <= now + 2
    assert now <= deal["openTimestamp"] <= now + 2
    hour = int((1_790_000_000 + offset_s) % 86_400 // 3600)
    assert deal["openTime"].startswith("2026-09-2")
    assert int(deal["openTime"][11:13]) == hour


async def test_rule_19_the_venue_pings_and_closes_who_sends_no_ps_for_180_s(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue, world.client(venue) as client, world.client(venue) as lively:
        await client.login()
        await lively.login()
        for _ in range(8):
            await lively.idle(19)
            await lively.emit("ps")
            await client.idle(1)
        await client.idle(15)
        assert client.closed is None, "175 s after login"
        error = await client.until_closed()
        await lively.idle(1)

        assert lively.closed is None
        assert client.pings == 7
        assert "41" not in client.frames
        assert "1" not in client.frames
        assert isinstance(error, ConnectionBroken)
        assert venue.stats()["connections"]["closes"] == {"no_ps": 1}
        assert venue.stats()["ps_received"] == 8


async def test_rule_19_a_client_that_does_not_answer_pings_is_closed(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        client.answers_pings = False
        await client.until_closed()
        assert venue.stats()["connections"]["closes"] == {"heartbeat": 1}
        assert 44 < venue.stats()["uptime_s"] < 46


async def test_rule_20_events_before_connect_and_auth_are_kept_and_answered_later(
    autojump_clock: Any, world: Any
) -> None:
    """What the rival sends after each reconnect: subscriptions first, then ``40``, then auth."""
    async with world.venue() as venue, world.client(venue) as client:
        await client.frame()
        await client.send(
            '42["changeSymbol",{ "asset":"EURUSD_otc","period":1 }]', '42["subfor","EURUSD_otc"]'
        )
        await client.idle(2)
        assert len(client.frames) == 1
        await client.send("40")
        await client.until("updateAssets")
        await client.emit("auth", world.auth())
        names = [name for name, _ in await client.events(3)]

    assert names[:7] == [*PUSHED, "updateCharts", "successupdatePending", "updateHistoryNewFast"]
    assert names[7:].count("updateStream") >= 4
