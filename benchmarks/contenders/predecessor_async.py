"""pocketoptionapi-async as published, pointed at a local venue: the callback its users register.

The package has no URL argument and calls `websockets` with an argument that release 14 took away; the shim changes
this client's view of that one module and nothing else.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")  # the deprecations of what it imports are the package's own affair

import websockets  # noqa: E402  after the filter
import websockets.legacy.client as legacy  # noqa: E402
from loguru import logger  # noqa: E402
from pocketoptionapi_async import AsyncPocketOptionClient, constants  # noqa: E402
from pocketoptionapi_async import websocket_client as module  # noqa: E402
from scene import ASSETS, SSID, Meter, url_and_count  # noqa: E402

taken = -1
meter = Meter()
URL, COUNT = url_and_count()


class Shim:
    """`websockets` with the connect function the package was written for, without TLS for `ws://`."""

    @staticmethod
    def connect(url: str, ssl: Any = None, **options: Any) -> Any:
        """Connect as release 13 did."""
        return legacy.connect(url, ssl=ssl if url.startswith("wss") else None, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(websockets, name)


def on_update(_data: Any) -> None:
    """Take what the package hands out for one update; it does not decode it."""
    global taken, meter
    taken += 1
    if not taken:
        meter = Meter()
    elif taken == COUNT:
        meter.finish(taken)


async def main() -> None:
    """Log in, ask for one asset's candles, which subscribes to it, and count updates."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    module.websockets = Shim()
    constants.Regions._REGIONS = {"DEMO": URL}
    client = AsyncPocketOptionClient(SSID, is_demo=True, auto_reconnect=False)
    client.add_event_callback("stream_update", on_update)
    await client.connect(regions=["DEMO"])
    for asset in ASSETS:
        await client.get_candles(asset, 60, 100)
    await asyncio.sleep(60)


asyncio.run(main())
