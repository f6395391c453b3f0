"""The oracle: equal where nothing was lost, within what is declared where something was, and never beyond."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from loadsim.metrics.merged import Merged
from loadsim.swarm.oracle import check_books

BEFORE: dict[str, Any] = {
    "events_received": {},
    "orders": {},
    "deals": {"opened": 0, "settled": 0},
    "accounts": [],
    "ticks_sent": 5,
}


def account(uid: int, balance: float, **more: int) -> dict[str, Any]:
    return {"uid": uid, "isDemo": 1, "balance": balance, "open": 0, "won": 0, "lost": 0, "draw": 0} | more


def after() -> dict[str, Any]:
    return {
        "events_received": {"openOrder": 3},
        "orders": {"a": 1, "b": 1, "c": 1},
        "deals": {"opened": 3, "settled": 3},
        "accounts": [account(1, 50_009.20, won=1), account(2, 49_980.0, lost=2)],
        "ticks_sent": 105,
    }


def swarm() -> Merged:
    merged = Merged()
    merged.counters.update(
        {
            "orders": 3, "orders.accepted": 3, "settled": 3, "settled.won": 1, "settled.lost": 2, "ticks": 100,
        }
    )  # fmt: skip
    merged.accounts.update({"1": 5_000_920, "2": 4_998_000})
    return merged


def wrong(merged: Merged, stats: dict[str, Any], **more: bool) -> set[str]:
    return {row.what for row in check_books(merged, BEFORE, stats, **more) if not row.ok}


def test_equal_books_agree() -> None:
    assert wrong(swarm(), after()) == set()


@pytest.mark.parametrize(
    ("change", "row"),
    [
        (lambda venue: venue["events_received"].update(openOrder=2), "orders sent, heard"),
        (lambda venue: venue["events_received"].update(openOrder=4), "orders sent, heard"),
        (lambda venue: venue["orders"].update(a=2), "orders heard twice"),
        (lambda venue: venue["deals"].update(opened=4), "orders accepted"),
        (lambda venue: venue["deals"].update(settled=2), "deals settled"),
        (lambda venue: venue["accounts"][0].update(lost=1, won=0), "won, lost, draw"),
        (lambda venue: venue["accounts"][1].update(balance=49_980.01), "balances to the cent"),
        (lambda venue: venue["accounts"].pop(), "balances to the cent"),
        (lambda venue: venue.update(ticks_sent=106), "ticks sent, delivered"),
        (lambda venue: venue.update(ticks_sent=104), "ticks sent, delivered"),
    ],
)
def test_each_disagreement_is_found(change, row: str) -> None:
    stats = after()
    change(stats)

    assert row in wrong(swarm(), stats)


def test_what_is_declared_as_unknown_may_differ_by_so_much() -> None:
    merged, stats = swarm(), after()
    merged.counters.update({"orders": 2, "orders.unknown": 2, "ticks_lost": 1})
    stats["events_received"]["openOrder"] = 4  # of five sent, one was never heard
    stats["deals"] = {"opened": 4, "settled": 4}
    stats["accounts"].append(account(3, 50_009.2, won=1))
    stats["ticks_sent"] = 107
    assert wrong(merged, stats) == set()

    worse = copy.deepcopy(stats)
    worse["events_received"]["openOrder"] = 2
    worse["deals"] = {"opened": 6, "settled": 6}
    worse["ticks_sent"] = 104
    found = wrong(merged, worse)
    assert {"orders sent, heard", "orders accepted", "deals settled", "ticks sent, delivered"} <= found


def test_an_answer_that_came_late_is_known_again() -> None:
    merged, stats = swarm(), after()
    merged.counters.update({"orders.unknown": 1, "orders.accepted": -1, "orders.accepted_late": 1})
    assert wrong(merged, stats) == set()
    stats["deals"]["opened"] = 4
    assert "orders accepted" in wrong(merged, stats)


def test_faults_that_lose_ticks_excuse_ticks_only() -> None:
    stats = after()
    stats["ticks_sent"] = 90
    stats["orders"]["a"] = 2

    assert wrong(swarm(), stats, lossy=True) == {"orders heard twice"}


def test_deals_from_before_the_run_are_not_ours() -> None:
    merged, stats, before = swarm(), after(), copy.deepcopy(BEFORE)
    before["accounts"].append(account(9, 100.0, open=1))
    stats["accounts"].append(account(9, 109.0, won=1))
    stats["deals"]["settled"] = 4

    assert all(row.ok for row in check_books(merged, before, stats))


def test_a_swarm_that_has_lost_reports_judges_only_what_it_knows() -> None:
    stats = after()
    stats["events_received"]["openOrder"] = 9
    stats["deals"] = {"opened": 8, "settled": 7}
    stats["ticks_sent"] = 500
    assert wrong(swarm(), stats) >= {"orders sent, heard", "deals settled", "ticks sent, delivered"}
    assert wrong(swarm(), stats, whole=False) == set()


@pytest.mark.parametrize(
    ("change", "row"),
    [
        (lambda venue: venue["events_received"].update(openOrder=2), "orders answered, heard"),
        (lambda venue: venue["orders"].update(a=2), "orders heard twice"),
        (lambda venue: venue["deals"].update(opened=2), "orders accepted"),
        (lambda venue: venue["deals"].update(settled=2), "deals settled"),
        (lambda venue: venue["accounts"][1].update(balance=49_980.01), "balances to the cent"),
        (lambda venue: venue.update(ticks_sent=104), "ticks sent, delivered"),
    ],
)
def test_less_than_is_known_is_a_disagreement_also_where_reports_are_lost(change, row: str) -> None:
    stats = after()
    change(stats)

    assert wrong(swarm(), stats, whole=False) == {row}


def test_an_order_that_was_under_way_when_its_shard_was_lost_may_never_have_been_heard() -> None:
    merged = swarm()
    merged.counters["orders"] = 5

    assert wrong(merged, after(), whole=False) == set()
