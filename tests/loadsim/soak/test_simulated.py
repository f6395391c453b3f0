"""The soak in virtual time: short, it holds; and what is broken on purpose it finds."""

from __future__ import annotations

from loadsim.soak.simulated import PROMISES, SoakPlan, run_simulated
from potrio.actors import wire
from potrio.actors.callback_facts import Facts
from potrio.actors.feeds import Feeds
from potrio.actors.link import LinkState


def short(minutes: float, rounds: int, faults_per_hour: float = 360.0) -> SoakPlan:
    return SoakPlan(
        seed=1,
        hours=minutes / 60,
        rounds=rounds,
        hurry=2.0,
        faults_per_hour=faults_per_hour,
        habits=SoakPlan.short_habits(),
    )


def test_twenty_minutes_hold():
    said = []
    part = run_simulated(short(20, rounds=4), say=said.append)
    assert part.held, part.breaches
    figures = part.figures
    assert part.seconds >= 20 * 60
    assert figures["faults"] > 50
    assert figures["orders_heard"] > 20
    assert figures["done"]["outages"] > 20
    assert set(PROMISES) <= set(figures["checks"])
    assert len(said) == figures["rounds"] == 4


def broken(plan: SoakPlan) -> list[str]:
    part = run_simulated(plan)
    assert not part.held
    return [f"{each.promise} {each.text}" for each in part.breaches]


def test_an_entry_that_is_kept_of_each_connection_is_a_leak(monkeypatch):
    begin = LinkState.begin

    def leaky(self, url):
        self.__dict__.setdefault("urls", []).append(url)
        return begin(self, url)

    monkeypatch.setattr(LinkState, "begin", leaky)
    found = broken(short(12, rounds=4, faults_per_hour=720))
    assert all(text.startswith("P5 LinkState.urls grows on and on") for text in found), found


def test_an_event_that_is_counted_twice_is_seen(monkeypatch):
    count, times = wire.count, [0]

    def miscount(counter, name, by=1):
        times[0] += name == "successcloseOrder"
        count(counter, name, 2 if name == "successcloseOrder" and times[0] % 4 == 0 else by)

    monkeypatch.setattr(wire, "count", miscount)
    found = broken(short(6, rounds=1))
    assert all(text.startswith("P10 ") and "tapped" in text for text in found), found


def test_an_end_of_an_order_that_is_not_called_back_is_seen(monkeypatch):
    order, ended = Facts.order, [0]

    def forgetful(self, handle, before, *, had_deal):
        ended[0] += handle.state.ended and not before.ended
        if handle.state.ended and ended[0] % 3 == 0:
            return
        order(self, handle, before, had_deal=had_deal)

    monkeypatch.setattr(Facts, "order", forgetful)
    found = broken(short(6, rounds=1))
    assert all(text.startswith("P2 ") and "called back 0 times" in text for text in found), found


def test_a_tick_that_is_lost_without_a_word_is_seen(monkeypatch):
    publish, times = Feeds.publish, [0]

    def lossy(self, ticks, latest=float("inf")):
        times[0] += 1
        publish(self, ticks[1:] if times[0] % 200 == 0 else ticks, latest)

    monkeypatch.setattr(Feeds, "publish", lossy)
    monkeypatch.setattr(Feeds, "publish_run", lambda *_: False)
    found = broken(short(6, rounds=1))
    assert any("nothing said of the tick" in text for text in found), found
    assert all(text.startswith("P4 ") for text in found), found
