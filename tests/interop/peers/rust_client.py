"""BinaryOptionsToolsV2 0.2.16 as published, pointed at a local venue: log in, stream, read ticks, trade.

Arguments: the venue's WebSocket URL, the SSID, and `trade` or `reject`. Prints one JSON line.
Only ever run without a route to the outside: a URL that does not answer makes this client go on to public hosts.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from BinaryOptionsToolsV2.pocketoption import PocketOptionAsync

URL, SSID, TASK = sys.argv[1:4]
ASSET = "EURUSD_otc"


async def trade(client: PocketOptionAsync) -> dict[str, Any]:
    await client.wait_for_assets(timeout=15)
    before = await asyncio.wait_for(client.balance(), 10)
    payout = await client.payout(ASSET)
    subscription = await client.subscribe_symbol(ASSET)
    ticks = []
    async for tick in subscription:
        ticks.append(tick)
        if len(ticks) >= 5:
            break
    past = await asyncio.wait_for(client.ticks(ASSET, 60), 35)
    await asyncio.sleep(0.05)
    trade_id, opened = await asyncio.wait_for(client.buy(ASSET, 10.0, 5), 15)
    result = await client.check_win(trade_id, timeout_seconds=20)
    after = await asyncio.wait_for(client.balance(), 10)
    return {
        "before": before,
        "after": after,
        "payout": payout,
        "ticks": ticks,
        "past": past[-200:],
        "trade_id": trade_id,
        "opened": dict(opened),
        "result": dict(result),
        "server_time": await client.get_server_time(),
    }


async def reject(client: PocketOptionAsync) -> dict[str, Any]:
    started = time.monotonic()
    while time.monotonic() - started < 30 and client.is_connected():  # noqa: ASYNC110  it has no event for this
        await asyncio.sleep(0.1)
    stopped = time.monotonic() - started
    await asyncio.sleep(2)  # long enough for a reconnection that must not come
    return {"connected": client.is_connected(), "ssid_valid": client.is_ssid_valid(), "seconds": stopped}


async def main() -> None:
    client = PocketOptionAsync(SSID, url=URL)
    report = await {"trade": trade, "reject": reject}[TASK](client)
    print(json.dumps(report, default=str), flush=True)
    os._exit(0)  # its own threads do not always end; what was to be shown has been shown


asyncio.run(main())
