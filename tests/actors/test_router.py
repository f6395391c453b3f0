"""The router: every message reaches whom it concerns, nothing is lost but the event in hand, streams are restored."""

from __future__ import annotations

from operator import attrgetter

import pytest
import trio

from potrio.actors.account import AccountState
from potrio.actors.keys import CONNECTION, HISTORY, MONITOR, ORDER_BOOK, ROUTER
from potrio.actors.link import NAMES_MAX, Batch, LinkLost, LinkPhase, LinkState, LinkUp, Resync, Transmit
from potrio.actors.router import BRIDGE_TIMEOUT, RouterState, Subscribe, Unsubscribe, router
from potrio.actors.stream import Gap, Stream
from potrio.errors import RequestError
from potrio.limits import DECODE_ERRORS_WINDOW
from potrio.protocol.events import EventReceived
from potrio.protocol.messages.market import ChangeSymbol, UnsubscribeSymbol
from potrio.supervision.child_spec import ChildSpec
from potrio.supervision.mailbox_spec import bounded
from potrio.supervision.spec import child

from .conftest import ASSET, EPOCH, OTHER, crash, recording, running, settle
from .test_asset_changes import asset, table

ZONE = 7200


class Desk:
    def __init__(self) -> None:
        self.state, self.account, self.link = RouterState(), AccountState(), LinkState()
        self.told: dict[str, list] = {key.name: [] for key in (CONNECTION, ORDER_BOOK, HISTORY, MONITOR)}

    def children(self) -> list[ChildSpec]:
        neighbours = [
            recording(key, self.told[key.name]) for key in (CONNECTION, ORDER_BOOK, HISTORY, MONITOR)
        ]
        mailbox = bounded(256)
        return [*neighbours, child(router, self.state, self.account, self.link, id=ROUTER, mailbox=mailbox)]

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

    async def events(self, *events) -> None:
        now = trio.current_time()
        await self.tell(Batch(self.link.epoch, [event(*pair) for pair in events], now, EPOCH + now))

    async def tick(self, second: float, asset: str = ASSET) -> None:
        await self.events(("updateStream", f'[["{asset}",{EPOCH + ZONE + second},1.1]]'))

    async def read(self, *assets: str) -> Stream:
        stream: Stream = Stream(gap=lambda n: Gap("overflow", dropped=n), key=attrgetter("asset"))
        await self.sup.ref(ROUTER).ask(Subscribe(stream, assets))
        await settle()
        return stream

    def sent(self) -> list:
        return [message.message for message in self.told["connection"] if isinstance(message, Transmit)]


def event(name: str, payload: str) -> EventReceived:
    return EventReceived(name=name, payload=payload.encode(), args=(payload.encode(),))


@pytest.fixture
async def desk(autojump_clock):
    desk = Desk()
    async with running(*desk.children()) as desk.sup:
        await desk.up()
        yield desk


def seconds(items) -> list:
    return [item.timestamp - EPOCH if not isinstance(item, Gap) else item for item in items]


# --- who gets what ---------------------------------------------------------------------------------------------------


async def test_the_link_is_told_to_everybody_who_lives_by_it(autojump_clock, desk):
    await desk.lost()
    assert [type(message) for message in desk.told["order_book"]] == [LinkUp, LinkLost]
    assert [type(message) for message in desk.told["monitor"]] == [LinkUp, LinkLost]
    assert [type(message) for message in desk.told["history"]] == [LinkLost]
    assert desk.account.stale


@pytest.mark.parametrize(
    ("name", "payload", "to"),
    [
        ("failopenOrder", '{"error":"busy","asset":"EURUSD_otc","amount":1}', "order_book"),
        ("successcloseOrder", '{"profit":0,"deals":[]}', "order_book"),
        ("updateOpenedDeals", "[]", "order_book"),
        ("updateClosedDeals", "[]", "order_book"),
        ("loadHistoryPeriod", '{"asset":"EURUSD_otc","index":1,"period":60,"data":[]}', "history"),
        ("loadHistoryPeriodFast", '{"asset":"EURUSD_otc","index":1,"period":60,"data":[]}', "history"),
    ],
)
async def test_each_message_goes_to_whom_it_concerns(autojump_clock, desk, name, payload, to):
    before = len(desk.told[to])
    await desk.events((name, payload))
    assert len(desk.told[to]) == before + 1
    assert not desk.state.counters.undecodable


