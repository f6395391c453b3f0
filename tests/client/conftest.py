"""A venue beside the client, in the same trio run, over a network in memory: real bytes, virtual time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal
from functools import lru_cache

import pytest
import trio

from loadsim.venue import Fault, FaultKind, Venue, VenueConfig, market, open_venue
from loadsim.venue.path import Path
from potrio import Candle, Client, Config, Forming, Gap, open_client
from potrio.protocol.candles import from_ticks
from potrio.protocol.messages.market import TickRow
from potrio.testing.network import MemoryNetwork

UID = 4711
SSID = f'42["auth",{{"session":"a0test0session0of0potrio0x","isDemo":1,"uid":{UID},"platform":2}}]'
LIVE_SSID = SSID.replace('"isDemo":1', '"isDemo":0')
ASSET, OTHER = "EURUSD_otc", "GBPUSD_otc"
PORT = 8080
EPOCH = 1_770_000_000.0
TEST_DEADLINE_S = 1000.0


path_of = lru_cache(4)(Path)


@pytest.fixture(autouse=True, scope="module")
def _prices_drawn_once():
    """The venues of a thousand tests have one seed, and prices are a pure function of it: they are drawn once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(market, "Path", path_of)
        yield


@pytest.fixture
def network():
    return MemoryNetwork(seed=5, epoch=EPOCH)


@pytest.fixture(params=["framed", "trio-websocket"])
def transport(request):
    return request.param


@pytest.fixture
async def venue(autojump_clock, network):
    async with open_venue(VenueConfig(seed=3, port=PORT), seam=network) as running:
        yield running


@pytest.fixture
def connect(venue, transport, network):
    """Open a client of that venue: ``async with connect() as client``."""

    @asynccontextmanager
    async def opened(ssid: str = SSID, **options):
        config = Config(ssid=ssid, url=venue.url, transport=transport, seam=network, **options)
        with trio.fail_after(TEST_DEADLINE_S):
            async with open_client(config) as client:
                yield client

    return opened


def hurt(venue: Venue, kind: FaultKind, **options) -> None:
    """Let something go wrong: at once, or when the event it names passes."""
    fault = Fault(kind=kind, **options)
    if fault.is_immediate:
        venue.exchange.hurt_at_once([fault])
    else:
        venue.exchange.plan.add((fault,))


async def until(condition, within: float = 60.0) -> None:
    """Wait until something is true."""
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110  # the venue tells nobody when its counters change
            await trio.sleep(0.05)


def orders_at(venue: Venue) -> dict[str, int]:
    """How often the venue saw each request id."""
    return {str(request_id): count for request_id, count in venue.stats()["orders"].items()}


def balance_at(venue: Venue) -> Decimal:
    """The account's balance on the venue's books."""
    return next(Decimal(str(a["balance"])) for a in venue.stats()["accounts"] if a["uid"] == UID)


def crash(client: Client, name: str) -> None:
    """Make an actor's next message one that it cannot handle."""
    client.supervisor.ref(name).tell(object())


# --- candles against the venue's own record ---------------------------------------------------------------------------

ZONE = 7200


def ticks_at(venue, start: float, end: float, asset: str = ASSET) -> list[TickRow]:
    """The venue's own record of its ticks, in UTC."""
    rows = venue.exchange._market.ticks(asset, start + ZONE, end + ZONE)
    return [TickRow(row.stamp - ZONE, row.price) for row in rows]


def true_candles(venue, period: int, start: int, end: float) -> dict[int, tuple[float, ...]]:
    return {
        it.time: (it.open, it.high, it.low, it.close)
        for it in from_ticks(ticks_at(venue, start, end), period, zone_s=ZONE)
    }


def check_candles(venue, items: list, period: int) -> list[Candle]:
    """What is called complete equals the venue's ticks; every bucket is there once, or a gap says that it is not."""
    candles = [item for item in items if isinstance(item, Candle)]
    gaps = [item for item in items if isinstance(item, Gap)]
    true = true_candles(venue, period, candles[0].time, candles[-1].time + period - 0.001)
    times = [it.time for it in candles]
    assert times == sorted(set(times))
    late = {gap.since for gap in gaps if gap.reason == "late"}
    for it in candles:
        if it.complete and it.time not in late:
            assert (it.open, it.high, it.low, it.close) == true[it.time]
    for time in true.keys() - set(times):
        assert any(gap.since < time + period and (gap.until is None or time < gap.until) for gap in gaps), (
            time
        )
    for it in candles:
        if not it.complete:
            assert any(gap.since < it.time + period for gap in gaps)
    return candles


async def read_closed(stream, count: int, within: float = 1000.0) -> list:
    """Read until so many candles are closed; forming ones are checked and left out."""
    seen: list = []
    with trio.fail_after(within):
        while sum(isinstance(item, Candle) for item in seen) < count:
            item = await stream.receive()
            if isinstance(item, Forming):
                assert not item.candle.complete
            else:
                seen.append(item)
    return seen
