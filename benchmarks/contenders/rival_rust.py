"""BinaryOptionsToolsV2 as published: a subscription for each asset, read with ``async for``.

Only ever run without a route to the outside: a URL that does not answer makes this client go on to public hosts.
"""

from __future__ import annotations

import asyncio

from BinaryOptionsToolsV2.pocketoption import PocketOptionAsync
from scene import ASSETS, SSID, Meter, url_and_count

taken = -1
meter = Meter()


async def read(subscription: object, count: int) -> None:
    """Take the ticks of one asset."""
    global taken, meter
    async for _tick in subscription:  # type: ignore[attr-defined]  # the package has no types
        taken += 1
        if not taken:
            meter = Meter()
        elif taken >= count:
            meter.finish(taken)


async def main() -> None:
    """Log in, subscribe, read."""
    url, count = url_and_count()
    client = PocketOptionAsync(SSID, url=url)
    await client.wait_for_assets(timeout=15)
    subscriptions = [await client.subscribe_symbol(asset) for asset in ASSETS]
    await asyncio.gather(*(read(each, count) for each in subscriptions))


asyncio.run(main())
