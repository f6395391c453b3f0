"""The books of one client: every action gets exactly one outcome, money adds up to the cent."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.metrics.delta import Delta
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.series import Series, key_of
from loadsim.plan.schedule import PlannedAction
from loadsim.swarm.ledger import Ledger, event_of
from potrio.protocol.messages.base import Unknown
from potrio.protocol.messages.trading import OpenOrder

ASSET = "EURUSD_otc"


class Books:
    """A ledger and what it has recorded."""

    def __init__(self) -> None:
        self.recorder = Recorder("r", 0)
        ids = itertools.count(1)
        self.ledger = Ledger(
            7, "light", self.recorder, new_id=lambda: f"{next(ids):06d}-id", stamp=lambda: 1_700_007_200.0
        )
        self.ended = 0

    def ask(self, do: str, at_s: float = 1.0, *, deadline_s: float = 5.0, late_s: float = 0.0, **params: Any):
        action = PlannedAction(0, at_s, None, do, deadline_s, params)
        return self.ledger.ask(action, intended_s=at_s, started_s=at_s + late_s, done=self._done)

    def order(self, at_s: float = 1.0, **options: Any) -> str:
        message = self.ask("open_order", at_s, amount="10", duration=5, **options)
        assert isinstance(message, OpenOrder)
        return str(message.request_id)

    def _done(self) -> None:
        self.ended += 1

    def hear(self, name: str, value: object, now_s: float = 2.0) -> None:
        self.ledger.event(name, json.dumps(value).encode(), now_s)

    def accept(self, request_id: str, deal_id: str = "d1", now_s: float = 1.5) -> None:
        self.hear("successopenOrder", deal(deal_id) | {"requestId": request_id}, now_s)

    def taken(self) -> Delta:
        return self.recorder.take_delta(0.0)


def deal(id: str = "d1", profit: float = 9.2, **more: Any) -> dict[str, Any]:
    return {
        "id": id, "openTime": "2025-01-01 00:00:00", "closeTime": "2025-01-01 00:00:05",
        "openTimestamp": 1_700_000_000, "closeTimestamp": 1_700_000_005, "uid": 7, "isDemo": 1, "amount": 10,
        "profit": profit, "percentProfit": 92, "percentLoss": 100, "openPrice": 1.1, "command": 0,
        "asset": ASSET, "openMs": 0, "optionType": 100, "currency": "USD",
    } | more  # fmt: skip


def closed(id: str = "d1", profit: float = 9.2) -> dict[str, Any]:
    return deal(id, profit, closePrice=1.2, closeMs=0)


def series_of(delta: Delta, event: str) -> Series:
    wanted = key_of("rtt", {"event": event, "lane": "light"})
    return next(Series.decode(each) for each in delta.series if key_of(each.metric, each.tags) == wanted)


def test_an_order_is_followed_to_its_settlement_and_the_money_adds_up() -> None:
    books = Books()
    books.hear("successupdateBalance", {"isDemo": 1, "balance": 50_000, "uid": 7})
    books.accept(books.order())
    assert not books.ledger.is_quiet
    assert books.ledger.certain_cents is None
    books.hear("successcloseOrder", {"profit": 9.2, "deals": [closed()]}, 6.7)

    assert books.ledger.is_quiet
    assert books.ledger.certain_cents == 5_000_920
    delta = books.taken()
    assert delta.counters == {
        "orders": 1, "orders.accepted": 1, "settled": 1, "settled.won": 1, "earned_cents": 920,
    }  # fmt: skip
    settle = next(Series.decode(each) for each in delta.series if each.metric == "settle")
    assert settle.histograms["service"].max == pytest.approx(200_000, rel=0.01)


def test_both_clocks_are_recorded() -> None:
    books = Books()
    books.accept(books.order(1.0, late_s=0.25), now_s=1.5)

    rtt = series_of(books.taken(), "openOrder")
    assert rtt.histograms["service"].max == pytest.approx(250_000, rel=0.01)
    assert rtt.histograms["response"].max == pytest.approx(500_000, rel=0.01)
    assert rtt.outcomes["ok"] == 1


def test_a_refusal_ends_the_oldest_order_of_that_asset() -> None:
    books = Books()
    books.order(1.0, asset="GBPUSD_otc")
    books.order(1.0)
    books.hear("failopenOrder", {"error": "MaxDemoTrades", "amount": 20, "asset": ASSET})

    delta = books.taken()
    assert [pending.action.params.get("asset") for pending in books.ledger.pending] == ["GBPUSD_otc"]
    assert series_of(delta, "openOrder").outcomes == {"rejected:MaxDemoTrades": 1}
    assert delta.counters["orders.rejected"] == 1


def test_what_takes_too_long_is_an_outcome_with_its_whole_wait() -> None:
    books = Books()
    books.order(1.0, deadline_s=2.0)
    assert books.ledger.next_deadline() == 3.0
    books.ledger.expire(2.9)
    assert books.ended == 0
    books.ledger.expire(3.0)

    delta = books.taken()
    assert books.ended == 1
    assert series_of(delta, "openOrder").outcomes == {"timeout": 1}
    assert delta.counters["orders.unknown"] == 1
    assert books.ledger.doubtful


def test_an_acceptance_after_the_deadline_is_told_apart() -> None:
    books = Books()
    request_id = books.order()
    books.ledger.expire(10.0)
    books.accept(request_id, now_s=11.0)
    books.hear("successcloseOrder", {"profit": 0, "deals": [closed(profit=-10)]}, 16.0)

    counters = books.taken().counters
    assert counters["orders.accepted_late"] == 1
    assert "orders.accepted" not in counters
    assert counters["settled.lost"] == 1
    assert books.ledger.certain_cents is None


def test_the_loss_of_the_connection_ends_all_that_was_under_way() -> None:
    books = Books()
    books.order()
    books.ask("candles")
    books.ledger.lost(3.0)

    delta = books.taken()
    assert books.ended == 2
    assert series_of(delta, "openOrder").outcomes == {"lost": 1}
    assert series_of(delta, "loadHistoryPeriod").outcomes == {"lost": 1}
    assert delta.counters["orders.unknown"] == 1


def test_what_is_told_twice_counts_once() -> None:
    books = Books()
    request_id = books.order()
    for _ in range(2):
        books.accept(request_id)
    for _ in range(2):
        books.hear("successcloseOrder", {"profit": 9.2, "deals": [closed()]}, 7.0)
        books.hear("updateClosedDeals", [closed()], 7.0)

    counters = books.taken().counters
    assert (counters["orders.accepted"], counters["settled"]) == (1, 1)
    assert "orders.accepted_late" not in counters


def test_deals_of_somebody_else_make_the_balance_uncertain() -> None:
    books = Books()
    books.hear("successupdateBalance", {"isDemo": 1, "balance": 50_000, "uid": 7})
    books.hear("updateOpenedDeals", [deal("of another run")])
    books.accept(books.order())
    books.hear("successcloseOrder", {"profit": 9.2, "deals": [closed()]}, 7.0)

    assert books.ledger.certain_cents is None


def test_questions_are_answered_by_what_belongs_to_them() -> None:
    books = Books()
    candles, second = books.ask("candles"), books.ask("candles")
    books.ask("subscribe", asset=ASSET)
    books.ask("balance")
    books.hear("loadHistoryPeriod", history(second.index))
    assert books.ended == 1
    books.hear("loadHistoryPeriod", history(second.index))
    assert books.ended == 1
    books.hear("loadHistoryPeriod", history(candles.index))
    books.hear("updateHistoryNew", {"asset": ASSET, "period": 60, "history": [], "candles": []})
    books.hear("successupdateBalance", {"isDemo": 1, "balance": 50_000, "uid": 7})

    assert books.ended == 4
    assert books.ledger.streams == (ASSET,)


def history(index: int) -> dict[str, Any]:
    return {"asset": ASSET, "index": index, "data": [], "period": 60}


def test_what_nothing_answers_is_done_when_it_is_written() -> None:
    books = Books()
    books.ask("subscribe", asset=ASSET)
    ping = books.ask("ping")
    assert isinstance(ping, Unknown)
    assert event_of(ping) == ("ps", None)
    name, _ = event_of(books.ask("unsubscribe", asset=ASSET))

    assert name == "unSubscribeSymbol"
    assert books.ended == 2
    assert books.ledger.streams == ()
    assert books.ask("idle") is None


def test_what_cannot_be_read_is_an_error_by_name() -> None:
    books = Books()
    books.hear("successopenOrder", {"id": 3})

    (error,) = books.taken().errors
    assert (error.kind, error.where) == ("protocol", "successopenOrder")


@given(st.lists(st.sampled_from(["order", "accept", "refuse", "settle", "expire", "lost"]), max_size=40))
def test_every_order_has_one_outcome(steps: list[str]) -> None:
    books = Books()
    books.hear("successupdateBalance", {"isDemo": 1, "balance": 50_000, "uid": 7})
    asked: list[str] = []
    now_s = 1.0
    for number, step in enumerate(steps):
        now_s += 1.0
        match step:
            case "order":
                asked.append(books.order(now_s))
            case "accept" if asked:
                books.accept(asked[-1], f"d{number}", now_s)
            case "refuse":
                books.hear("failopenOrder", {"error": "X", "amount": 10, "asset": ASSET}, now_s)
            case "settle" if books.ledger.orders:
                books.hear(
                    "successcloseOrder",
                    {"profit": 0, "deals": [closed(next(iter(books.ledger.orders)), -10)]},
                    now_s,
                )
            case "expire":
                books.ledger.expire(now_s)
            case "lost":
                books.ledger.lost(now_s)
    books.ledger.lost(now_s + 10)

    counters = books.taken().counters
    assert books.ended == len(asked)
    ends = ("orders.accepted", "orders.rejected", "orders.unknown")
    assert counters.get("orders", 0) == sum(counters.get(name, 0) for name in ends) == len(asked)
    if (cents := books.ledger.certain_cents) is not None:
        assert Decimal(cents) / 100 == 50_000 - 10 * counters.get("settled", 0)
