"""What is promised of the client as a whole and no part of it shows alone; the rows of ``docs/features.md`` name it."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import (
    AuthError,
    ClientClosed,
    Config,
    ConnectRefused,
    LinkPhase,
    NotConnected,
    OrderDenied,
    OrderRejected,
    OrderState,
    OutcomeUnknown,
    RateLimited,
    RateLimits,
    Rates,
    RequestTimeout,
    open_client,
)
from potrio.actors.limiter import Rate
from potrio.logs import potrio_logger
from potrio.protocol.matchers import event
from potrio.secrets import Secret
from potrio.testing.network import MemoryNetwork
from potrio.transport.recorder import Recorder

from .conftest import ASSET, EPOCH, OTHER, SSID, hurt, orders_at, until


@pytest.fixture
def transport():
    return "framed"  # what is tested here is above the transport


async def test_closing_ends_every_waiting_call_and_no_connection_is_made_ever_after(
    autojump_clock, connect, venue
):
    """A3: the call that waits is told at once, whatever it waits for; an hour later nobody has connected."""
    told: dict[str, type] = {}

    async def wait(name: str, call, *arguments) -> None:
        try:
            await call(*arguments)
        except (ClientClosed, OutcomeUnknown) as error:
            told[name] = type(error)

    for request in ("loadHistoryPeriod", "getBalance"):
        hurt(venue, FaultKind.LOSE_REQUEST, event=request, count=None)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            async with connect() as client:
                order = await client.place(ASSET, "call", 10, duration=60)
                await order.opened()
                nursery.start_soon(wait, "result", order.result)
                nursery.start_soon(wait, "candles", client.candles, ASSET, "1m", 10)
                nursery.start_soon(wait, "balance", client.refresh_balance)
                nursery.start_soon(wait, "raw", client.wait_raw, event("never"))
                nursery.start_soon(wait, "request", client.request_raw, "favorite/load", None, event("never"))
                await trio.sleep(1)
                assert told == {}
            closed = trio.current_time()
    assert trio.current_time() - closed < 2
    assert told == {
        "result": OutcomeUnknown,
        **dict.fromkeys(("candles", "balance", "raw", "request"), ClientClosed),
    }
    opened = venue.stats()["connections"]["opened"]
    await trio.sleep(3600)
    assert venue.stats()["connections"]["opened"] == opened


async def test_an_answer_wakes_who_waits_for_it_at_once(autojump_clock, connect, venue):
    """A7, A8: no polling: confirmation and refusal come within one round trip, which takes no time here."""
    async with connect() as client:
        began = trio.current_time()
        await (await client.place(ASSET, "call", 10, duration=60)).opened()
        hurt(venue, FaultKind.REFUSE, error="MARKET_BUSY")
        refused = await client.place(OTHER, "call", 10, duration=60)
        with pytest.raises(OrderRejected):
            await refused.opened()
        assert trio.current_time() - began < 0.1


@pytest.mark.parametrize("crash", ["before", "after"])
async def test_a_crash_over_placing_an_order_never_hides_one_that_was_placed(
    autojump_clock, connect, venue, crash, monkeypatch
):
    """P1: an error would be read as "not placed", and the order placed once more."""
    async with connect() as client:
        book = client._shared.book
        add = book.add

        def broken(intent):
            monkeypatch.setattr(book, "add", add)
            if crash == "after":
                add(intent)
            raise RuntimeError("drill")

        monkeypatch.setattr(book, "add", broken)
        if crash == "before":
            with pytest.raises(OrderDenied, match="nothing was placed"):
                await client.place(ASSET, "call", 10, duration=5)
            await trio.sleep(10)
            assert orders_at(venue) == {}
        else:
            handle = await client.place(ASSET, "call", 10, duration=5, request_id="mine")
            assert handle is client.orders["mine"]
            await handle.result()
            assert orders_at(venue) == {"mine": 1}


async def test_a_crash_over_a_page_is_a_typed_error_that_says_try_again(autojump_clock, connect, venue):
    async with connect() as client, trio.open_nursery() as nursery:
        hurt(venue, FaultKind.LOSE_REQUEST, event="loadHistoryPeriod")

        async def crash() -> None:
            await trio.sleep(1)
            client.supervisor.ref("account/history").tell(object())

        nursery.start_soon(crash)
        with pytest.raises(NotConnected, match="restarted"):
            await client.candles(ASSET, "1m", 10)
        assert len(await client.candles(ASSET, "1m", 10)) == 10


async def test_an_order_keeps_both_ids_over_a_reconnect_and_shows_the_venues_times_and_prices(
    autojump_clock, connect, venue
):
    """A13, A14."""
    async with connect() as client:
        handle = await client.place(ASSET, "call", 10, duration=60, request_id="mine")
        deal = await handle.opened()
        await client.reconnect()
        assert client.order("mine") is client.order(deal.id) is handle
        assert handle.state is OrderState.OPEN
        result = await client.result(deal.id)
        _, closed = venue.exchange.book.deals()
        (booked,) = [each for each in closed if each.id == deal.id]
        assert result.deal.open_price == booked.open_price
        assert result.deal.close_price == booked.close_price
        assert (handle.closes_at - handle.opened_at).total_seconds() == 60
        assert abs((handle.closes_at - client.venue_time()).total_seconds()) < 5
        assert handle.opened_at.utcoffset().total_seconds() == 0


async def test_open_deals_are_known_after_start_and_after_a_reconnect(autojump_clock, connect, venue):
    """A10: from the venue's own list."""
    async with connect() as one:
        handle = await one.place(ASSET, "call", 10, duration=600)
        deal = await handle.opened()
        async with connect() as late:
            await until(lambda: [record.id for record in late.opened_deals()] == [deal.id])
            hurt(venue, FaultKind.RESTART, delay_ms=5_000)
            await until(lambda: one.statistics().reconnects == late.statistics().reconnects == 1)
            await one.wait_ready()
            again = await one.place(OTHER, "put", 5, duration=600)
            other = await again.opened()
            await until(lambda: {record.id for record in late.opened_deals()} == {deal.id, other.id})


