"""The mux lane against the real venue over loopback: the same books as the light lane."""

from __future__ import annotations

import trio

from loadsim.venue.faults import Fault, FaultKind

USERS = '[[load]]\nclient = "a"\nlane = "mux"\nmodel = "closed"\nusers = [{{at = "0s", n = {n}}}]\n'
TRADE = (
    '[[act]]\nclient = "a"\ndo = "open_order"\nevery = "400ms"\nafter = "200ms"\ntimes = 2\n'
    'params = {amount = "10", duration = 5, asset = "EURUSD_otc"}\n'
)
WATCH = '[[act]]\nclient = "a"\ndo = "subscribe"\nafter = "100ms"\nparams = {asset = "EURUSD_otc"}\n'
BALANCE = '[[act]]\nclient = "a"\ndo = "balance"\nevery = "100ms"\ndeadline = "400ms"\n'


async def test_books_of_swarm_and_venue_agree(play_real) -> None:
    merged, stats, link = await play_real(USERS.format(n=50) + TRADE + WATCH, duration="5s")

    counters = merged.counters
    assert counters["ready.mux"] == 50
    assert stats["events_received"]["openOrder"] == counters["orders"] == 100
    assert stats["deals"]["opened"] == counters["orders.accepted"] == 100
    assert stats["deals"]["settled"] == counters["settled"] == 100
    assert stats["ticks_sent"] == counters["ticks"] > 50
    balances = {str(each["uid"]): round(each["balance"] * 100) for each in stats["accounts"]}
    assert len(merged.accounts) == 50
    assert merged.accounts == {uid: balances[uid] for uid in merged.accounts}
    assert link.series("rtt", event="openOrder", lane="mux").outcomes == {"ok": 100}
    assert (counters["planned"], counters["started"], counters["omitted"]) == (150, 150, 0)
    assert counters["bytes_in"] > counters["bytes_out"] > 0
    assert link.series("generator.lag").histograms["value"].n > 50


async def test_drops_by_the_venue_and_on_the_link(play_real, real_venue) -> None:
    async def hurt() -> None:
        """When somebody has come back from what hit the link."""
        while real_venue.stats()["connections"]["opened"] <= 30:  # noqa: ASYNC110  # a counter
            await trio.sleep(0.02)
        real_venue.exchange.hurt_at_once([Fault(kind=FaultKind.DROP, count=10)])

    faults = (
        '[[fault]]\nat = "2s"\nkind = "drop"\nscope = "link"\nshare = 0.5\n'
        '[[fault]]\nat = "3500ms"\nkind = "half_open"\nscope = "link"\nfor = "3s"\n'
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hurt)
        merged, stats, link = await play_real(USERS.format(n=30) + WATCH + BALANCE + faults, duration="7s")

    counters = merged.counters
    assert 10 + 5 <= counters["disconnects"] <= 10 + 25
    assert 5 <= counters["restarts"] <= counters["disconnects"], (
        "on a slow machine not all are back at the end"
    )
    assert link.series("recover", fault="drop").histograms["value"].n >= 5
    assert link.series("recover").histograms["value"].n == counters["restarts"]
    assert link.series("rtt", event="getBalance").outcomes["timeout"] >= 20
    assert stats["ticks_sent"] >= counters["ticks"]
    assert 30 + counters["restarts"] <= stats["connections"]["opened"] <= 30 + counters["disconnects"]


async def test_asked_to_stop_it_ends_at_once_and_reports(play_real_until) -> None:
    merged, link = await play_real_until(USERS.format(n=10) + WATCH, clients=10, duration="20m")

    assert link.deltas[-1].last
    assert merged.counters["ready"] == 10
