"""The router's guard: a silent stream is asked for again, then costs the link; an outage ends when all is restored."""

from __future__ import annotations

import pytest
import trio

from potrio.actors.account import AccountState
from potrio.actors.keys import CONNECTION, HISTORY, MONITOR, ORDER_BOOK, ROUTER
from potrio.actors.link import Batch, LinkLost, LinkState, LinkUp, Resync, StreamsStale, Transmit
from potrio.actors.outages import ConnectionLost, ConnectionResumed
from potrio.actors.phases import LinkPhase
from potrio.actors.router import BRIDGE_TIMEOUT, RouterState, Subscribe, Unsubscribe, router
from potrio.actors.stream import Gap, Stream
from potrio.protocol.events import EventReceived
from potrio.protocol.messages.market import ChangeSymbol
from potrio.supervision.mailbox_spec import bounded
from potrio.supervision.spec import child

from .conftest import ASSET, EPOCH, OTHER, crash, recording, running, settle


class Row:
    """All that the router asks of an asset, and no clock is measured by it."""

    is_otc = False

    def __init__(self, symbol: str, is_active: bool) -> None:
        self.symbol = symbol
        self.is_active = is_active


class Desk:
    """A real router between recorders."""

    def __init__(self) -> None:
        self.state, self.account, self.link = RouterState(stale_after=5.0), AccountState(), LinkState()
        self.account._assets = {ASSET: Row(ASSET, True), OTHER: Row(OTHER, False)}
        self.told: list = []

    def children(self):
        neighbours = [recording(key, []) for key in (ORDER_BOOK, HISTORY, MONITOR)]
        guarded = child(router, self.state, self.account, self.link, id=ROUTER, mailbox=bounded(256))
        return [recording(CONNECTION, self.told, self.answer), *neighbours, guarded]

    def answer(self, ctx, message) -> None:
        """What the connection does about it."""
        if isinstance(message, StreamsStale):
            self.link.enter(LinkPhase.DEGRADED if message.assets else LinkPhase.READY, trio.current_time())

    async def tell(self, *messages) -> None:
        for message in messages:
            self.sup.ref(ROUTER).tell(message)
        await settle()

    async def up(self) -> None:
        self.link.begin("ws://venue")
        self.link.enter(LinkPhase.READY, trio.current_time())
        await self.tell(LinkUp(self.link.epoch, trio.current_time()))

    async def lost(self) -> None:
        self.link.enter(LinkPhase.RECONNECTING, trio.current_time())
        await self.tell(LinkLost(self.link.epoch, "reset", trio.current_time()))

    async def event(self, name: str, payload: str) -> None:
        body = payload.encode()
        now = trio.current_time()
        received = EventReceived(name=name, payload=body, args=(body,))
        await self.tell(Batch(self.link.epoch, [received], now, EPOCH + now))

    async def tick(self, asset: str = ASSET) -> None:
        await self.event("updateStream", f'[["{asset}",{EPOCH + 7200 + trio.current_time()},1.1]]')

    async def read(self, *assets: str) -> Stream:
        stream: Stream = Stream(capacity=100_000)
        await self.sup.ref(ROUTER).ask(Subscribe(stream, assets))
        return stream

    def asked(self) -> list[str]:
        messages = [m.message for m in self.told if isinstance(m, Transmit)]
        return [m.asset for m in messages if isinstance(m, ChangeSymbol)]

    def said(self, kind) -> list:
        return [message for message in self.told if isinstance(message, kind)]


@pytest.fixture
async def desk(autojump_clock):
    desk = Desk()
    async with running(*desk.children()) as desk.sup:
        await desk.up()
        yield desk


async def tick_for(desk: Desk, seconds: int) -> None:
    for _ in range(seconds * 2):
        await desk.tick()
        await trio.sleep(0.5)


async def test_a_silent_stream_is_asked_for_again_and_then_the_link_goes(autojump_clock, desk):
    await desk.read(ASSET)
    await tick_for(desk, 10)
    silent = trio.current_time()
    while not desk.said(StreamsStale):  # noqa: ASYNC110  # a recorder tells nobody what it has heard
        await trio.sleep(0.1)
    assert 4.0 < trio.current_time() - silent < 5 + 2 * desk.state.watch.look_every
    assert desk.said(StreamsStale) == [StreamsStale((ASSET,), 1)]
    assert desk.asked() == [ASSET, ASSET]
    assert desk.link.ready, "a degraded link still sends"
    while not desk.said(Resync):  # noqa: ASYNC110  # as above
        await trio.sleep(0.1)
    assert trio.current_time() - silent < 2 * 5 + 4 * desk.state.watch.look_every
    assert (desk.said(Resync)[0].epoch, ASSET in desk.said(Resync)[0].reason) == (1, True)
    assert desk.asked() == [ASSET, ASSET], "asked for again once"


