"""The light lane against the real venue, in virtual time: what it says is what the venue has seen."""

from __future__ import annotations

import pytest
import trio

from loadsim.venue.faults import Fault, FaultKind

USERS = '[[load]]\nclient = "a"\nlane = "light"\nmodel = "closed"\nusers = [{{at = "0s", n = {n}}}]\n'
TRADE = (
    '[[act]]\nclient = "a"\ndo = "open_order"\nevery = "2s"\nafter = "1s"\n'
    'params = {amount = "10", duration = 5}\n'
)
WATCH = '[[act]]\nclient = "a"\ndo = "subscribe"\nafter = "500ms"\nparams = {asset = "EURUSD_otc"}\n'


def books_agree(counters, stats) -> None:
    assert stats["events_received"].get("openOrder", 0) == counters["orders"]
    assert stats["deals"]["opened"] == counters["orders.accepted"]
    assert stats["deals"]["settled"] == counters["settled"]
    assert stats["ticks_sent"] == counters["ticks"]


async def test_books_of_swarm_and_venue_agree(autojump_clock, play) -> None:
    merged, stats, link = await play(USERS.format(n=8) + TRADE + WATCH, duration="12s")

    counters = merged.counters
    books_agree(counters, stats)
    assert counters["orders"] == 8 * 6 == counters["settled"]
    assert counters["ticks"] > 50
    assert counters["ready.light"] == 8
    assert (counters["planned"], counters["started"], counters["omitted"]) == (8 * 7, 8 * 7, 0)
    assert len(merged.accounts) == 8
    balances = {str(each["uid"]): round(each["balance"] * 100) for each in stats["accounts"]}
    assert merged.accounts == {uid: balances[uid] for uid in merged.accounts}
    assert link.deltas[-1].last
    assert link.series("rtt", event="openOrder").outcomes == {"ok": 48}
    assert link.series("tick_gap", lane="light").histograms["value"].n > 40
    assert link.series("tick_age").histograms["value"].max < 2_000_000
    assert link.series("connect", lane="light").outcomes == {"ok": 8}
    assert stats["violations"] == {}


async def test_every_action_is_answered(autojump_clock, play) -> None:
    acts = "".join(
        f'[[act]]\nclient = "a"\ndo = "{do}"\nevery = "1s"\nafter = "1s"\ntimes = 3\n'
        for do in ("candles", "balance", "ping", "idle", "unsubscribe")
    )
    merged, stats, link = await play(USERS.format(n=2) + WATCH + acts, duration="6s")

    assert merged.counters["started"] == merged.counters["planned"] == 2 * 16
    for event in ("loadHistoryPeriod", "getBalance", "ps", "unSubscribeSymbol", "changeSymbol"):
        assert set(link.series("rtt", event=event).outcomes) == {"ok"}, event
        assert stats["events_received"][event] >= 2, event
    assert merged.errors == {}


async def test_lost_connections_are_declared_and_come_back(autojump_clock, play, venue) -> None:
    async def hurt() -> None:
        await trio.sleep(5.05)
        venue.exchange.hurt_at_once([Fault(kind=FaultKind.DROP, count=None)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hurt)
        merged, stats, link = await play(USERS.format(n=6) + TRADE + WATCH, duration="12s")

    counters = merged.counters
    assert counters["disconnects"] == counters["restarts"] == 6
    assert counters["ticks_lost"] == 6
    assert stats["connections"]["opened"] == 12
    sent, heard = counters["orders"], stats["events_received"]["openOrder"]
    assert heard <= sent <= heard + counters["orders.unknown"]
    assert stats["deals"]["settled"] - counters["settled"] <= counters["orders.unknown"]
    assert link.series("recover", fault="none").histograms["value"].n == 6
    assert ("ConnectionBroken", "connection") in merged.errors


async def test_links_are_cut_and_fall_silent_for_a_share_of_the_clients(autojump_clock, play) -> None:
    faults = (
        '[[fault]]\nat = "3s"\nkind = "drop"\nscope = "link"\nshare = 0.5\n'
        '[[fault]]\nat = "6s"\nkind = "half_open"\nscope = "link"\nfor = "2s"\n'
    )
    ping = '[[act]]\nclient = "a"\ndo = "balance"\nevery = "500ms"\ndeadline = "1s"\n'
    merged, _stats, link = await play(USERS.format(n=20) + WATCH + ping + faults, duration="12s")

    counters = merged.counters
    assert 3 <= counters["disconnects"] <= 17
    assert counters["restarts"] == counters["disconnects"]
    assert link.series("recover", fault="drop").histograms["value"].n == counters["restarts"]
    balance = link.series("rtt", event="getBalance")
    assert balance.outcomes["timeout"] >= 20
    assert link.series("tick_gap").histograms["value"].max >= 1_900_000
    assert counters["ready.light"] == 20


async def test_a_venue_that_is_away_costs_attempts_with_growing_pauses(autojump_clock, play, venue) -> None:
    async def hurt() -> None:
        await trio.sleep(3)
        venue.exchange.hurt_at_once([Fault(kind=FaultKind.RESTART, delay_ms=4000)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hurt)
        merged, _, link = await play(USERS.format(n=4) + WATCH, duration="15s")

    assert merged.counters["restarts"] == 4
    connect = link.series("connect").outcomes
    assert connect["ok"] == 8
    assert 4 * 3 <= sum(connect.values()) - 8 <= 4 * 12
    assert link.series("recover").histograms["value"].min >= 3_900_000


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_lifetime_ends_in_order(autojump_clock, play, shards) -> None:
    load = '[[load]]\nclient = "a"\nlane = "light"\narrivals = [{at = "0s", rate = "1/s"}]\nlifetime = "4s"\n'
    merged, stats, _ = await play(load + TRADE, duration="10s", shards=shards)

    assert stats["connections"]["opened"] == 10
    books_agree(merged.counters, stats)
    assert stats["deals"]["settled"] > 10
    assert stats["connections"]["peak"] < 12


async def test_the_same_seed_plays_the_same_however_it_is_divided(autojump_clock, play) -> None:
    load = '[[load]]\nclient = "a"\nlane = "light"\nprocess = "poisson"\narrivals = [{at = "0s", rate = "2/s"}]\n'
    first, *_ = await play(load + TRADE, shards=1)
    second, *_ = await play(load + TRADE, shards=3)

    for name in ("planned", "started", "orders", "ready"):
        assert first.counters[name] == second.counters[name] > 0


async def test_a_login_that_is_rejected_for_ever_is_given_up(autojump_clock, play, venue) -> None:
    venue.exchange.plan.add((Fault(kind=FaultKind.REJECT_AUTH, count=None),))
    merged, _, link = await play(USERS.format(n=2), duration="300s")

    assert merged.counters["gave_up"] == 2
    assert merged.counters["ready"] == 0
    assert link.series("connect").outcomes == {"auth": 42}
