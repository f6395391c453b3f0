"""aiohttp: its WebSocket client's loop, and msgspec behind it."""

from __future__ import annotations

import asyncio

import aiohttp
from scene import TICKS, Meter, answers, url_and_count
from tick import decode


async def main() -> None:
    """Log in, then take ticks."""
    url, count = url_and_count()
    taken = -1
    meter = Meter()
    header = ""
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as websocket:
        async for message in websocket:
            if message.type is aiohttp.WSMsgType.TEXT:
                header = message.data
                if not header.startswith(TICKS):
                    for answer in answers(header):
                        await websocket.send_str(answer)
            elif header.startswith(TICKS):
                for _tick in decode(message.data):
                    taken += 1
                    if not taken:
                        meter = Meter()
                    elif taken == count:
                        meter.finish(taken)


asyncio.run(main())