async def test_a_stream_that_comes_back_makes_the_link_whole_again(autojump_clock, desk):
    await desk.read(ASSET)
    await tick_for(desk, 10)
    await trio.sleep(8)
    assert desk.link.phase is LinkPhase.DEGRADED
    await trio.sleep(1)
    await tick_for(desk, 20)
    assert desk.link.phase is LinkPhase.READY
    assert desk.said(StreamsStale) == [StreamsStale((ASSET,), 1), StreamsStale((), 1)]
    assert desk.said(Resync) == []


async def test_a_closed_market_and_a_stream_nobody_reads_any_more_are_no_silence(autojump_clock, desk):
    await desk.read(OTHER)
    stream = await desk.read(ASSET)
    await tick_for(desk, 10)
    await trio.sleep(8)
    assert desk.link.phase is LinkPhase.DEGRADED
    await desk.tell(Unsubscribe(stream))
    await trio.sleep(600)
    assert desk.link.phase is LinkPhase.READY
    assert desk.said(Resync) == []


async def test_the_watch_survives_a_crash_of_the_router_and_a_new_link(autojump_clock, desk):
    await desk.read(ASSET)
    await tick_for(desk, 5)
    await crash(desk.sup, ROUTER)
    await trio.sleep(8)
    assert desk.link.phase is LinkPhase.DEGRADED
    await desk.lost()
    await trio.sleep(100)
    assert desk.said(Resync) == [], "nobody looks while there is no link"
    await desk.up()
    await trio.sleep(30)
    assert [message.epoch for message in desk.said(Resync)][:1] == [2]


async def test_an_outage_ends_when_the_missing_ticks_have_come(autojump_clock, desk):
    outages = desk.state.outages.stream()
    await desk.read(ASSET)
    await tick_for(desk, 2)
    last = EPOCH + 7200 + trio.current_time() - 0.5
    await desk.lost()
    await desk.lost()
    await trio.sleep(1)
    await desk.up()
    assert outages.statistics().waiting == 1, "back, but not yet whole"
    answer = f'{{"asset":"{ASSET}","period":60,"history":[[{last},1.1],[{last + 1},1.2]]}}'
    await desk.event("updateHistoryNew", answer)
    assert await outages.receive_batch() == [
        ConnectionLost("reset", pytest.approx(2.0)),
        ConnectionResumed((), pytest.approx(3.0)),
    ]


async def test_what_could_not_be_back_filled_is_told_with_the_end_of_the_outage(autojump_clock, desk):
    outages = desk.state.outages.stream()
    stream = await desk.read(ASSET)
    await tick_for(desk, 2)
    await desk.lost()
    await desk.up()
    await trio.sleep(BRIDGE_TIMEOUT + 0.1)
    lost, resumed = await outages.receive_batch()
    (gap,) = resumed.gaps
    assert isinstance(gap, Gap)
    assert gap in await stream.receive_batch()
    assert (gap.reason, gap.asset) == ("reconnect", ASSET)
    assert resumed.at - lost.at == pytest.approx(BRIDGE_TIMEOUT)


async def test_without_subscriptions_the_outage_ends_with_the_link(autojump_clock, desk):
    outages = desk.state.outages.stream()
    await desk.lost()
    await trio.sleep(3)
    await desk.up()
    assert [type(event) for event in await outages.receive_batch()] == [ConnectionLost, ConnectionResumed]


async def test_a_router_that_crashes_in_an_outage_still_tells_its_end_once(autojump_clock, desk):
    outages = desk.state.outages.stream()
    await desk.read(ASSET)
    await tick_for(desk, 2)
    await desk.lost()
    await desk.up()
    await crash(desk.sup, ROUTER)
    await trio.sleep(2 * BRIDGE_TIMEOUT)
    assert [type(event) for event in await outages.receive_batch()] == [ConnectionLost, ConnectionResumed]
