"""The router of an additional session: ticks and gaps, nothing of the account; it ends when nobody reads."""

from __future__ import annotations

from operator import attrgetter

import pytest
import trio

from potrio.actors.account import AccountState
from potrio.actors.keys import CONNECTION, HISTORY, MONITOR, ORDER_BOOK, ROUTER
from potrio.actors.link import Batch, LinkLost, LinkUp, Transmit
from potrio.actors.phases import LinkPhase
from potrio.actors.raw import RawTap
from potrio.actors.router import Subscribe, Unsubscribe
from potrio.actors.stream import Gap, Stream
from potrio.actors.stream_router import SessionState, stream_router
from potrio.errors import AuthError, NotConnected
from potrio.limits import SESSION_IDLE
from potrio.protocol.events import EventReceived
from potrio.protocol.matchers import ANYTHING
from potrio.protocol.messages.base import Unknown
from potrio.protocol.messages.market import ChangeSymbol
from potrio.secrets import Secret
from potrio.supervision.mailbox_spec import bounded
from potrio.supervision.spec import child

from .conftest import ASSET, EPOCH, crash, recording, running, settle


class Desk:
    """A session without a connection, beside the neighbours of the first one."""

    def __init__(self) -> None:
        self.session, self.account = SessionState(2), AccountState()
        self.own: list = []
        self.others: list = []

    def children(self):
        neighbours = [recording(key, self.others) for key in (ORDER_BOOK, HISTORY, MONITOR)]
        routed = child(
            stream_router,
            self.session,
            self.account,
            id=ROUTER.name,
            mailbox=bounded(256),
            restart="transient",
        )
        return [recording(CONNECTION.name, self.own), *neighbours, routed]

    async def tell(self, *messages) -> None:
        for message in messages:
            self.sup.ref(ROUTER.name).tell(message)
        await settle()

    async def up(self) -> None:
        self.session.link.begin("ws://venue")
        self.session.link.enter(LinkPhase.READY, trio.current_time())
        self.session.link.ups += 1
        await self.tell(LinkUp(self.session.link.epoch, trio.current_time()))

    async def lost(self) -> None:
        self.session.link.enter(LinkPhase.RECONNECTING, trio.current_time())
        await self.tell(LinkLost(self.session.link.epoch, "reset", trio.current_time()))

    async def event(self, name: str, payload: str) -> None:
        body, now = payload.encode(), trio.current_time()
        event = EventReceived(name=name, payload=body, args=(body,))
        await self.tell(Batch(self.session.link.epoch, [event], now, EPOCH + now))

    async def tick(self, at: float) -> None:
        await self.event("updateStream", f'[["{ASSET}",{EPOCH + 7200 + at},1.1]]')

    async def read(self) -> Stream:
        stream: Stream = Stream(key=attrgetter("asset"))
        await self.sup.ref(ROUTER.name).ask(Subscribe(stream, (ASSET,)))
        return stream

    def asked(self) -> list[str]:
        messages = [m.message for m in self.own if isinstance(m, Transmit)]
        return [m.asset for m in messages if isinstance(m, ChangeSymbol)]


@pytest.fixture
async def desk(autojump_clock):
    desk = Desk()
    async with running(*desk.children()) as desk.sup:
        await desk.up()
        yield desk


async def test_ticks_come_through_and_gaps_are_told(autojump_clock, desk):
    stream = await desk.read()
    await desk.tick(1.0)
    await desk.lost()
    await desk.up()
    assert desk.asked() == [ASSET, ASSET]
    await trio.sleep(6)
    await desk.tick(7.0)
    tick, gap, after = await stream.receive_batch()
    assert isinstance(gap, Gap)
    assert (gap.since, after.timestamp) == (tick.timestamp, EPOCH + 7.0)


async def test_what_is_told_of_the_account_is_left_alone(autojump_clock, desk):
    await desk.event("successupdateBalance", '{"isDemo":1,"balance":7}')
    await desk.event("updateOpenedDeals", "[]")
    await desk.event("updateClosedDeals", "[]")
    assert desk.account.balance is None
    desk.account.stale = False
    await desk.lost()
    assert not desk.account.stale, "that is the first session's to say"
    assert desk.others == []


async def test_it_ends_when_nobody_has_read_for_a_while(autojump_clock, desk):
    stream, router = await desk.read(), desk.sup.ref(ROUTER.name)
    await trio.sleep(10 * SESSION_IDLE)
    assert not desk.session.ended
    stream.close()  # without a word
    await trio.sleep(4 * SESSION_IDLE)
    assert desk.session.ended
    assert not router.alive


async def test_a_holder_keeps_it_without_a_reader(autojump_clock, desk):
    desk.session.leased = True
    await trio.sleep(20 * SESSION_IDLE)
    assert not desk.session.ended
    desk.session.leased = False
    await trio.sleep(4 * SESSION_IDLE)
    assert desk.session.ended


async def test_raw_events_are_shown_and_kept_ones_sent_on_the_link_they_are_for(autojump_clock, desk):
    raw, message = desk.session.router.raw, Unknown("hello")
    asker, reader = (RawTap(ANYTHING, Stream(), until_lost=until_lost) for until_lost in (True, False))
    for tap in (asker, reader):
        raw.open(tap, Secret("none of this"))
    raw.keep(message)
    await desk.event("welcome", "{}")
    assert [(await tap.stream.receive()).name for tap in (asker, reader)] == ["welcome"] * 2
    await desk.lost()
    with pytest.raises(NotConnected):
        await asker.stream.receive()
    await desk.up()
    assert [told for told in desk.own if isinstance(told, Transmit)] == [Transmit(message, epoch=2)]
    assert raw.epoch == 2


async def test_a_reader_in_time_keeps_it(autojump_clock, desk):
    stream = await desk.read()
    for _ in range(20):
        await desk.tell(Unsubscribe(stream))
        await trio.sleep(0.9 * SESSION_IDLE)
        stream = await desk.read()
        await trio.sleep(0.9 * SESSION_IDLE)
    assert not desk.session.ended


async def test_one_that_is_not_up_is_not_idle(autojump_clock, desk):
    await desk.lost()
    await trio.sleep(20 * SESSION_IDLE)
    assert not desk.session.ended


async def test_a_crash_loses_no_reader(autojump_clock, desk):
    stream = await desk.read()
    await crash(desk.sup, ROUTER.name)
    await desk.tick(1.0)
    assert len(await stream.receive_batch()) == 1


async def test_the_end_of_the_session_is_told_to_its_readers(autojump_clock):
    desk = Desk()
    async with running(*desk.children()) as desk.sup:
        await desk.up()
        stream = await desk.read()
        desk.session.link.fatal = AuthError("expired")
        await desk.sup.stop_child(ROUTER.name)
        with pytest.raises(AuthError):
            await stream.receive()
        assert desk.session.ended
