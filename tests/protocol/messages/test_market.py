"""The market's messages: the captured asset table, bounds of its columns, subscriptions, the venue's clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.errors import PayloadInvalid
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.codec import decode_client_event, decode_server_event, encode
from potrio.protocol.messages.market import (
    Asset,
    ChangeSymbol,
    LoadAssets,
    LoadHistoryPeriod,
    LoadHistoryPeriodFast,
    Sentiment,
    Sentiments,
    ServerTime,
    Subfor,
    SubscribeSymbol,
    Tick,
    Unsubfor,
    UnsubscribeSymbol,
    UpdateAssets,
)
from potrio.testing.strategies import message_of

ROW = [66, "EURUSD_otc", "EUR/USD OTC", "currency", 5, 82, 60, 30, 3, 1, 0, 1, [], 1751932800, True,
       [{"time": 60}, {"time": 120}, {"time": 14400}], 0, 5, -1]  # fmt: skip
TABLE = b"""[[5,"#AAPL","Apple","stock",2,50,60,30,3,0,170,0,[],1751922000,false,[{"time":60}],1751922000,60,-1],
[66,"EURUSD_otc","EUR/USD OTC","currency",5,82,60,30,3,1,0,1,[],1751932800,true,[{"time":60},{"time":120}],0,5,-1],
[197,"BTCUSD","Bitcoin","cryptocurrency",2,15,60,30,3,0,484,0,[],1751932800,true,[{"time":60}],0,60,-1]]"""


def assets(*rows: Any) -> UpdateAssets:
    message = decode_server_event("updateAssets", msgspec.json.encode(rows))
    assert isinstance(message, UpdateAssets)
    return message


def test_a_table_that_comes_again_is_decoded_once() -> None:
    payload = encode(assets())[1] or b""
    first, second = decode_server_event("updateAssets", payload), decode_server_event("updateAssets", payload)

    assert first is second
    assert decode_server_event("updateAssets", payload + b" ") is not first


def test_the_captured_table() -> None:
    message = decode_server_event("updateAssets", TABLE)

    assert isinstance(message, UpdateAssets)
    assert message.rejected == 0
    assert [asset.symbol for asset in message.assets] == ["#AAPL", "EURUSD_otc", "BTCUSD"]
    apple, euro, _ = message.assets
    assert (apple.id, apple.label, apple.kind, apple.digits, apple.payout) == (5, "Apple", "stock", 2, 50)
    assert (apple.is_active, apple.is_otc, apple.otc_id, apple.real_id) == (False, 0, 170, 0)
    assert (euro.is_active, euro.is_otc, euro.otc_id, euro.real_id) == (True, 1, 0, 1)
    assert (euro.default_expiration_s, euro.minimum_expiration_s, euro.expiration_step_s) == (60, 30, 3)
    assert euro.durations_s == (60, 120)
    assert (euro.schedule, euro.scheduled_until, euro.minimum_timeframe_s, euro.scheduled_at) == (
        1751932800,
        0,
        5,
        -1,
    )


def test_the_table_is_written_as_it_came() -> None:
    name, payload = encode(decode_server_event("updateAssets", TABLE))

    assert (name, payload) == ("updateAssets", TABLE.replace(b"\n", b""))
    assert (payload or b"").startswith(b'[[5,"#AAPL","Apple","stock')


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, "66"), (0, 2**70), (0, None),
        (1, ""), (1, 66), (1, "EUR\x1b[2J"), (1, "EUR\u202eUSD"), (1, "X" * 65),
        (2, "X" * 5000), (3, 1),
        (4, -1), (4, 13), (4, 5.5),
        (5, -1), (5, 1001), (5, "82"), (5, None),
        (6, -60), (7, -1), (8, 10**12), (9, 2),
        (12, {}), (13, 253402300800), (13, -2), (14, 1),
        (15, [60]), (15, [{"time": -5}]), (15, None), (16, "0"), (17, -5), (18, 10**15),
    ],
)  # fmt: skip
def test_one_bad_row_does_not_lose_the_others(column: int, value: Any) -> None:
    bad = [*ROW[:column], value, *ROW[column + 1 :]]

    message = assets(ROW, bad, ROW)

    assert message.rejected == 1
    assert [asset.symbol for asset in message.assets] == ["EURUSD_otc", "EURUSD_otc"]


def test_short_rows_are_bad_and_later_columns_are_ignored() -> None:
    message = assets(ROW[:18], [*ROW, "new", {"more": 1}])

    assert (len(message.assets), message.rejected) == (1, 1)


def test_a_label_is_made_showable() -> None:
    row = [*ROW]
    row[2] = "EUR\x1b[31m/USD\u202e OTC\n"

    assert assets(row).assets[0].label == "EUR[31m/USD OTC "


def test_a_table_of_bad_rows_is_an_error_not_an_empty_table() -> None:
    with pytest.raises(PayloadInvalid, match="bad payload for updateAssets"):
        assets(ROW[:5], ROW[:6])


def test_the_rows_by_symbol_are_made_once_and_read_only() -> None:
    table = assets(ROW)
    assert dict(table.by_symbol) == {"EURUSD_otc": table.assets[0]}
    assert table.by_symbol is table.by_symbol
    assert table == assets(ROW), "what was made of it is no part of its value"
    with pytest.raises(TypeError):
        table.by_symbol["X"] = table.assets[0]  # type: ignore[index]  # that is the point


def test_an_empty_table_is_empty() -> None:
    assert assets() == UpdateAssets([])


@settings(max_examples=40, deadline=None)
@given(good=st.lists(message_of(Asset), min_size=1, max_size=5), data=st.data())
def test_the_good_rows_of_a_table_survive_in_order(good: list[Asset], data: st.DataObject) -> None:
    rows: list[Any] = [msgspec.Raw(msgspec.json.encode(asset)) for asset in good]
    bad = data.draw(st.lists(st.sampled_from([None, 5, "x", {}, [], ROW[:18]]), max_size=4))
    for each in bad:
        rows.insert(data.draw(st.integers(0, len(rows))), each)

    message = assets(*rows)

    assert message.assets == good
    assert message.rejected == len(bad)


# --- ticks, subscriptions, clock -------------------------------------------------------------------------------------


def test_the_time_of_a_tick_is_aware() -> None:
    assert Tick("EURUSD", 1770856131.5, 1.1).time == datetime(2026, 2, 12, 0, 28, 51, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("subscribeSymbol", SubscribeSymbol("EURUSD_otc")),
        ("unSubscribeSymbol", UnsubscribeSymbol("EURUSD_otc")),
        ("subfor", Subfor("EURUSD_otc")),
        ("unsubfor", Unsubfor("EURUSD_otc")),
    ],
)
def test_subscriptions(name: str, message: Message) -> None:
    assert encode(message) == (name, b'"EURUSD_otc"')
    assert decode_client_event(name, b' "EURUSD_otc" ') == message
    for bad in (b'"EUR\\u0000USD"', b'""', b"5", b"null", b""):
        with pytest.raises(PayloadInvalid):
            decode_client_event(name, bad)


def test_change_symbol() -> None:
    message = ChangeSymbol("EURUSD_otc", 60)

    assert encode(message) == ("changeSymbol", b'{"asset":"EURUSD_otc","period":60}')
    assert decode_client_event("changeSymbol", b'{ "asset":"EURUSD_otc","period":60 }') == message


@pytest.mark.parametrize("index", [171201484810, 1, "9b2c", None, 1.5, True])
@pytest.mark.parametrize("time", [1712002800, 1712002800.25])
def test_load_history_period_keeps_index_and_time_as_they_are(index: Any, time: float) -> None:
    message = LoadHistoryPeriod("EURUSD_otc", index, time, 9000, 60)

    name, payload = encode(message)
    back = decode_client_event(name, payload or b"")

    assert back == message
    assert isinstance(back, LoadHistoryPeriod)
    assert (type(back.index), type(back.time)) == (type(index), type(time))


def test_load_history_period_wire_shape() -> None:
    message = LoadHistoryPeriod("EURUSD_otc", 171201484810, 1712002800, 9000, 60)
    payload = b'{"asset":"EURUSD_otc","index":171201484810,"time":1712002800,"offset":9000,"period":60}'

    assert encode(message) == ("loadHistoryPeriod", payload)
    assert type(decode_client_event("loadHistoryPeriodFast", payload)) is LoadHistoryPeriodFast


def test_assets_can_be_asked_for() -> None:
    assert encode(LoadAssets()) == ("assets/load", None)
    assert decode_client_event("assets/load", b"") == LoadAssets()


@pytest.mark.parametrize(("payload", "stamp"), [(b"1751932410", 1751932410), (b"1751932410.5", 1751932410.5)])
def test_server_time(payload: bytes, stamp: float) -> None:
    assert decode_server_event("updateTime", payload) == ServerTime(stamp)
    assert encode(ServerTime(stamp)) == ("updateTime", payload)


@pytest.mark.parametrize("payload", [b"-1", b"253402300800", b'"1751932410"', b"1e300", b"null", b""])
def test_a_time_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decode_server_event("updateTime", payload)


def test_sentiment() -> None:
    message = Sentiments([Sentiment("EURUSD_otc", 96), Sentiment("#AAPL", 4.5)])

    assert decode_server_event("chafor", b'[["EURUSD_otc",96],["#AAPL",4.5],["bad"]]') == Sentiments(
        message.sentiments, rejected=1
    )
    assert decode_server_event("chafor", (encode(message)[1] or b"")) == message
