"""Callbacks of a client: every name fires, once for each fact, with its type; and no handler hurts anybody else."""

from __future__ import annotations

import logging
import typing
from itertools import pairwise

import msgspec
import pytest
import trio

from loadsim.venue import FaultKind
from potrio import ConfigError, Gap, Side, Tick
from potrio.actors.callback_facts import TOPICS
from potrio.actors.callbacks import ErrorReport, SlowHandler
from potrio.actors.keys import ROUTER
from potrio.actors.link import LinkLost, LinkUp
from potrio.actors.order_handle import OrderHandle
from potrio.logs import ROOT

from .conftest import ASSET, crash, hurt, until


@pytest.fixture(params=["framed"])
def transport(request):
    return request.param


def matches(value: object, annotation: object) -> bool:
    """Is it of the type that the table names?"""
    kinds = typing.get_args(annotation) or (annotation,)
    return isinstance(value, kinds)


async def test_every_name_fires_with_its_type(autojump_clock, connect, venue):
    seen: dict[str, list] = {name: [] for name in TOPICS}
    async with connect() as client:
        for name in TOPICS:
            client.on(name, seen[name].append, asset=ASSET if name == "tick" else None)

        async def slow(tick):
            await trio.sleep(3)
            raise ValueError("from a handler")

        client.on("tick", slow, asset=ASSET, capacity=1)
        order = await client.place(ASSET, Side.CALL, 1, duration=5)
        await order.result()
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.statistics().reconnects == 1)
        await until(lambda: seen["resumed"])
        hurt(venue, FaultKind.REFUSE_CONNECTION, count=2)
        hurt(venue, FaultKind.DROP)
        await until(lambda: len(seen["resumed"]) == 2)
        table = dict(client.assets)
        table[ASSET] = msgspec.structs.replace(table[ASSET], payout=table[ASSET].payout - 1)
        client._shared.account.set_assets(table)
        await until(lambda: seen["assets_changed"])
        assert [name for name, payloads in seen.items() if not payloads] == []
    for name, payloads in seen.items():
        assert all(matches(payload, TOPICS[name][0]) for payload in payloads), name


async def test_one_event_for_each_fact(autojump_clock, connect, venue):
    seen: list[tuple[str, object]] = []
    async with connect() as client:
        for name in (
            "connected",
            "authenticated",
            "lost",
            "resumed",
            "order_opened",
            "order_closed",
            "order_changed",
        ):
            client.on(name, lambda payload, name=name: seen.append((name, payload)))
        order = await client.place(ASSET, Side.PUT, 1, duration=5)
        await order.result()
        hurt(venue, FaultKind.DROP)
        await until(lambda: any(name == "resumed" for name, _ in seen))
        await trio.sleep(30)
    counted = {name: sum(each == name for each, _ in seen) for name, _ in seen}
    changes = [payload for name, payload in seen if name == "order_changed"]
    assert counted.pop("order_changed") == len(changes)
    assert counted == {
        **{"connected": 2, "authenticated": 2, "lost": 1, "resumed": 1},
        **{"order_opened": 1, "order_closed": 1},
    }
    assert [changes[0].before, changes[-1].after] == ["new", "settled"]
    assert all(one.after == two.before for one, two in pairwise(changes))
    (lost,) = [payload for name, payload in seen if name == "lost"]
    ups = [payload for name, payload in seen if name == "connected"]
    assert isinstance(lost, LinkLost)
    assert all(isinstance(up, LinkUp) for up in ups)
    assert ups[0].epoch == lost.epoch < ups[1].epoch
    closed = next(payload for name, payload in seen if name == "order_closed")
    assert isinstance(closed, OrderHandle)
    assert closed is order


@pytest.mark.parametrize("level", [None, "CRITICAL"])
async def test_it_does_not_depend_on_logging(autojump_clock, connect, level):
    closed = []
    ROOT.disabled = level is not None
    try:
        async with connect(log_level=level) as client:
            client.on("order_closed", closed.append)
            await client.trade(ASSET, Side.CALL, 1, duration=5)
            await until(lambda: closed)
    finally:
        ROOT.disabled = False
    assert len(closed) == 1


async def test_a_slow_handler_delays_nobody_and_is_named(autojump_clock, connect, caplog):
    caplog.set_level(logging.WARNING, logger="potrio")
    hooked: list[SlowHandler] = []
    told: list[SlowHandler] = []
    ticks = []
    async with connect() as client:

        async def sleeper(tick):
            await trio.sleep(6)

        client.on("slow_handler", told.append)
        lazy = client.on("tick", sleeper, asset=ASSET, capacity=4, on_slow=hooked.append)
        client.on("tick", ticks.append, asset=ASSET)
        before = client.statistics()
        await trio.sleep(60)
        after = client.statistics()
        assert after.reconnects == before.reconnects == 0
        assert after.pings_received == after.pongs_sent
        counted = lazy.statistics()
        assert counted.dropped > 50, "its queue is bounded, and what it lost is counted"
        assert counted.handled + counted.waiting <= 15
        assert len(ticks) > 100, "the other handler had them all"
    assert told[0] == hooked[0]
    assert "sleeper" in hooked[0].handler
    assert (hooked[0].topic, hooked[0].still_running) == ("tick", True)
    assert 1.0 <= hooked[0].seconds < 1.1
    assert any("sleeper" in record.getMessage() and record.seconds >= 1 for record in caplog.records)


