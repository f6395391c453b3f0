"""The monitor: the story is kept, bounded, and the statistics are the counters of the actors and nothing else."""

from __future__ import annotations

import logging
from decimal import Decimal

import msgspec
import pytest

from potrio.actors.account import AccountState
from potrio.actors.book import Book
from potrio.actors.evidence import Anomaly, OrderIntent
from potrio.actors.history import HistoryState
from potrio.actors.keys import MONITOR
from potrio.actors.link import NAMES_MAX, LinkLost, LinkPhase, LinkState, LinkUp
from potrio.actors.monitor import (
    FACTS_KEPT,
    MONITOR_MAILBOX,
    MonitorState,
    Statistics,
    Throughput,
    describe,
    monitor,
    statistics,
)
from potrio.actors.router import RouterState
from potrio.limits import MAILBOX_CAPACITY
from potrio.protocol.messages.trading import Side
from potrio.supervision.events import ChildCrashed, RestartScheduled
from potrio.supervision.exit import Failure
from potrio.supervision.spec import child
from potrio.testing.network import MemoryNetwork

from .conftest import EPOCH, crash, running, settle


def crashed(path: str) -> ChildCrashed:
    fields = dict.fromkeys(ChildCrashed.__struct_fields__)
    return ChildCrashed(**{**fields, "path": path, "failure": Failure.of(ValueError("x"))})


def restarted(path: str) -> RestartScheduled:
    return RestartScheduled(**{**dict.fromkeys(RestartScheduled.__struct_fields__), "path": path})


async def test_the_story_is_told_in_order_and_survives_a_crash(autojump_clock, caplog):
    state = MonitorState()
    with caplog.at_level(logging.INFO, logger="potrio.client"):
        async with running(child(monitor, state, MemoryNetwork(epoch=EPOCH), id=MONITOR)) as sup:
            for message in (
                LinkUp(1, 0.0),
                LinkLost(1, "reset", 1.0),
                crashed("root/x"),
                restarted("root/x"),
            ):
                sup.ref(MONITOR).tell(message)
            await settle()
            await crash(sup, MONITOR)
            sup.ref(MONITOR).tell(LinkUp(2, 2.0))
            await settle()
    assert [fact.kind for fact in state.facts] == ["up", "lost", "crash", "restart", "up"]
    assert state.facts[0].wall == EPOCH
    assert "reset" in state.facts[1].text
    assert dict(state.crashes) == {"root/x": 1}
    assert [record.levelno for record in caplog.records][:3] == [logging.INFO, logging.INFO, logging.WARNING]


async def test_story_and_crash_counters_are_bounded(autojump_clock):
    state = MonitorState()
    async with running(child(monitor, state, MemoryNetwork(epoch=EPOCH), id=MONITOR)) as sup:
        for number in range(FACTS_KEPT + 500):
            await sup.ref(MONITOR).send(crashed(f"root/users/{number}"))
        await settle()
    assert len(state.facts) == FACTS_KEPT
    assert state.facts[-1].text.startswith(f"root/users/{FACTS_KEPT + 499} ")
    assert len(state.crashes) == NAMES_MAX + 1
    assert state.crashes.total() == FACTS_KEPT + 500


async def test_news_of_the_link_are_told_once_each_whatever_else_floods_it(autojump_clock):
    state, seen = MonitorState(), []
    state.observe = seen.append
    async with running(
        child(monitor, state, MemoryNetwork(epoch=EPOCH), id=MONITOR, mailbox=MONITOR_MAILBOX)
    ) as sup:
        ref = sup.ref(MONITOR)
        for epoch in range(1, 4):
            ref.tell(LinkUp(epoch, 0.0))
            ref.tell(LinkLost(epoch, "reset", 1.0))
            for _ in range(2 * MAILBOX_CAPACITY):
                ref.tell(Anomaly("r1", "it contradicts itself", None))
        await settle()
    links = [message for message in seen if isinstance(message, LinkUp | LinkLost)]
    assert [(type(message), message.epoch) for message in links] == [
        (kind, epoch) for epoch in range(1, 4) for kind in (LinkUp, LinkLost)
    ]
    assert len(seen) < 6 + 2 * MAILBOX_CAPACITY, "the flood itself is bounded"


def test_what_it_does_not_know_is_an_error():
    with pytest.raises(AssertionError, match="int"):
        describe(7)


def test_statistics_add_up_and_are_json():
    link, router, book, account, state = LinkState(), RouterState(), Book(), AccountState(), MonitorState()
    history = HistoryState()
    history.rows_bad = 3
    assert account.views.get("payout", 0.0) is None
    for _ in range(2):
        counters = link.begin("ws://venue")
        counters.messages_sent += 3
        counters.dropped += 1
        counters.bytes_received += 100
        counters.events_received["updateStream"] += 5
    link.enter(LinkPhase.READY, 0.0)
    router.counters.unknown["odd"] += 1
    router.feeds.delivered = 7
    intent = OrderIntent(
        request_id="r",
        asset="A",
        side=Side.CALL,
        amount=Decimal(1),
        duration_s=60,
        is_demo=True,
        created_wall=0.0,
        expires_at=1.0,
    )
    book.add(intent)
    facts = statistics(link, router, book, account, history, state, 4.0)
    assert (facts.phase, facts.connections, facts.messages_sent, facts.requests_dropped) == ("ready", 2, 6, 2)
    assert facts.events_received == {"updateStream": 10}
    assert (facts.events_unknown, facts.ticks_delivered, facts.orders) == ({"odd": 1}, 7, {"new": 1})
    assert (facts.history_rows_bad, facts.caches["assets"].misses, facts.caches["candles"].misses) == (
        3,
        1,
        0,
    )
    assert facts.clock_offset_s is None, "not measured is not zero"
    assert (facts.age_s, facts.uptime_s, facts.uptime_now_s, facts.since_drop_s) == (4.0, 4.0, 4.0, None)
    assert msgspec.json.decode(msgspec.json.encode(facts))["phase"] == "ready"


def test_rates_are_those_between_two_looks():
    link, book, state = LinkState(), Book(), MonitorState()

    def look(now: float) -> Statistics:
        return statistics(link, RouterState(), book, AccountState(), HistoryState(), state, now)

    assert look(5.0).rates() == Throughput(0.0, 0.0, 0.0, 0.0), (
        "before the first attempt there is no time to divide by"
    )
    counters = link.begin("ws://venue")
    link.enter(LinkPhase.CONNECTING, 10.0)
    counters.messages_received, counters.bytes_received = 40, 1000
    first = look(30.0)
    counters.messages_received, counters.messages_sent = 100, 5

    assert first.rates() == Throughput(0.0, 2.0, 0.0, 50.0)
    assert look(40.0).rates(first) == Throughput(0.5, 6.0, 0.0, 0.0)
    assert first.rates(first) == Throughput(0.0, 0.0, 0.0, 0.0)
