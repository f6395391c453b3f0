"""A tester whose clients and venue talk over a network in memory, in virtual time."""

from __future__ import annotations

import pytest

from loadsim.tester.tester import LoadTester
from loadsim.venue import Fault, VenueConfig
from loadsim.venue.config import TradingConfig
from potrio.testing.network import MemoryNetwork

UID = 4711
SSID = f'42["auth",{{"session":"a0test0session0of0potrio0x","isDemo":1,"uid":{UID},"platform":2}}]'


PORT = 8080


def hurt_tester(network: MemoryNetwork, *faults: Fault) -> LoadTester:
    trading = TradingConfig(concurrent_demo_max=1000)
    venue = VenueConfig(seed=3, port=PORT, events_per_second_max=1e5, trading=trading, faults=faults)
    return LoadTester(SSID, venue=venue, seam=network)


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork(seed=5)


@pytest.fixture
def tester(network: MemoryNetwork) -> LoadTester:
    return hurt_tester(network)
