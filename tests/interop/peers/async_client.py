"""pocketoptionapi-async 2.0.1 as published, pointed at a local venue: log in, stream, read candles, trade.

Arguments: the venue's WebSocket URL, the SSID, and `trade` or `reject`. Prints one JSON line.
The package has no URL argument and calls `websockets` with an argument that release 14 took away; the shim changes
this client's view of that one module and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import warnings
from typing import Any

warnings.simplefilter(
    "ignore"
)  # pydantic's and websockets.legacy's deprecations are the package's own affair

import websockets  # noqa: E402  after the filter
import websockets.legacy.client as legacy  # noqa: E402
from loguru import logger  # noqa: E402
from pocketoptionapi_async import AsyncPocketOptionClient, OrderDirection, constants  # noqa: E402
from pocketoptionapi_async import websocket_client as module  # noqa: E402

URL, SSID, TASK = sys.argv[1:4]
ASSET = "EURUSD_otc"


class Shim:
    """`websockets` with the connect function the package was written for, without TLS for `ws://`."""

    @staticmethod
    def connect(url: str, ssl: Any = None, **options: Any) -> Any:
        return legacy.connect(url, ssl=ssl if url.startswith("wss") else None, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(websockets, name)


async def trade(client: AsyncPocketOptionClient) -> dict[str, Any]:
    streamed: list[Any] = []
    client.add_event_callback("stream_update", streamed.append)
    connected = await client.connect(regions=["DEMO"])
    before = await client.get_balance()
    candles = await client.get_candles(ASSET, 60, 100)
    for _ in range(50):
        if len(streamed) >= 5:
            break
        await asyncio.sleep(0.2)
    order = await client.place_order(ASSET, 10.0, OrderDirection.CALL, 5)
    result = await client.check_win(order.order_id, max_wait_time=15)
    after = await client.get_balance()
    await client.disconnect()
    return {
        "connected": connected,
        "before": before.balance,
        "candles": [[c.timestamp.timestamp(), c.open, c.close, c.high, c.low] for c in candles],
        "ticks": len(streamed),
        "status": order.status.value,
        "error": order.error_message,
        "request_id": order.order_id,
        "result": result,
        "after": after.balance,
    }


async def reject(client: AsyncPocketOptionClient) -> dict[str, Any]:
    started = time.monotonic()
    connected = await client.connect(regions=["DEMO"])
    return {"connected": connected, "seconds": time.monotonic() - started}


async def main() -> None:
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    module.websockets = Shim()
    constants.Regions._REGIONS = {"DEMO": URL}
    client = AsyncPocketOptionClient(SSID, is_demo=True, auto_reconnect=False)
    print(json.dumps(await {"trade": trade, "reject": reject}[TASK](client)), flush=True)
    os._exit(0)  # after a rejection websockets.legacy would wait ten seconds for a close that nobody sends


asyncio.run(main())
