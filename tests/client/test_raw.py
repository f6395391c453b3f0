"""Raw access over the wire: what is read is what came, what is sent arrives once, and what must not be sent is not."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio

from loadsim.venue import FaultKind
from potrio import ClientClosed, ConfigError, LocalProtocolError, NotConnected, RateLimited, RateLimits, Rates
from potrio.actor_errors import MailboxFull
from potrio.actors.keys import CONNECTION
from potrio.actors.limiter import Rate
from potrio.client.raw import CALLS
from potrio.limits import EVENT_NAME_CHARS_MAX, MAILBOX_CAPACITY, RAW_PAYLOAD_BYTES_MAX
from potrio.protocol.matchers import ANYTHING, event, fits, json_at

from .conftest import ASSET, SSID, hurt, until

TOKEN = "a0test0session0of0potrio0x"
BALANCE = event("successupdateBalance")


async def test_a_question_gets_its_answer(autojump_clock, connect, venue):
    async with connect() as client:
        with trio.fail_after(5):
            answer = await client.request_raw("getBalance", None, BALANCE & json_at("isDemo", 1))
        assert Decimal(str(answer.json()["balance"])) == client.balance
        assert venue.stats()["events_received"]["getBalance"] == 1


async def test_a_tap_reads_along_and_takes_nothing_away(autojump_clock, connect):
    async with connect() as client, client.raw(event("updateStream")) as raw, client.ticks(ASSET) as ticks:
        ours = [await ticks.receive() for _ in range(5)]
        theirs = [(await raw.receive()).json() for _ in range(5)]
        assert [row[0][0] for row in theirs] == [tick.asset for tick in ours]
        assert {row[0][2] for row in theirs} & {tick.price for tick in ours}


async def test_a_tap_goes_on_over_reconnects_and_ends_with_its_block(autojump_clock, connect, venue):
    async with connect() as client:
        async with client.raw(event("successupdateBalance")) as stream:
            hurt(venue, FaultKind.DROP)
            assert (await stream.receive()).name == "successupdateBalance", "of the login after the drop"
        assert client._shared.router.raw.taps == []
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive()


async def test_the_token_is_not_shown_even_if_the_venue_repeats_it(autojump_clock, connect):
    async with connect() as client, client.raw(ANYTHING) as stream:
        client._shared.router.raw._offer("echo", f'"{TOKEN}"'.encode(), 0.0)
        assert (await client_next(stream, "echo")).payload == b'"***"'


async def client_next(stream, name):
    while (item := await stream.receive()).name != name:
        pass
    return item


async def test_several_in_a_row(autojump_clock, connect):
    async with connect() as client, client.ticks(ASSET):
        with trio.fail_after(60):
            found = await client.wait_raw(*[event("updateStream")] * 3)
            assert [item.name for item in found] == ["updateStream"] * 3
            first, then = await client.wait_raw(event("updateStream"), event("updateStream") & fits(list))
            assert first.at <= then.at


async def test_a_keep_alive_is_sent_at_once_and_on_each_link(autojump_clock, connect, venue):
    def sent() -> int:
        return venue.stats()["events_received"].get("signals/subscribe", 0)

    async with connect() as client:
        async with client.keep_alive("signals/subscribe"):
            await until(lambda: sent() == 1)
            for times in (2, 3):
                reconnects = client.statistics().reconnects
                hurt(venue, FaultKind.DROP)
                await until(lambda count=reconnects: client.statistics().reconnects > count)
                await until(lambda count=times: sent() == count)
        reconnects = client.statistics().reconnects
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.statistics().reconnects > reconnects)
        await trio.sleep(5)
        assert sent() == 3


async def test_a_keep_alive_of_the_moment_in_which_a_link_comes_up_is_sent_once(
    autojump_clock, connect, venue
):
    async with connect() as client:
        router = client.supervisor.ref("link/router")
        await client.reconnect()
        await router.suspend()
        await client.reconnect()
        async with client.keep_alive("signals/subscribe"):
            router.resume()
            await trio.sleep(5)
            assert venue.stats()["events_received"]["signals/subscribe"] == 1


async def test_a_link_that_is_lost_ends_the_wait_for_an_answer(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.DROP, event="getBalance")
        with pytest.raises(NotConnected), trio.fail_after(5):
            await client.request_raw("getBalance", None, event("what never comes"))


async def test_without_a_link_nothing_is_sent(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.RESTART, delay_ms=20_000)
        await until(lambda: client.stale)
        with pytest.raises(NotConnected):
            await client.send_raw("favorite/load")
        assert "favorite/load" not in venue.stats()["events_received"]


async def test_the_end_of_the_client_ends_every_wait(autojump_clock, connect):
    outcomes = []

    async def waits(what) -> None:
        try:
            await what
        except (ClientClosed, NotConnected) as error:
            outcomes.append(type(error))

    async with trio.open_nursery() as nursery:
        async with connect() as client:
            nursery.start_soon(waits, client.wait_raw(event("never")))
            nursery.start_soon(waits, client.request_raw("getBalance", None, event("never")))
            await trio.sleep(1)
        with pytest.raises(ClientClosed):
            await client.send_raw("getBalance")
    assert len(outcomes) == 2
    assert ClientClosed in outcomes


async def test_what_would_hurt_the_session_or_go_behind_the_clients_back_is_refused(
    autojump_clock, connect, venue
):
    async with connect() as client:
        await trio.sleep(1)
        before = {name: times for name, times in venue.stats()["events_received"].items() if name != "ps"}
        for name in CALLS:
            with pytest.raises(LocalProtocolError, match="not sent raw"):
                await client.send_raw(name, {})
            with pytest.raises(LocalProtocolError, match="not sent raw"):
                await client.request_raw(name, {}, ANYTHING)
        await trio.sleep(1)
        after = {name: times for name, times in venue.stats()["events_received"].items() if name != "ps"}
        assert after == before
        assert client._shared.router.raw.taps == []


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("", None),
        ("x" * (EVENT_NAME_CHARS_MAX + 1), None),
        ("a\nb", None),
        (7, None),
        ("x", object()),
        ("x", msgspec.Raw(b"no json]")),
        ("x", "y" * RAW_PAYLOAD_BYTES_MAX),
    ],
)
async def test_what_is_no_event_is_refused(autojump_clock, connect, name, payload):
    async with connect() as client:
        with pytest.raises(LocalProtocolError):
            await client.send_raw(name, payload)
        assert client.phase.value == "ready"


async def test_raw_events_stand_in_the_limiters_queue(autojump_clock, connect, venue):
    limits = RateLimits(Rates(requests=Rate(1.0, 2)), Rates.unlimited())
    async with connect(limits=limits) as client:
        start = trio.current_time()
        for _ in range(4):
            await client.send_raw("favorite/load")
        assert trio.current_time() - start >= 1.9
        with trio.fail_after(0.2), pytest.raises(RateLimited) as refused:
            await client.send_raw("favorite/load")
        assert 0 < refused.value.retry_in_s <= 1.1
        await until(lambda: venue.stats()["events_received"]["favorite/load"] == 4)


async def test_too_much_at_once_is_typed(autojump_clock, connect):
    limits = RateLimits(Rates(requests=Rate(0.001, 1)), Rates.unlimited())
    async with connect(limits=limits) as client:
        connection = client.supervisor.ref(CONNECTION)
        outcomes = []

        async def send() -> None:
            try:
                await client.send_raw("favorite/load")
            except MailboxFull as error:
                outcomes.append(error)

        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.shield = True  # no deadline: they are ready to wait for ever
            for _ in range(MAILBOX_CAPACITY + 100):
                nursery.start_soon(send)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert outcomes
        assert connection.alive


async def test_no_matcher_is_no_tap(autojump_clock, connect):
    async with connect() as client:
        with pytest.raises(ConfigError):
            async with client.raw(lambda event: True):  # type: ignore[arg-type]
                pass
        with pytest.raises(ConfigError):
            await client.wait_raw()
    assert TOKEN in SSID
