"""Runs of ticks in the router: routed as each of them would be, and a crash loses the tick in hand, not the run."""

from __future__ import annotations

import pytest
import trio

from potrio.actors.account import AccountState
from potrio.actors.feeds import TickStream
from potrio.actors.keys import ROUTER
from potrio.actors.link import Batch, LinkState
from potrio.actors.raw import RawTap
from potrio.actors.router import RouterState, router
from potrio.actors.stream import Stream
from potrio.protocol.events import EventReceived, EventRun
from potrio.secrets import Secret
from potrio.supervision.backoff import Backoff
from potrio.supervision.intensity import Limit
from potrio.supervision.opening import open_supervisor
from potrio.supervision.spec import child, supervisor

ASSET = "EURUSD_otc"
EPOCH = 1_770_000_000.0
ZONE_S = 7200
ARGS = (b'{"_placeholder":true,"num":0}',)


def payload(number: int, asset: str = ASSET) -> bytes:
    return b'[["%s",%.1f,%d]]' % (asset.encode(), EPOCH + ZONE_S + number / 10, number + 1)


def run_of(*payloads: bytes, name: str = "updateStream") -> EventRun:
    return EventRun(name, payloads, b",".join(payloads), ARGS)


def batch_of(*events: EventReceived | EventRun) -> Batch:
    return Batch(0, list(events), 0.0, EPOCH)


class Routed:
    """A router of its own, and what a reader of one asset gets from it."""

    def __init__(self, stream: TickStream) -> None:
        self.state = RouterState()
        self.account = AccountState()
        self.stream = stream

    async def prices(self, *events: EventReceived | EventRun) -> list[float]:
        """Route these in one batch; return the prices that were delivered."""
        tree = supervisor(
            child(router, self.state, self.account, LinkState(), id=ROUTER),
            id="root",
            backoff=Backoff(base=0.05, cap=0.1),
            limit=Limit(100, within=1.0),
        )
        async with open_supervisor(tree) as running:
            self.state.feeds.add(self.stream, [ASSET])
            running.ref(ROUTER).tell(batch_of(*events))
            await trio.sleep(1)
        self.stream.end()
        return [item.price async for item in self.stream]


async def test_a_run_is_delivered_in_order_with_utc_stamps(autojump_clock):
    routed = Routed(Stream())
    prices = await routed.prices(run_of(*map(payload, range(9))))
    assert prices == [number + 1 for number in range(9)]
    assert routed.state.feeds.delivered == 9
    assert routed.account.clock.zone_s == ZONE_S


ODD = {
    "out of order": [payload(3), payload(1), payload(4), payload(5)],
    "of another asset": [payload(1), payload(2, "GBPUSD_otc"), payload(3), payload(4)],
    "not JSON": [payload(1), b"[[", payload(2), payload(3)],
    "flat": [payload(1), payload(2)[1:-1], payload(3), payload(4)],
    "none": [payload(1), b"[]", payload(2), payload(3)],
    "too deep": [payload(1), b"[" * 100 + b"]" * 100, payload(2), payload(3)],
    "two that are whole together": [payload(1), b'[["A"', b"1,2]]", payload(3)],
}


@pytest.mark.parametrize("payloads", ODD.values(), ids=ODD)
async def test_a_run_with_an_odd_one_is_routed_like_each_of_its_events(autojump_clock, payloads):
    at_once, each = Routed(Stream()), Routed(Stream())
    run = run_of(*payloads)
    assert await at_once.prices(run) == await each.prices(*run.events())
    assert at_once.state.counters == each.state.counters
    for name in ("delivered", "unwanted", "out_of_order"):
        assert getattr(at_once.state.feeds, name) == getattr(each.state.feeds, name)


async def test_a_run_of_something_else_is_routed_too(autojump_clock):
    routed = Routed(Stream())
    balances = [b'{"isDemo":1,"balance":%d,"uid":1}' % number for number in range(5)]
    await routed.prices(run_of(*balances, name="successupdateBalance"))
    assert routed.account.balance.balance == 4


class Faulty(Stream):
    """A reader with a bug: it cannot take many at once, nor one certain tick."""

    def extend(self, items):
        raise RuntimeError("a bug")

    def push(self, item):
        if item.price == 3:
            raise RuntimeError("a bug")
        super().push(item)


async def test_a_crash_in_a_run_loses_the_tick_in_hand_and_no_other(autojump_clock):
    routed = Routed(Faulty())
    assert await routed.prices(run_of(*map(payload, range(6)))) == [1, 2, 4, 5, 6]


async def test_a_crash_in_a_run_shows_nothing_twice_to_raw_taps(autojump_clock):
    routed = Routed(Faulty())
    tap = RawTap(lambda event: True, Stream())
    routed.state.raw.open(tap, Secret("a0test0session0of0potrio0xyz"))
    payloads = list(map(payload, range(6)))
    assert await routed.prices(run_of(*payloads)) == [1, 2, 4, 5, 6]
    assert [item.payload for item in await tap.stream.receive_batch()] == payloads
