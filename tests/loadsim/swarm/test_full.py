"""The full lane: real clients against the real venue, in virtual time."""

from __future__ import annotations

import trio

from loadsim.venue.faults import Fault, FaultKind

USERS = '[[load]]\nclient = "a"\nlane = "full"\nmodel = "closed"\nusers = [{{at = "0s", n = {n}}}]\n'
TRADE = (
    '[[act]]\nclient = "a"\ndo = "open_order"\nevery = "3s"\nafter = "2s"\n'
    'params = {amount = "10", duration = 5}\n'
)
WATCH = '[[act]]\nclient = "a"\ndo = "subscribe"\nafter = "1s"\nparams = {asset = "EURUSD_otc"}\n'


async def test_books_of_swarm_and_venue_agree(autojump_clock, play) -> None:
    merged, stats, link = await play(USERS.format(n=3) + TRADE + WATCH, duration="12s")

    counters = merged.counters
    assert counters["ready.full"] == 3
    assert stats["events_received"]["openOrder"] == counters["orders"] == 12
    assert stats["deals"]["opened"] == counters["orders.accepted"] == 12
    assert stats["deals"]["settled"] == counters["settled"] == 12
    assert stats["ticks_sent"] == counters["ticks"] > 10
    balances = {str(each["uid"]): round(each["balance"] * 100) for each in stats["accounts"]}
    assert len(merged.accounts) == 3
    assert merged.accounts == {uid: balances[uid] for uid in merged.accounts}
    assert link.series("rtt", event="openOrder", lane="full").outcomes == {"ok": 12}
    assert link.series("settle", lane="full").histograms["service"].n == 12
    assert link.series("tick_gap", lane="full").histograms["value"].n > 10
    assert link.series("tick_age", lane="full").histograms["value"].max < 3_000_000


async def test_every_action_works(autojump_clock, play) -> None:
    acts = "".join(
        f'[[act]]\nclient = "a"\ndo = "{do}"\nevery = "2s"\nafter = "3s"\ntimes = 2\n'
        for do in ("candles", "balance", "idle", "unsubscribe")
    )
    merged, _stats, link = await play(USERS.format(n=1) + WATCH + acts, duration="15s")

    assert merged.counters["started"] == merged.counters["planned"] == 9
    for event in ("loadHistoryPeriod", "getBalance", "unSubscribeSymbol", "changeSymbol"):
        assert set(link.series("rtt", event=event).outcomes) == {"ok"}, event
    assert merged.errors == {}


async def test_a_lost_link_is_declared_and_recovery_measured(autojump_clock, play, venue) -> None:
    async def hurt() -> None:
        await trio.sleep(6)
        venue.exchange.hurt_at_once([Fault(kind=FaultKind.DROP, count=None)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hurt)
        merged, stats, link = await play(USERS.format(n=3) + WATCH + TRADE, duration="15s")

    counters = merged.counters
    assert counters["disconnects"] == counters["restarts"] == 3
    assert link.series("recover").histograms["value"].n == 3
    heard, sent = stats["events_received"]["openOrder"], counters["orders"]
    assert heard <= sent <= heard + counters["orders.unknown"]


async def test_a_cut_link_is_the_clients_own(autojump_clock, play) -> None:
    faults = '[[fault]]\nat = "4s"\nkind = "drop"\nscope = "link"\n'
    merged, _, link = await play(USERS.format(n=2) + WATCH + faults, duration="10s")

    assert merged.counters["restarts"] == 2
    assert link.series("recover", fault="drop").histograms["value"].n == 2


async def test_a_refused_order_is_an_outcome(autojump_clock, play, venue) -> None:
    venue.exchange.plan.add((Fault(kind=FaultKind.REFUSE, count=1, error="NO"),))
    merged, _stats, link = await play(USERS.format(n=1) + TRADE, duration="6s")

    assert link.series("rtt", event="openOrder").outcomes == {"ok": 1, "rejected:NO": 1}
    assert merged.counters["orders.rejected"] == 1
