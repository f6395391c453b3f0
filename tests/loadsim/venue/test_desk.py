"""The desk: who is let in, what each event is answered with, and that nobody learns a session from it."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import AccessConfig, VenueConfig
from loadsim.venue.deals import Book
from loadsim.venue.desk import Desk, Rejection
from loadsim.venue.market import Market
from loadsim.venue.pending import PendingBook
from loadsim.venue.stats import Stats
from loadsim.venue.visitor import Visitor
from potrio.secrets import Secret

UNIX = 1_790_000_000.0
NOW_MS = 1_790_007_200_000
MARKET = Market(7)
LIVE = (
    r"""a:4:{s:10:"session_id";s:32:"0123456789abcdef0123456789abcdef";s:10:"ip_address";s:9:"127.0.0.1";}"""
    "31666d2d31666d2d31666d2d31666d2d"
)


def desk_of(**access: Any) -> Desk:
    """A desk with an access list."""
    config = VenueConfig(access=AccessConfig(**access))
    ids = count(1)
    return Desk(
        config, MARKET, Book(config.trading), PendingBook(), Stats(),
        new_id=lambda: f"id-{next(ids)}", save=lambda: None,
    )  # fmt: skip


def login(desk: Desk, **fields: Any) -> Visitor | Rejection:
    """Try to log in."""
    return desk.authenticate(json.dumps({"session": "s", "isDemo": 1, "uid": 5} | fields).encode())


def visitor(**changes: Any) -> Visitor:
    """Somebody who is in."""
    return Visitor(
        **({"key": AccountKey(5, True), "fast": True, "is_guest": False, "streams_max": 4} | changes)
    )


def asked(desk: Desk, who: Visitor, event: str, value: Any = ...) -> list[tuple[str, Any]]:
    """Ask; return what is said."""
    payload = b"" if value is ... else json.dumps(value).encode()
    return [(said.event, json.loads(said.payload)) for said in desk.handle(who, event, payload, NOW_MS, UNIX)]


def test_any_well_formed_session_is_let_in() -> None:
    desk = desk_of()
    who = login(desk, isFastHistory=True)
    assert isinstance(who, Visitor)
    assert (who.key, who.fast, who.is_guest) == (AccountKey(5, True), True, False)
    live = login(desk, session=LIVE, isDemo=0, uid="5")
    assert isinstance(live, Visitor)
    assert (live.key, live.fast) == (AccountKey(5, False), False)


@pytest.mark.parametrize(
    "fields",
    [
        {"session": ""},
        {"session": None},
        {"session": 7},
        {"isDemo": 2},
        {"uid": None},
        {"uid": -1},
        {"uid": "x"},
        {"uid": 2**63},
    ],
)
def test_what_is_no_login_is_not_authorized(fields: dict[str, Any]) -> None:
    assert login(desk_of(), **fields) is Rejection.NOT_AUTHORIZED
    assert desk_of().authenticate(b"[]") is Rejection.NOT_AUTHORIZED


def test_lists_decide_where_there_are_some() -> None:
    listed = desk_of(sessions=(Secret("s"),), rejected_sessions=(Secret("bad"),))
    assert isinstance(login(listed), Visitor)
    assert login(listed, session="other") is Rejection.NOT_AUTHORIZED
    assert login(desk_of(rejected_sessions=(Secret("s"),))) is Rejection.NOT_AUTHORIZED


def test_a_session_escaped_twice_gets_a_bare_41() -> None:
    assert login(desk_of(), session=LIVE.replace('"', '\\"')) is Rejection.BARE_41


def test_guests_have_an_account_of_their_token_and_no_balance_on_connect() -> None:
    desk = desk_of()
    one = desk.authenticate(b'{"token":"EXAMPLEtok","balance":50000,"isFastHistory":true}')
    again = desk.authenticate(b'{"token":"EXAMPLEtok","balance":50000}')
    other = desk.authenticate(b'{"token":"anothertok"}')
    assert isinstance(one, Visitor)
    assert isinstance(again, Visitor)
    assert isinstance(other, Visitor)
    assert one.is_guest
    assert one.key == again.key != other.key
    _, said = desk.welcome(one)
    assert "successupdateBalance" not in [reply.event for reply in said]
    assert asked(desk, one, "td/refill")[0][0] == "successupdateBalance"


def test_the_welcome() -> None:
    accepted, said = desk_of().welcome(visitor())
    assert list(json.loads(accepted)) == ["id", "serverName"]
    assert [reply.event for reply in said] == [
        "successupdateBalance", "updateOpenedDeals", "updateClosedDeals", "updateCharts", "successupdatePending",
    ]  # fmt: skip
    charts = json.loads(said[3].payload)
    assert isinstance(json.loads(charts[0]["settings"]), dict), "a JSON string inside JSON"


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        ("indicator/load", [("successindicator/load", [])]),
        ("favorite/load", [("successfavorite/load", {"list": [], "favorites": []})]),
        ("price-alert/load", [("successprice-alert/load", [])]),
        ("updateOpenedDeals", [("updateOpenedDeals", [])]),
        ("getBalance", [("successupdateBalance", {"isDemo": 1, "balance": 50_000, "uid": 5})]),
        ("updateBalance", [("successupdateBalance", {"isDemo": 1, "balance": 50_000, "uid": 5})]),
        ("copyOrder", [("failcopyOrder", {"error": "UNSUPPORTED"})]),
        ("ps", []),
        ("ping-server", []),
        ("no-such-event", []),
        ("loadHistoryPeriodFast", []),
    ],
)
def test_simple_answers(event: str, answer: list[tuple[str, Any]]) -> None:
    assert asked(desk_of(), visitor(), event) == answer


def test_assets_load() -> None:
    ((name, rows),) = asked(desk_of(), visitor(), "assets/load")
    assert (name, len(rows)) == ("updateAssets", len(MARKET.assets))


def test_change_symbol_streams_and_subfor_does_too() -> None:
    desk, who = desk_of(), visitor()
    ((name, _),) = asked(desk, who, "changeSymbol", {"asset": "EURUSD_otc", "period": 60})
    assert name == "updateHistoryNewFast"
    for event, symbol in (("subfor", "#AAPL_otc"), ("subscribeSymbol", "GBPUSD_otc"), ("subfor", "NOPE")):
        assert asked(desk, who, event, symbol) == []
    assert who.streams == ("EURUSD_otc", "#AAPL_otc", "GBPUSD_otc")
    asked(desk, who, "unsubfor", "#AAPL_otc")
    asked(desk, who, "unSubscribeSymbol", "GBPUSD_otc")
    assert who.streams == ("EURUSD_otc",)
    assert asked(desk, who, "changeSymbol", {"asset": "NOPE", "period": 60}) == []
    assert asked(desk, who, "changeSymbol", 7) == []
    assert who.streams == ("EURUSD_otc",)


def test_names_of_history_depend_on_the_session() -> None:
    load = {"asset": "EURUSD_otc", "index": 1, "time": UNIX, "offset": 600, "period": 60}
    for fast, suffix in ((True, "Fast"), (False, "")):
        who = visitor(fast=fast)
        ((name, answer),) = asked(desk_of(), who, "loadHistoryPeriod", load)
        assert name == "loadHistoryPeriod" + suffix
        assert answer["data"][-1]["time"] > UNIX + 7000, "the lenient reading of time"
        ((name, _),) = asked(desk_of(), who, "changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        assert name == "updateHistoryNew" + suffix
    assert asked(desk_of(), visitor(), "loadHistoryPeriod", {"asset": 1}) == []


def test_uid_of_decides_nothing() -> None:
    desk = desk_of()
    assert desk.uid_of(b'{"session":"s","uid":"12"}') == 12
    assert desk.uid_of(b"{") is None
    assert desk._book.accounts == {}
