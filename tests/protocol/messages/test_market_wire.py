"""Ticks and history in every form they have been seen in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.errors import LimitExceeded, PayloadInvalid
from potrio.protocol.messages.codec import decode_server_event, encode
from potrio.protocol.messages.market import (
    CandleRow,
    History,
    HistoryCandle,
    HistoryFast,
    HistoryPeriod,
    HistoryPeriodFast,
    HistoryTick,
    Tick,
    TickRow,
    UpdateStream,
)
from potrio.protocol.messages.market_wire import decode_tick_run, decode_update_stream
from potrio.testing.strategies import message_of

TICK = Tick("EURUSD_otc", 1770856131.3, 1.19537)
WIRE = b'[["EURUSD_otc",1770856131.3,1.19537]]'

# --- ticks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "ticks"),
    [
        (WIRE, [TICK]),
        (b'["EURUSD_otc",1770856131.3,1.19537]', [TICK]),
        (b' [ [ "EURUSD_otc" , 1770856131.3 , 1.19537 ] ] ', [TICK]),
        (b'[["EURUSD_otc",1770856131.3,1.19537],["A",5,6]]', [TICK, Tick("A", 5.0, 6.0)]),
        (b'[["EURUSD_otc",1770856131.3,1.19537,"more",{"later":[]}]]', [TICK]),
        (b'[["\\u0045URUSD_otc",1770856131.3,1.19537]]', [TICK]),
        (b"[]", []),
    ],
)
def test_ticks_nested_batched_and_flat(payload: bytes, ticks: list[Tick]) -> None:
    assert decode_server_event("updateStream", payload) == UpdateStream(ticks)


def test_a_tick_is_written_nested() -> None:
    assert encode(UpdateStream([TICK])) == ("updateStream", WIRE)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"null", b"{}", b'"EURUSD_otc"', b'[["EURUSD_otc",1770856131.3]]', b'["EURUSD_otc",1770856131.3]',
        b'[["EURUSD_otc",-1,1]]', b'[["EURUSD_otc",253402300800,1]]', b'[["EURUSD_otc",1,NaN]]',
        b'[["EURUSD_otc",1,1e13]]', b'[["EURUSD_otc",1,"1.1"]]', b'[["EURUSD_otc",1,null]]', b'[["",1,1]]',
        b'[["EUR\\u001bUSD",1,1]]', '[["EUR\u202eUSD",1,1]]'.encode(), b'[["' + b"X" * 65 + b'",1,1]]',
        b'[["EURUSD_otc",1,1]', b'[["\xff",1,1]]',
    ],
)  # fmt: skip
def test_what_is_no_tick_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decode_server_event("updateStream", payload)


def test_deep_nesting_in_a_column_that_is_skipped() -> None:
    with pytest.raises(LimitExceeded):
        decode_server_event("updateStream", b'[["A",1,2,' + b"[" * 5000 + b"]" * 5000 + b"]]")


@settings(deadline=None)
@given(st.lists(st.lists(message_of(Tick), max_size=3), max_size=8))
def test_a_run_is_what_its_payloads_are_one_by_one(batches: list[list[Tick]]) -> None:
    payloads = [encode(UpdateStream(batch))[1] or b"" for batch in batches]

    one_by_one = [tick for payload in payloads for tick in decode_update_stream(payload).ticks]

    assert decode_tick_run(payloads) == one_by_one == [tick for batch in batches for tick in batch]


@pytest.mark.parametrize(
    "payloads",
    [
        [WIRE, b'["EURUSD_otc",1,1]'],
        [WIRE, b""],
        [b'[["A",1,2]],[["B",1,2]]'],
        [b'[["A",1', b"2]]"],
        [b'[["A\\u0007",1,2]]'],
        [b'[["A",1,2]', b"]"],
        [b"[[", b"]]"],
    ],
)
def test_a_run_with_a_bad_payload_is_refused_as_a_whole(payloads: list[bytes]) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_tick_run(payloads)


@pytest.mark.parametrize("space", [b"", b" "])
def test_a_run_is_guarded_against_nesting(space: bytes) -> None:
    with pytest.raises(LimitExceeded):
        decode_tick_run([WIRE, space + b'[["A",1,2,' + b"[" * 65 + b"]" * 65 + b"]]"])


@pytest.mark.parametrize("count", [1, 2, 500])
def test_a_long_run_is_not_taken_for_deep(count: int) -> None:
    assert decode_tick_run([WIRE] * count) == [TICK] * count
    assert decode_tick_run([b" " + WIRE] * count) == [TICK] * count
    assert decode_tick_run([WIRE[:-1] + b"," + WIRE[1:]] * count) == [TICK] * count * 2


def test_a_symbol_that_looks_like_a_border() -> None:
    odd = Tick("]],[[", 1.0, 2.0)
    payloads = [encode(UpdateStream([odd]))[1] or b"", WIRE]

    assert decode_tick_run(payloads) == [odd, TICK]


# --- the history beside a subscription -------------------------------------------------------------------------------

CAPTURED = b"""{"asset":"AUDCAD_otc","period":180,
 "history":[[1754518642.936,0.89803],[1754518643.466,0.89796],[1754519382.253,0.90099]],
 "candles":[[1754518860,0.90062,0.90065,0.90098,0.90026],[1754518680,0.89783,0.90059,0.90145,0.89783]]}"""


def test_the_captured_history() -> None:
    message = decode_server_event("updateHistoryNewFast", CAPTURED)

    assert isinstance(message, HistoryFast)
    assert (message.asset, message.period, message.rejected) == ("AUDCAD_otc", 180, 0)
    assert message.history[0] == TickRow(1754518642.936, 0.89803)
    row = message.candles[1]
    assert (row.time, row.open, row.close, row.high, row.low, row.volume) == (
        1754518680, 0.89783, 0.90059, 0.90145, 0.89783, None,
    )  # fmt: skip
    assert encode(message) == ("updateHistoryNewFast", CAPTURED.replace(b"\n ", b""))


def test_both_names_have_one_shape() -> None:
    message = decode_server_event("updateHistoryNew", CAPTURED)

    assert type(message) is History
    assert encode(message)[0] == "updateHistoryNew"


CANDLE = CandleRow(1754518860, 1.0, 2.0, 3.0, 0.5)


@pytest.mark.parametrize(
    ("row", "candle"),
    [
        ([1754518860, 1, 2, 3, 0.5], CANDLE),
        ([1754518860, 1, 2, 3, 0.5, None], CANDLE),
        ([1754518860, 1, 2, 3, 0.5, 17], msgspec.structs.replace(CANDLE, volume=17)),
        ({"time": 1754518860, "open": 1, "close": 2, "high": 3, "low": 0.5}, CANDLE),
        ({"low": 0.5, "high": 3, "close": 2, "open": 1, "time": 1754518860, "volume": 17, "x": []},
         msgspec.structs.replace(CANDLE, volume=17)),
    ],
)  # fmt: skip
def test_candle_rows_as_lists_and_as_objects(row: Any, candle: CandleRow) -> None:
    other = [1754518800, 1, 2, 3, 0.5]
    message = decode_server_event(
        "updateHistoryNew",
        msgspec.json.encode({"asset": "A", "period": 60, "history": [], "candles": [row, other]}),
    )

    assert isinstance(message, History)
    assert message.candles[0] == candle
    assert (len(message.candles), message.rejected) == (2, 0)


@pytest.mark.parametrize("row", [[5.5, 1.25], {"time": 5.5, "price": 1.25}, ["A", 5.5, 1.25]])
def test_tick_rows_in_every_form(row: Any) -> None:
    payload = {"asset": "A", "period": 60, "history": [[4, 1], row], "candles": []}
    message = decode_server_event("updateHistoryNewFast", msgspec.json.encode(payload))

    assert isinstance(message, HistoryFast)
    assert message.history == [TickRow(4.0, 1.0), TickRow(5.5, 1.25)]


def test_bad_rows_are_left_out_and_counted() -> None:
    payload = b'{"asset":"A","period":60,"history":[[1,2],["x"],[3]],"candles":[[60,1,1,1,1],[60,1,1,1],[-1,1,1,1,1]]}'
    message = decode_server_event("updateHistoryNew", payload)

    assert isinstance(message, History)
    assert message.history == [TickRow(1.0, 2.0)]
    assert message.candles == [CandleRow(60, 1.0, 1.0, 1.0, 1.0)]
    assert message.rejected == 4


@pytest.mark.parametrize(
    "extra", [b"", b',"history":null', b',"candles":null', b',"history":[],"candles":[]']
)
def test_parts_of_a_history_may_be_missing(extra: bytes) -> None:
    message = decode_server_event("updateHistoryNew", b'{"asset":"A","period":60%s}' % extra)

    assert message == History("A", 60, [], [])


@pytest.mark.parametrize(
    "payload",
    [
        b"{}", b'{"asset":"A"}', b'{"asset":"A\\u0000","period":60}', b'{"asset":"A","period":60,"candles":[[1]]}',
        b'{"asset":"A","period":60,"history":5}', b"[]", b"",
    ],
)  # fmt: skip
def test_what_is_no_history_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decode_server_event("updateHistoryNew", payload)


# --- pages of history ------------------------------------------------------------------------------------------------

PAGE = (
    b'{"asset":"EURUSD_otc","index":171201484810,"period":60,"data":['
    b'{"symbol_id":66,"time":1711993800,"open":1.1,"close":1.2,"high":1.3,"low":1.05,"asset":"EURUSD_otc","volume":7}]}'
)


def test_a_page_of_candles() -> None:
    message = decode_server_event("loadHistoryPeriodFast", PAGE)

    assert message == HistoryPeriodFast(
        "EURUSD_otc", 171201484810, 60,
        [HistoryCandle(symbol_id=66, time=1711993800, open=1.1, close=1.2, high=1.3, low=1.05, asset="EURUSD_otc",
                       volume=7)],
        [],
    )  # fmt: skip
    assert encode(message) == ("loadHistoryPeriodFast", PAGE)


def test_a_page_of_ticks() -> None:
    rows = b'{"asset":"A","time":5.25,"price":1.5},{"asset":"A","time":6,"price":2.5}'
    payload = b'{"asset":"A","index":null,"period":0,"data":[' + rows + b"]}"
    message = decode_server_event("loadHistoryPeriod", payload)

    assert message == HistoryPeriod(
        "A",
        None,
        0,
        [],
        [HistoryTick(asset="A", time=5.25, price=1.5), HistoryTick(asset="A", time=6, price=2.5)],
    )
    assert encode(message) == ("loadHistoryPeriod", payload)


def test_a_page_of_everything() -> None:
    payload = (
        b'{"asset":"A","index":"x","period":60,"data":[[60,1,2,3,0.5],[61.5,1.5],{"time":62,"price":9},'
        b'{"time":120,"open":1,"close":1,"high":1,"low":1},{"time":"bad"},[],null]}'
    )
    message = decode_server_event("loadHistoryPeriod", payload)

    assert isinstance(message, HistoryPeriod)
    assert [candle.time for candle in message.candles] == [60, 120]
    assert message.candles[0] == HistoryCandle(time=60, open=1.0, close=2.0, high=3.0, low=0.5)
    assert message.ticks == [HistoryTick(time=61.5, price=1.5), HistoryTick(time=62, price=9.0)]
    assert message.rejected == 3


@pytest.mark.parametrize("index", [b"1", b'"uuid"', b"null", b"1.5", b"true", b"171201484810"])
def test_the_index_comes_back_as_it_was(index: bytes) -> None:
    payload = b'{"asset":"A","index":%s,"period":60,"data":[]}' % index

    assert encode(decode_server_event("loadHistoryPeriod", payload)) == ("loadHistoryPeriod", payload)


@pytest.mark.parametrize("data", [b"", b',"data":null', b',"data":[]'])
def test_an_empty_page_is_empty(data: bytes) -> None:
    message = decode_server_event("loadHistoryPeriod", b'{"asset":"A","period":60%s}' % data)

    assert message == HistoryPeriod("A", None, 60, [], [])


@pytest.mark.parametrize("data", [b"[{}]", b"5", b'[{"time":5}]', b'[["A"]]', b'{"a":1}'])
def test_a_page_without_a_good_row_is_an_error(data: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decode_server_event("loadHistoryPeriod", b'{"asset":"A","period":60,"data":%s}' % data)
