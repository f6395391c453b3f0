"""`LoadTester`: real clients doing a list of things again and again, against a venue on this machine, and the report.

Everything a run knows is made anew for it: a second run has nothing of the first.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import trio

from loadsim.swarm.safety import check_target
from loadsim.tester.bridge import in_trio
from loadsim.tester.config import LoadTestConfig, Phase
from loadsim.tester.operations import BURST, Desk, choose, perform
from loadsim.tester.report import build_report, verification
from loadsim.tester.samples import PhaseRecord, Sample
from loadsim.venue.config import TradingConfig, VenueConfig
from loadsim.venue.server import Venue, lone, open_venue
from potrio.actors.limiter import RateLimits
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.errors import ConfigError, PotrioError
from potrio.protocol.ssid import Ssid, parse_ssid
from potrio.seam import REAL, Seam
from potrio.secrets import Secret

__all__ = ["LoadTester"]

STANDARD = "Standard"
EVENTS_PER_SECOND_MAX = 100_000.0
CONCURRENT_MAX = 10_000
SETTLE_STEP_S = 0.02
SETTLE_STEPS = 100


class LoadTester:
    """Load tests of a venue on this machine; by default one of its own, made for each test.

    Args:
        ssid: whom all clients log in as.
        is_demo: what kind of account that is; refused where the SSID says otherwise.
        url: of a venue that runs already; only on this machine (P14).
        venue: settings of the venue that is made where there is no ``url``.
        seam: clocks, chance and sockets.

    Raises:
        ConfigError: an argument cannot be used.
    """

    def __init__(
        self,
        ssid: str | Secret | Ssid,
        is_demo: bool = True,
        *,
        url: str | None = None,
        venue: VenueConfig | None = None,
        seam: Seam = REAL,
    ) -> None:
        self._ssid = (
            ssid if isinstance(ssid, Ssid) else parse_ssid(Secret(ssid) if isinstance(ssid, str) else ssid)
        )
        if self._ssid.is_demo != is_demo:
            raise ConfigError("is_demo", f"is {is_demo}, but the SSID is of the other kind of account")
        if url is not None:
            check_target(url)
            if venue is not None:
                raise ConfigError("venue", "is for a venue of the test's own: give it or a url, not both")
        self._url = url
        self._venue = venue
        self._seam = seam

    async def run_load_test(self, config: LoadTestConfig | None = None) -> dict[str, Any]:
        """Run one test and return its report (``docs/load-tester.md`` lists its keys).

        Can be awaited under trio and under asyncio. Cancelling ends the test, its clients and its venue; orders that
        were accepted are the venue's.

        Args:
            config: what to do; None: the defaults.
        """
        return await in_trio(partial(self._run, config if config is not None else LoadTestConfig()))

    async def _run(self, config: LoadTestConfig) -> dict[str, Any]:
        seam = self._seam
        try:
            async with self._opened_venue(config) as (url, venue):
                run = Run(config, self._ssid, url, seam)
                started_wall, started_s = seam.wall(), seam.now()
                await run.play(started_s + config.test_duration_minutes * 60)
                ended_s = seam.now()
                await settle(run.phases, venue)
                return build_report(
                    config,
                    run.phases,
                    started_s=started_s,
                    ended_s=ended_s,
                    started_wall=started_wall,
                    venue=None if venue is None else venue.stats(),
                )
        except BaseExceptionGroup as group:
            raise lone(group) from None

    @asynccontextmanager
    async def _opened_venue(self, config: LoadTestConfig) -> AsyncGenerator[tuple[str, Venue | None], None]:
        if self._url is not None:
            yield self._url, None
            return
        own = VenueConfig(
            seed=config.seed,
            events_per_second_max=EVENTS_PER_SECOND_MAX,
            trading=TradingConfig(concurrent_demo_max=CONCURRENT_MAX, concurrent_live_max=CONCURRENT_MAX),
        )
        async with open_venue(self._venue if self._venue is not None else own, seam=self._seam) as venue:
            yield venue.url, venue


async def settle(phases: list[PhaseRecord], venue: Venue | None) -> None:
    """Give the venue a moment to read what was sent last, before its books are looked at."""
    if venue is None:
        return
    for _ in range(SETTLE_STEPS):
        if all(row["ok"] for row in verification(phases, venue.stats())):
            return
        await trio.sleep(SETTLE_STEP_S)


class Run:
    """One test: its phases one after the other, in each of them its clients at the same time."""

    def __init__(self, config: LoadTestConfig, ssid: Ssid, url: str, seam: Seam) -> None:
        self._config = config
        self._client = Config(ssid=ssid, url=url, seam=seam, limits=RateLimits.unlimited(), arm_live=True)
        self._seam = seam
        self.phases: list[PhaseRecord] = []

    async def play(self, until_s: float) -> None:
        """Play all phases; nothing begins later than that."""
        config = self._config
        if not config.stress_mode:
            await self._phase(
                STANDARD,
                config.concurrent_clients,
                config.operations_per_client,
                config.operation_delay,
                until_s,
            )
            return
        for number, phase in enumerate(config.phases):
            if number:
                await trio.sleep(min(config.phase_pause_s, max(0.0, until_s - self._seam.now())))
            await self._stress(phase, until_s)

    async def _stress(self, phase: Phase, until_s: float) -> None:
        bursts = max(1, self._config.operations_per_client // 2)
        ends_s = min(until_s, self._seam.now() + phase.max_s)
        clients = phase.clients(self._config.concurrent_clients)
        await self._phase(phase.name, clients, bursts, phase.operation_delay, ends_s)

    async def _phase(self, name: str, clients: int, operations: int, delay_s: float, until_s: float) -> None:
        record = PhaseRecord(
            name=name,
            clients=clients,
            operation_delay=delay_s,
            planned=clients * operations,
            started_s=self._seam.now(),
        )
        self.phases.append(record)
        async with trio.open_nursery() as nursery:
            for index in range(clients):
                player = Player(self._config, self._client, self._seam, record, index)
                nursery.start_soon(player.play, operations, delay_s, until_s)
        record.ended_s = self._seam.now()


class Player:
    """One client of one phase."""

    def __init__(
        self, config: LoadTestConfig, client: Config, seam: Seam, record: PhaseRecord, index: int
    ) -> None:
        self._config = config
        self._client = client
        self._seam = seam
        self._record = record
        self._desk = Desk(random.Random(f"{config.seed}/{record.name}/{index}"))

    async def play(self, operations: int, delay_s: float, until_s: float) -> None:
        """Do all operations; those that are not begun, for whatever reason, are counted."""
        mine: list[Sample] = []
        try:
            if self._config.use_persistent_connection:
                async with self._connected() as client:
                    await self._schedule(operations, delay_s, until_s, mine, client)
            else:
                await self._schedule(operations, delay_s, until_s, mine, None)
        except PotrioError as error:  # not one operation's: no connection, or the client died
            self._record.connect_errors[type(error).__name__] += 1
        finally:
            self._record.samples += mine
            self._record.omitted += operations - len(mine)

    async def _schedule(
        self, operations: int, delay_s: float, until_s: float, mine: list[Sample], client: Client | None
    ) -> None:
        first_s = self._seam.now()
        for number in range(operations):
            intended_s = first_s + number * delay_s
            if max(intended_s, self._seam.now()) >= until_s:
                return
            await trio.sleep_until(intended_s)
            mine.append(await self._operation(intended_s, client))

    async def _operation(self, intended_s: float, client: Client | None) -> Sample:
        moment = datetime.fromtimestamp(self._seam.wall(), UTC)
        trading = self._config.include_trading_operations
        name = BURST if self._config.stress_mode else choose(self._desk, trading=trading, moment=moment)
        started_s, error = self._seam.now(), None
        try:
            with trio.fail_after(self._config.operation_timeout_s):
                if client is not None:
                    await perform(name, client, self._desk)
                else:
                    async with self._connected() as fresh:
                        started_s = self._seam.now()
                        await perform(name, fresh, self._desk)
        except trio.TooSlowError:
            error = "Timeout"
        except PotrioError as failure:
            error = type(failure).__name__
        return Sample(name, intended_s, started_s, self._seam.now(), error)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Client, None]:
        began_s = self._seam.now()
        async with open_client(self._client) as client:
            self._record.connects_s.append(self._seam.now() - began_s)
            try:
                yield client
            finally:
                self._record.events_sent.update(client.wire_counters().events_sent)