async def test_an_error_is_counted_logged_hooked_and_told(autojump_clock, connect, caplog):
    caplog.set_level(logging.ERROR, logger="potrio")
    hooked: list[ErrorReport] = []
    told: list[ErrorReport] = []
    async with connect() as client:

        def broken(tick):
            raise KeyError("no such thing")

        client.on("error", told.append)
        handle = client.on("tick", broken, asset=ASSET, on_error=hooked.append)
        await until(lambda: len(hooked) >= 3)
        assert handle.active
        assert handle.statistics().failed == handle.statistics().handled >= 3
    assert hooked[0] in told
    assert hooked[0].source == "handler"
    assert "broken" in hooked[0].where
    assert hooked[0].text == "KeyError: 'no such thing'"
    assert any("broken" in record.getMessage() for record in caplog.records)


async def test_a_crash_is_told_as_an_error(autojump_clock, connect):
    told: list[ErrorReport] = []
    async with connect() as client:
        client.on("error", told.append)
        crash(client, ROUTER)
        await until(lambda: told)
    assert (told[0].source, told[0].where) == ("crash", "root/link/router")


async def test_handlers_of_error_and_slow_that_fail_make_no_loop(autojump_clock, connect):
    async with connect() as client:

        def broken(payload):
            raise RuntimeError("again")

        bad = client.on("error", broken, on_error=broken)
        client.on("tick", broken, asset=ASSET)
        await until(lambda: bad.statistics().failed >= 3)
        await trio.sleep(5)
        assert bad.statistics().failed < 40, "once for each failed tick, not for itself"


async def test_off_ends_it(autojump_clock, connect):
    seen = []
    async with connect() as client:
        handle = client.on("tick", seen.append, asset=ASSET)
        await until(lambda: seen)
        client.off(handle)
        client.off(handle)
        count = len(seen)
        await trio.sleep(10)
        assert len(seen) == count
        assert not handle.active
        assert client.callbacks() == []


async def test_off_ends_ticks_also_where_they_are_just_being_asked_for(autojump_clock, connect, venue):
    calls: list = []
    async with connect() as client:
        for steps in range(12):
            handle = client.on("tick", calls.append, asset=ASSET)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            client.off(handle)
            seen = len(calls)
            await trio.sleep(5)
            assert len(calls) == seen, f"called after off(), {steps} steps after on()"
            assert not client.callbacks()


async def test_lossless_that_is_not_read_in_time_is_taken_off_and_says_so(autojump_clock, connect):
    told = []
    async with connect() as client:
        client.on("error", told.append)

        async def sleeper(tick):
            await trio.sleep(60)

        handle = client.on("tick", sleeper, asset=ASSET, capacity=2, overflow="lossless")
        await until(lambda: told, within=600)
        assert "StreamOverflow" in told[0].text
        assert not handle.active


async def test_async_handlers_end_with_the_client(autojump_clock, connect):
    ended = []
    async with connect() as client:

        async def forever(payload):
            try:
                await trio.sleep_forever()
            finally:
                ended.append(payload)

        client.on("connected", forever)
        await trio.sleep(1)
    assert len(ended) == 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("order_close", {}, "did you mean 'order_closed'?"),
        ("nonsense", {}, "known are connected"),
        ("tick", {}, "asset: is needed"),
        ("tick", {"asset": "NO_SUCH"}, "NO_SUCH"),
        ("lost", {"asset": ASSET}, "asset: "),
        ("lost", {"slow_after_s": 0}, "slow_after_s: "),
    ],
)
async def test_what_cannot_be_is_refused(autojump_clock, connect, name, options, words):
    async with connect() as client:
        with pytest.raises(ConfigError) as caught:
            client.on(name, print, **options)
        assert words in str(caught.value)
        with pytest.raises(ConfigError, match="handler"):
            client.on("lost", "print")


def test_the_table_names_what_ticks_are():
    assert TOPICS["tick"][0] == Tick | Gap


async def test_what_goes_over_the_wire_is_shown_without_the_token(autojump_clock, connect, venue):
    """Each frame once, both ways, also those of a login; a handler that raises is told of and hurts nothing."""
    sent, received, failures = [], [], []

    def raises(frame) -> None:
        raise ValueError("from a handler")

    async with connect() as client:
        before = client.statistics()
        handles = [
            client.on("sent", sent.append, capacity=10_000),
            client.on("received", received.append, capacity=10_000),
            client.on("sent", raises, on_error=failures.append),
        ]
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.epoch == 2 and client.phase.value == "ready")
        await trio.sleep(60)
        after = client.statistics()
        await until(lambda: sum(handle.statistics().waiting for handle in handles) == 0)
        for handle in handles:
            client.off(handle)
        await client.candles(ASSET, "1m", 10)
        assert client._shared.link.frame_readers == [], "nobody listens: it costs nothing any more"
        shown = len(sent), len(received)
        await trio.sleep(60)
    assert shown == (len(sent), len(received))
    assert shown == (
        after.messages_sent - before.messages_sent,
        after.messages_received - before.messages_received,
    )
    assert sum(frame.message == '42["ps"]' for frame in sent) >= 3
    assert '42["auth","***"]' in [frame.message for frame in sent if frame.epoch == 2]
    assert "a0test0session0of0potrio0x" not in repr((sent, received))
    assert len(failures) == len(sent)


async def test_each_attempt_and_each_that_failed(autojump_clock, connect, venue):
    told = []
    async with connect() as client:
        for name in ("attempt", "attempt_failed", "lost", "connected"):
            client.on(name, lambda payload, name=name: told.append((name, payload.epoch)))
        hurt(venue, FaultKind.REFUSE_CONNECTION, count=2)
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.phase.value == "ready" and client.epoch > 1)
        await trio.sleep(1)
    assert sorted(told, key=lambda each: each[1]) == [
        *[("connected", 1), ("lost", 1)],
        *[("attempt", 2), ("attempt_failed", 2)],
        *[("attempt", 3), ("attempt_failed", 3)],
        *[("attempt", 4), ("connected", 4)],
    ]