async def test_each_kind_of_failure_is_reached_and_its_class_and_fields_tell_it_to_a_program(
    autojump_clock, connect, venue, network
):
    """A27: connection, authentication, the venue's own refusal, timeout, rate limit."""
    with pytest.raises(ConnectRefused) as connection:
        async with open_client(SSID, url="ws://127.0.0.1:9/", seam=network):
            pass
    assert connection.value.stage == "tcp"
    hurt(venue, FaultKind.REJECT_AUTH)
    with pytest.raises(AuthError):
        async with connect():
            pass
    hurt(venue, FaultKind.REFUSE, error="MARKET_BUSY")
    hurt(venue, FaultKind.LOSE_REQUEST, event="getBalance", count=None)
    limits = RateLimits(Rates(orders=Rate(0.001, 2)), Rates.unlimited())
    async with connect(limits=limits) as client:
        order = await client.place(ASSET, "call", 10, duration=60)
        with pytest.raises(OrderRejected) as refused:
            await order.opened()
        assert refused.value.code == "MARKET_BUSY"
        with pytest.raises(RequestTimeout):
            await client.refresh_balance()
        await (await client.place(ASSET, "call", 10, duration=60)).opened()
        with pytest.raises(RateLimited) as limited:
            await client.place(OTHER, "call", 10, duration=60)
        assert 900 < limited.value.retry_in_s <= 1000


@pytest.mark.parametrize("lost", ["updateAssets", "successupdateBalance"])
async def test_a_venue_without_a_snapshot_is_a_typed_error_in_time(autojump_clock, connect, venue, lost):
    """X17: entering waits for assets and balance, with an end."""
    hurt(venue, FaultKind.LOSE, event=lost, count=None)
    with pytest.raises(RequestTimeout, match="the venue sent no"):
        async with connect(handshake_timeout_s=7.0):
            pass
    assert trio.current_time() < 20
    await until(lambda: venue.stats()["connections"]["now"] == 0)


class Watching(MemoryNetwork):
    """Notes whoever is looked up or connected to."""

    def __init__(self) -> None:
        super().__init__(seed=5, epoch=EPOCH)
        self.hosts: set[str] = set()

    async def resolve(self, host, port):
        self.hosts.add(host)
        return await super().resolve(host, port)

    async def connect_tcp(self, family, address):
        self.hosts.add(address[0])
        return await super().connect_tcp(family, address)


