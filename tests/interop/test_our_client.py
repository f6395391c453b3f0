"""Our client on a stock python-socketio server: nothing it does may depend on our own venue's ways."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

import potrio

pytestmark = pytest.mark.interop

ASSET = "EURUSD_otc"


class StockServer:
    """The server's process; it ends, and says what it saw, when its standard input is closed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        word, _, port = process.stdout.readline().strip().partition(" ")
        assert word == "ready", "the server did not start"
        self.url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"

    def seen(self) -> dict[str, Any]:
        """Stop it and read its account."""
        output, _ = self.process.communicate(timeout=60)
        return dict(json.loads(output.strip().splitlines()[-1]))


@pytest.fixture
def server(peers_python: str) -> Iterator[StockServer]:
    """A stock server in its own process."""
    script = Path(__file__).parent / "peers" / "stock_server.py"
    pipe = subprocess.PIPE
    process = subprocess.Popen([peers_python, str(script)], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    try:
        yield StockServer(process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("transport", ["framed", "trio-websocket"])
async def test_trades_on_a_stock_server(server: StockServer, good_ssid: str, transport: str) -> None:
    with trio.fail_after(100):
        async with potrio.open_client(good_ssid, url=server.url, transport=transport) as client:
            assert client.balance == Decimal(1000)
            assert client.is_demo
            assert client.assets[ASSET].payout == 82
            candles = await client.candles(ASSET, "1m", count=150)
            async with client.ticks(ASSET) as stream:
                ticks = [await stream.receive() for _ in range(15)]
            won = await client.trade(ASSET, potrio.Side.CALL, "10", duration=5)
            lost = await client.trade(ASSET, potrio.Side.PUT, "10", duration=5)
            balance = client.balance
    seen = server.seen()

    assert len(candles) == 150
    assert {newer.time - older.time for older, newer in pairwise(candles)} == {60}
    assert all(isinstance(tick, potrio.Tick) and tick.asset == ASSET for tick in ticks)
    assert isinstance(won, potrio.Won)
    assert won.profit == Decimal("8.2")
    assert isinstance(lost, potrio.Lost)
    assert balance == Decimal(1000) + Decimal("8.2") - 10
    assert seen["early"] == [], "nothing but the handshake before authentication (P3)"
    assert seen["events"]["openOrder"] == 2
    assert len(set(seen["orders"])) == 2
    assert (seen["connections"], seen["disconnections"]) == (1, 1)


async def test_is_rejected_by_a_stock_server(server: StockServer, refused_ssid: str) -> None:
    with trio.fail_after(60):
        with pytest.raises(potrio.AuthError):
            async with potrio.open_client(refused_ssid, url=server.url):
                raise AssertionError("the client must not open")
    seen = server.seen()

    assert seen["events"] == {"auth": 1}
    assert seen["connections"] == 1, "a rejected SSID is not tried again"
