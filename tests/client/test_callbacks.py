"""Callbacks of a client: every name fires, once for each fact, with its type; and no handler hurts anybody else."""

from __future__ import annotations

import logging
import typing
from contextlib import asynccontextmanager
from itertools import pairwise

import msgspec
import pytest
import trio

from loadsim.venue import FaultKind
from potrio import ConfigError, Gap, Side, Tick
from potrio.actors.callback_facts import TOPICS
from potrio.actors.callbacks import ErrorReport, SlowHandler
from potrio.actors.keys import CONNECTION, ROUTER
from potrio.actors.link import LinkLost, LinkUp
from potrio.actors.order_handle import OrderHandle
from potrio.logs import ROOT

from .conftest import ASSET, SSID, crash, hurt, until


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


# --- reading along ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def reading_along(client, **options):
    """Every frame both ways, as (session, epoch, message)."""
    seen: dict[str, list] = {"sent": [], "received": []}
    handles = [client.on(name, seen[name].append, capacity=10_000, **options) for name in seen]
    yield seen
    await until(lambda: sum(handle.statistics().waiting for handle in handles) == 0)
    for handle in handles:
        client.off(handle)


async def test_no_frame_is_missed_or_shown_twice_when_actors_crash(autojump_clock, connect, venue):
    attempts, failed = [], []
    async with connect() as client, client.ticks(ASSET) as stream:
        client.on("attempt", lambda attempt: attempts.append(attempt.epoch))
        client.on("attempt_failed", lambda lost: failed.append(lost.epoch))
        before = client.statistics()
        async with reading_along(client) as seen:
            for number, name in enumerate((CONNECTION, ROUTER, CONNECTION), 1):
                crash(client, name)
                await until(lambda number=number: sum(client.statistics().crashes.values()) == number)
                await client.wait_ready()
                await stream.receive()
            await trio.sleep(5)
            after = client.statistics()
    assert len(seen["sent"]) == after.messages_sent - before.messages_sent
    assert len(seen["received"]) == after.messages_received - before.messages_received
    assert attempts == list(range(2, after.connections + 1))
    assert failed == []


async def test_a_crash_of_what_looks_after_the_handlers_costs_no_frame(autojump_clock, connect, venue):
    async with connect() as client, client.ticks(ASSET):
        before = client.statistics()
        async with reading_along(client) as seen:
            client._shared.callbacks.next_alert = lambda: 1 / 0  # as a bug in it would
            await until(lambda: any("callbacks" in path for path in client.statistics().crashes))
            del client._shared.callbacks.next_alert
            await trio.sleep(10)
            after = client.statistics()
        assert client.phase.value == "ready"
    assert len(seen["received"]) == after.messages_received - before.messages_received > 10


async def test_a_handler_that_stands_still_holds_up_nothing_and_its_queue_is_bounded(
    autojump_clock, connect, venue
):
    slow = []

    async def stands_still(frame) -> None:
        await trio.sleep_forever()

    async with connect() as client, client.ticks(ASSET) as stream:
        still = client.on("received", stands_still, capacity=8, on_slow=slow.append)
        strict = client.on("received", stands_still, capacity=8, overflow="lossless")
        before = client.statistics()
        async with reading_along(client) as seen:
            for _ in range(100):
                assert not isinstance(await stream.receive(), Gap)
            came = client.statistics().messages_received - before.messages_received
        counted = still.statistics()
        assert (counted.waiting, counted.dropped) == (8, came - 8 - 1)
        assert [alarm.still_running for alarm in slow] == [True]
        assert len(seen["received"]) == came
        assert strict.statistics().waiting <= 8
        assert client.statistics().reconnects == 0


async def test_the_frames_of_additional_sessions_are_shown_as_theirs(autojump_clock, connect, venue):
    attempts = []
    async with connect(sessions_max=2) as client:
        assets = [row.symbol for row in client.assets.values() if row.is_otc and row.is_active][:6]
        client.on("attempt", attempts.append)
        before = client.statistics()
        async with reading_along(client) as seen:
            async with client.ticks(*assets) as stream:
                told = set()
                while told < set(assets):
                    told.add((await stream.receive()).asset)
                after = client.statistics()
            frames = [*seen["sent"], *seen["received"]]
    assert {frame.session for frame in frames} == {1, 2}
    logins = [frame for frame in seen["sent"] if '"auth"' in frame.message]
    assert [(frame.session, frame.epoch, frame.message) for frame in logins] == [(2, 1, '42["auth","***"]')]
    assert len(seen["sent"]) >= after.messages_sent - before.messages_sent
    assert attempts == [], "those of the client's own connection are told"


async def test_a_fresh_token_is_not_shown_either(autojump_clock, connect, venue, caplog):
    caplog.set_level(logging.DEBUG)
    fresh, seen = SSID.replace("a0test0session0of0potrio0x", "z9fresh9token9canary9y"), []

    async def ask(rejection) -> str:
        return fresh

    async with connect(fresh_ssid=ask) as client:
        for name in ("sent", "received", "attempt", "attempt_failed", "lost", "error"):
            client.on(name, seen.append, capacity=10_000)
        hurt(venue, FaultKind.REJECT_AUTH, count=1)
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.epoch == 3 and client.phase.value == "ready")
        await client.send_raw("echo", {"said": fresh})
        await until(lambda: "echo" in repr(seen))
    assert repr(seen).count('42["auth","***"]') == 2
    for token in ("test0session0of0potrio0x", "fresh9token9canary"):
        assert token not in repr(seen) + caplog.text