@pytest.fixture
def network(request):
    watched = "nobody_else" in request.node.name or "no_io" in request.node.name
    return Watching() if watched else MemoryNetwork(seed=5, epoch=EPOCH)


async def test_nobody_else_is_spoken_to_not_even_when_the_venue_rejects(
    autojump_clock, connect, venue, network
):
    """K8: no look at the public address, no other service."""
    network.hosts.clear()
    async with connect() as client:
        await client.candles(ASSET, "1m", 5)
    hurt(venue, FaultKind.REJECT_AUTH)
    with pytest.raises(AuthError):
        async with connect():
            pass
    assert network.hosts == {"127.0.0.1"}


async def test_construction_does_no_io(autojump_clock, venue, network):
    """X18: neither a Config nor calling `open_client` waits, dials or resolves; entering the block does."""
    network.hosts.clear()
    opened = venue.stats()["connections"]["opened"]
    manager = open_client(Config(ssid=SSID, url=venue.url, seam=network))
    await trio.sleep(60)
    assert network.hosts == set()
    assert venue.stats()["connections"]["opened"] == opened
    async with manager as client:
        assert client.phase is LinkPhase.READY
    assert network.hosts == {"127.0.0.1"}


async def test_a_raw_request_without_an_answer_ends_with_its_deadline_and_was_sent_once(
    autojump_clock, connect, venue
):
    """R3: nothing that is not marked safe is sent again."""
    async with connect() as client:
        with trio.move_on_after(30) as scope:
            await client.request_raw("favorite/load", None, event("never"))
        assert scope.cancelled_caught
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.statistics().reconnects == 1)
        await trio.sleep(30)
        assert venue.stats()["events_received"]["favorite/load"] == 1


async def test_what_came_before_a_raw_request_left_is_not_its_answer(autojump_clock, connect):
    """R3: also where it had to wait for its turn."""
    limits = RateLimits(Rates(requests=Rate(0.5, 1)), Rates.unlimited())
    async with connect(limits=limits) as client, client.ticks(ASSET):
        await client.send_raw("favorite/load")
        answer = await client.request_raw("favorite/load", None, event("updateStream"))
        assert answer.at >= 1.5, "it left two seconds after the one before"


async def test_the_venue_takes_what_other_clients_say_after_login(autojump_clock, connect, venue):
    """K9."""
    async with connect() as client:
        for name in (
            "assets/load",
            "indicator/load",
            "favorite/load",
            "price-alert/load",
            "getBalance",
            "subfor",
        ):
            await client.send_raw(name, ASSET if name == "subfor" else None)
        await until(lambda: venue.stats()["events_received"].get("subfor") == 1)
        await trio.sleep(5)
        assert client.phase is LinkPhase.READY
        assert client.statistics().reconnects == 0


async def test_calls_of_every_kind_at_once_each_get_their_own_answer(autojump_clock, connect, venue):
    """D4: forty histories, orders and balances at once, on several assets and lengths."""
    right = []
    async with connect() as client:
        assets = [row.symbol for row in client.active_assets().values() if row.is_otc][:8]
        alone = {(asset, n): await client.candles(asset, "1m", n) for asset in assets for n in (3, 7)}

        async def history(asset: str, n: int) -> None:
            right.append(await client.candles(asset, "1m", n) == alone[asset, n])

        async def trade(asset: str, n: int) -> None:
            deal = await (await client.place(asset, "call", n, duration=60)).opened()
            right.append((deal.asset, deal.amount) == (asset, n))

        async def balance() -> None:
            right.append((await client.refresh_balance()).balance <= 50_000)

        async with trio.open_nursery() as nursery:
            for n, asset in enumerate(assets, 1):
                nursery.start_soon(trade, asset, n)
                nursery.start_soon(balance)
                for count in (3, 7):
                    nursery.start_soon(history, asset, count)
        assert len(right) == 32
        assert all(right)
        assert set(orders_at(venue).values()) == {1}
        assert math.isfinite(trio.current_time())


