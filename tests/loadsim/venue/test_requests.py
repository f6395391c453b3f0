"""What clients send: read leniently, echoed exactly, bounded."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.venue.requests import (
    AuthFrame,
    ChangeSymbol,
    LoadHistoryPeriod,
    OpenOrder,
    OpenPendingOrder,
    Ticket,
    Tickets,
    read,
    read_symbol,
)


def test_whitespace_and_unknown_fields_are_fine() -> None:
    assert read(ChangeSymbol, b'{ "asset":"EURUSD_otc", "period":60, "more":[1] }') == ChangeSymbol(
        "EURUSD_otc", 60
    )


def test_amounts_are_exact() -> None:
    order = read(OpenOrder, b'{"asset":"A","amount":1.10,"action":"call","time":60,"requestId":"x"}')
    assert order is not None
    assert order.amount == Decimal("1.10")
    assert bytes(order.request_id) == b'"x"'
    absent = read(OpenOrder, b'{"asset":"A","amount":1,"action":"put"}')
    assert absent is not None
    assert bytes(absent.request_id) == b""


def test_an_index_is_kept_as_it_came() -> None:
    for index in (b"1", b'"a"', b"null", b"171201484810", b"1.50"):
        load = read(
            LoadHistoryPeriod, b'{"asset":"A","index":%b,"time":1.5,"offset":9000,"period":60}' % index
        )
        assert load is not None
        assert bytes(load.index) == index


def test_echoes_are_bounded() -> None:
    long = b'{"asset":"A","amount":1,"action":"call","requestId":"%b"}' % (b"x" * 300)
    assert read(OpenOrder, long) is None


@pytest.mark.parametrize(
    "amount",
    [
        "1e99999999",
        "-1e99999999",
        "1e5000",
        "1e16",
        "0e99999999",
        "1e-99999999",
        '"NaN"',
        '"Infinity"',
        "0.%s1" % ("0" * 20),
    ],
)
@pytest.mark.parametrize("target", [OpenOrder, OpenPendingOrder])
def test_amounts_that_cannot_be_reckoned_with_are_refused(target: type, amount: str) -> None:
    fields = '"asset":"A","action":"call","openType":1,"timeframe":60,"command":0'
    assert read(target, f'{{"amount":1e15,{fields}}}'.encode()) is not None
    assert read(target, f'{{"amount":{amount},{fields}}}'.encode()) is None


INTEGERS = [
    (AuthFrame, {"isDemo": 1, "uid": 1}),
    (ChangeSymbol, {"period": 60}),
    (LoadHistoryPeriod, {"period": 60}),
    (OpenOrder, {"time": 60, "isDemo": 1, "optionType": 100}),
    (OpenPendingOrder, {"openType": 1, "timeframe": 60, "command": 0, "openTime": 5, "minPayout": 0}),
]
WHOLE = {"asset": "A", "session": "x", "amount": 1, "action": "call", "time": 0, "offset": 0}
WHOLE |= {"openType": 0, "timeframe": 60, "command": 0, "period": 60}


@pytest.mark.parametrize(
    ("target", "field"), [(target, field) for target, fields in INTEGERS for field in fields]
)
@pytest.mark.parametrize("number", ["9" * 19 + "9", "-" + "9" * 20, "9" * 5000, "1e999"])
def test_integers_that_no_file_or_client_can_keep_are_refused(target: type, field: str, number: str) -> None:
    fits = dict(INTEGERS)[target]
    assert read(target, json.dumps(WHOLE | fits).encode()) is not None
    bad = json.dumps(WHOLE | fits | {field: "HERE"}).replace('"HERE"', number)
    assert read(target, bad.encode()) is None


@pytest.mark.parametrize("echo", [b'"\xff"', b"1e999", b'"\\ud800"', b"9" * 300])
def test_what_cannot_be_given_back_is_refused(echo: bytes) -> None:
    assert read(OpenOrder, b'{"asset":"A","amount":1,"action":"call","requestId":%b}' % echo) is None
    assert read(LoadHistoryPeriod, b'{"asset":"A","time":1,"offset":1,"period":60,"index":%b}' % echo) is None


def test_a_request_is_bounded_as_a_whole() -> None:
    for size, fits in ((60_000, True), (70_000, False)):
        payload = b'{"asset":"A","period":60,"more":"%b"}' % (b"x" * size)
        assert (read(ChangeSymbol, payload) is not None) is fits


def test_a_session_is_a_secret_under_any_of_its_names() -> None:
    for name, guest in (("session", False), ("sessionToken", False), ("token", True)):
        frame = read(AuthFrame, b'{"%b":"hush","isDemo":1,"uid":"12"}' % name.encode())
        assert frame is not None
        assert frame.credential is not None
        assert frame.credential.reveal() == "hush"
        assert frame.is_guest is guest
        assert "hush" not in repr(frame)
    assert read(AuthFrame, b'{"session":""}') is None
    assert read(AuthFrame, b'{"session":7}') is None


@pytest.mark.parametrize(
    "target", [AuthFrame, ChangeSymbol, LoadHistoryPeriod, OpenOrder, OpenPendingOrder, Ticket, Tickets]
)
@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 5000, b'{"asset":1}', b'{"asset":"\\ud800"}']
)
def test_what_does_not_fit_is_none(target: type, payload: bytes) -> None:
    if (target, payload) != (AuthFrame, b'{"asset":1}'):
        assert read(target, payload) is None or target is AuthFrame


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    for target in (AuthFrame, ChangeSymbol, LoadHistoryPeriod, OpenOrder, OpenPendingOrder, Ticket, Tickets):
        read(target, payload)
    read_symbol(payload)


def test_symbols() -> None:
    assert read_symbol(b'"EURUSD_otc"') == "EURUSD_otc"
    assert read_symbol(b'"%b"' % (b"x" * 65)) is None
    assert read_symbol(b"") is None
