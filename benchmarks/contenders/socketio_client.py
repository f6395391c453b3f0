"""python-socketio: the stock client's event handler, and the standard library's JSON behind it, as its users write."""

from __future__ import annotations

import asyncio
import json

import socketio
from scene import ASSETS, SSID, Meter, url_and_count


async def main() -> None:
    """Log in, then take ticks."""
    url, count = url_and_count()
    taken = -1
    meter = Meter()
    client = socketio.AsyncClient(reconnection=False)

    @client.on("updateStream")
    async def on_ticks(payload: bytes) -> None:
        nonlocal taken, meter
        for _tick in json.loads(payload):
            taken += 1
            if not taken:
                meter = Meter()
            elif taken == count:
                meter.finish(taken)

    @client.on("successauth")
    async def on_success(payload: bytes) -> None:
        for asset in ASSETS:
            await client.emit("changeSymbol", {"asset": asset, "period": 60})

    await client.connect(
        url.partition("/socket.io")[0].replace("ws:", "http:"),
        transports=["websocket"],
        socketio_path="socket.io",
    )
    await client.emit("auth", json.loads(SSID[2:])[1])
    await client.wait()


asyncio.run(main())