async def test_a_fresh_token_is_hidden_as_the_first_one_was(autojump_clock, connect, venue, caplog, tmp_path):
    """P8: in logs, in raw events, in recordings, also where the venue repeats it."""
    token = "k7wq2zvb9mxe4jdy6hnu3tsc8g"
    recorder = Recorder(tmp_path / "frames", Secret("a0test0session0of0potrio0x"))

    async def fresh(error):
        return SSID.replace("a0test0session0of0potrio0x", token)

    caplog.set_level(logging.DEBUG, logger="potrio")
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        async with connect(fresh_ssid=fresh, recorder=recorder) as client, client.raw(event("echo")) as raw:
            hurt(venue, FaultKind.REJECT_AUTH, count=1)
            hurt(venue, FaultKind.DROP)
            await until(lambda: client.statistics().events_sent["auth"] == 3)
            await client.wait_ready()
            await trio.sleep(1)
            seat = next(iter(venue.exchange._seats))
            seat.session.send_event("echo", f'"{token}"'.encode(), binary=True)
            seat.flush_session()
            assert (await raw.receive()).payload == b'"***"'
            potrio_logger("client").warning("it was %s", token)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    written = (tmp_path / "frames").read_bytes()
    assert b"echo" in written
    assert token.encode() not in written
    assert "it was ***" in caplog.text
    assert token not in caplog.text


async def test_a_balance_that_nobody_waits_for_any_more_is_not_asked_for_later(
    autojump_clock, connect, venue
):
    """P3: where the limiter has no room in time, that is said at once, and nothing is sent afterwards."""
    limits = RateLimits(Rates(requests=Rate(0.02, 1)), Rates.unlimited())
    async with connect(limits=limits) as client:
        await client.send_raw("favorite/load")
        began = trio.current_time()
        with pytest.raises(RateLimited) as refused:
            await client.refresh_balance()
        assert trio.current_time() == began
        assert refused.value.retry_in_s > 40
        await trio.sleep(300)
        assert "getBalance" not in venue.stats()["events_received"]
        assert (await client.refresh_balance()).balance == 50_000


@pytest.mark.parametrize("call", ["raw", "balance", "candles"])
async def test_what_was_cancelled_before_its_turn_is_never_sent(autojump_clock, connect, venue, call):
    """P3: the caller waited without a deadline, and was cancelled."""
    limits = RateLimits(Rates(requests=Rate(0.25, 1)), Rates.unlimited())
    asked = {"raw": "indicator/load", "balance": "getBalance", "candles": "loadHistoryPeriod"}[call]
    async with connect(limits=limits) as client:
        ask = {
            "raw": lambda: client.send_raw("indicator/load"),
            "balance": client.refresh_balance,
            "candles": lambda: client.candles(ASSET, "1m", 3, datetime(2026, 1, 1, tzinfo=UTC)),
        }[call]
        await client.send_raw("favorite/load")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await trio.sleep(1)
                scope.cancel()
        await trio.sleep(60)
        assert asked not in venue.stats()["events_received"]
        await ask()
        await until(lambda: asked in venue.stats()["events_received"])


async def test_one_callers_short_deadline_is_no_error_of_another_who_asks_the_same(autojump_clock, connect):
    """D3, D4: equal questions share an answer, and each waits or fails by its own deadline."""
    limits = RateLimits(Rates(requests=Rate(0.5, 2)), Rates.unlimited())
    told = []
    async with connect(limits=limits) as client:
        await client.send_raw("favorite/load")

        async def ask(seconds: float) -> None:
            with trio.fail_after(seconds):
                try:
                    told.append(len(await client.candles(ASSET, "1m", 300)))
                except RateLimited:
                    told.append(seconds)

        async with trio.open_nursery() as nursery:
            for seconds in (0.5, 60.0, 60.0):
                nursery.start_soon(ask, seconds)
                await trio.lowlevel.checkpoint()
    assert told == [0.5, 300, 300], "the first page passed, and the second did not have the time"


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.5])
async def test_a_pause_that_somebody_else_takes_back_is_not_waited_for_for_ever(
    autojump_clock, connect, delay
):
    async with connect() as client:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.pause)
                await trio.sleep(delay)
                nursery.start_soon(client.resume)
        await client.wait_ready()
        assert not client.paused