async def test_balance_and_ticks_are_folded_in(autojump_clock, desk):
    stream = await desk.read(ASSET)
    await desk.events(("successupdateBalance", '{"isDemo":1,"balance":12.34}'))
    await desk.tick(5)
    assert str(desk.account.balance.balance) == "12.34"
    assert seconds(await stream.receive_batch()) == [5], "UTC, not the venue's clock"


async def test_unknown_events_are_counted_and_bounded(autojump_clock, desk):
    """P5: a venue that invents names does not fill our memory."""
    for start in range(0, NAMES_MAX * 2, 100):
        await desk.events(*[(f"odd{n}", "{}") for n in range(start, start + 100)])
    assert len(desk.state.counters.unknown) == NAMES_MAX + 1
    assert desk.state.counters.unknown.total() == NAMES_MAX * 2


BAD = ("successupdateBalance", '{"balance":"none"}')


def resyncs(desk) -> list:
    return [message for message in desk.told["connection"] if isinstance(message, Resync)]


async def test_more_than_three_undecodable_payloads_in_a_minute_end_the_link(autojump_clock, desk):
    await desk.events(BAD, BAD, BAD)
    assert resyncs(desk) == []
    await desk.events(BAD)
    (resync,) = resyncs(desk)
    assert resync.epoch == 1
    assert desk.state.counters.undecodable == {"successupdateBalance": 4}


async def test_a_few_over_a_long_time_or_over_several_links_are_forgiven(autojump_clock, desk):
    for _ in range(8):
        await desk.events(BAD)
        await trio.sleep(DECODE_ERRORS_WINDOW / 3 + 1)
    assert resyncs(desk) == []
    await trio.sleep(DECODE_ERRORS_WINDOW)
    await desk.events(BAD, BAD)
    await desk.lost()
    await desk.up()
    await desk.events(BAD, BAD)
    assert resyncs(desk) == []


async def test_the_last_ones_count_however_many_came_slowly_before(autojump_clock, desk):
    for _ in range(5):
        await desk.events(BAD)
        await trio.sleep(DECODE_ERRORS_WINDOW + 1)
    await desk.events(BAD, BAD, BAD)
    assert resyncs(desk) == []
    await desk.events(BAD)
    assert len(resyncs(desk)) == 1


# --- subscriptions ---------------------------------------------------------------------------------------------------


async def test_one_subscription_at_the_venue_for_all_readers(autojump_clock, desk):
    one, two = await desk.read(ASSET), await desk.read(ASSET, OTHER)
    assert [message.asset for message in desk.sent()] == [ASSET, OTHER]
    await desk.tell(Unsubscribe(one))
    assert len(desk.sent()) == 2
    await desk.tell(Unsubscribe(two))
    assert desk.sent()[2:] == [UnsubscribeSymbol(ASSET), UnsubscribeSymbol(OTHER)]


async def test_the_fifth_asset_is_refused_not_silently_swapped(autojump_clock, desk):
    stream = await desk.read("A", "B", "C", "D")
    with pytest.raises(RequestError, match="4 assets"):
        await desk.read("E")
    await desk.tell(Unsubscribe(stream))
    await desk.read("E")


async def test_a_reader_whose_leaving_could_not_be_told_does_not_hold_a_place(autojump_clock, desk):
    stream = await desk.read("A", "B", "C", "D")
    stream.close()
    await desk.read("E")
    assert desk.state.feeds.assets == ("E",)


async def test_a_new_link_gets_all_subscriptions_and_missing_ticks_come_first(autojump_clock, desk):
    stream = await desk.read(ASSET)
    await desk.tick(1)
    await desk.lost()
    await desk.up()
    assert [type(message) for message in desk.sent()] == [ChangeSymbol] * 2
    await desk.tick(4)
    at = EPOCH + ZONE
    recent = f'{{"asset":"{ASSET}","period":60,"history":[[{at + 1},1.1],[{at + 3},1.1],[{at + 2},1.1]],"candles":[]}}'
    await desk.events(("updateHistoryNew", recent))
    assert seconds(await stream.receive_batch()) == [1, 2, 3, 4]


async def test_a_bridge_that_does_not_come_is_a_gap_also_after_a_crash(autojump_clock, desk):
    for crashing in (False, True):
        stream = await desk.read(ASSET)
        await desk.tick(trio.current_time())
        await stream.receive_batch()
        await desk.lost()
        await desk.up()
        await desk.tick(trio.current_time() + 1)
        if crashing:
            await crash(desk.sup, ROUTER)
        await trio.sleep(BRIDGE_TIMEOUT + 0.1)
        gap, tick = await stream.receive_batch()
        assert (gap.reason, gap.asset, gap.until) == ("reconnect", ASSET, tick.timestamp)


async def test_a_bridge_has_all_its_time_whatever_came_of_the_one_before_on_the_same_link(
    autojump_clock, desk
):
    stream = await desk.read(ASSET)
    await desk.tick(1)
    await desk.lost()
    await desk.up()
    at = EPOCH + ZONE
    first = f'{{"asset":"{ASSET}","period":60,"history":[[{at + 1},1.1],[{at + 2},1.1]],"candles":[]}}'
    await desk.events(("updateHistoryNew", first))
    assert seconds(await stream.receive_batch()) == [1, 2]
    await trio.sleep(BRIDGE_TIMEOUT - 1)
    desk.state.feeds.restart(ASSET)  # it fell silent, and is asked for again
    await desk.tick(5)
    await trio.sleep(2)
    second = f'{{"asset":"{ASSET}","period":60,"history":[[{at + 2},1.1],[{at + 3},1.1]],"candles":[]}}'
    await desk.events(("updateHistoryNew", second))
    assert seconds(await stream.receive_batch()) == [3, 5], "and no gap"


# --- crashes ---------------------------------------------------------------------------------------------------------


class Poison(RuntimeError):
    pass


async def test_a_crash_loses_the_event_in_hand_and_no_other(autojump_clock, desk, monkeypatch):
    stream = await desk.read(ASSET)
    publish = desk.state.feeds.publish

    def poisoned(ticks, latest) -> None:
        if ticks[0].timestamp - EPOCH == 2:
            raise Poison
        publish(ticks, latest)

    monkeypatch.setattr(desk.state.feeds, "publish", poisoned)
    ticks = [("updateStream", f'[["{ASSET}",{EPOCH + ZONE + n},1.1]]') for n in range(1, 5)]
    await desk.events(*ticks)
    await desk.tick(5)
    await trio.sleep(1)
    assert seconds(await stream.receive_batch()) == [1, 3, 4, 5]
    assert desk.state.in_hand is None


@pytest.mark.parametrize("which", ["lost", "start_bridging"])
async def test_a_crash_over_news_of_the_link_does_not_lose_the_news(autojump_clock, desk, monkeypatch, which):
    stream = await desk.read(ASSET)
    await desk.tick(1)
    real, calls = getattr(desk.state.feeds, which), []

    def crash_once():
        calls.append(1)
        if len(calls) == 1:
            raise Poison
        return real()

    monkeypatch.setattr(desk.state.feeds, which, crash_once)
    await desk.lost()
    await desk.up()
    await trio.sleep(1)
    assert [type(message) for message in desk.sent()] == [ChangeSymbol] * 2, "asked for again on the new link"
    await desk.tick(9)
    await trio.sleep(BRIDGE_TIMEOUT)
    assert [isinstance(item, Gap) for item in await stream.receive_batch()] == [False, True, False]


async def test_news_that_always_crashes_is_given_up_after_one_more_try(autojump_clock, desk, monkeypatch):
    calls = []

    def always() -> None:
        calls.append(1)
        raise Poison

    monkeypatch.setattr(desk.state.feeds, "lost", always)
    await desk.lost()
    await trio.sleep(1)
    assert len(calls) == 2
    assert desk.sup.ref(ROUTER).alive


async def test_the_probe_of_the_clock_gives_way_to_readers(autojump_clock, desk):
    desk.account.set_assets(table(asset("PROBE_otc")))
    await desk.lost()
    await desk.up()
    assert desk.sent()[-1] == ChangeSymbol(asset="PROBE_otc", period=60)
    await desk.read("a", "b", "c")
    assert UnsubscribeSymbol("PROBE_otc") not in desk.sent()
    await desk.read("a", "b", "c", "d")
    assert desk.sent()[-2:] == [UnsubscribeSymbol("PROBE_otc"), ChangeSymbol(asset="d", period=60)]
