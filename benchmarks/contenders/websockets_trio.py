"""websockets on trio: the loop its documentation shows, and msgspec behind it."""

from __future__ import annotations

import trio
from scene import TICKS, Meter, answers, url_and_count
from tick import decode
from websockets.trio.client import connect


async def main() -> None:
    """Log in, then take ticks."""
    url, count = url_and_count()
    taken = -1
    meter = Meter()
    header = ""
    async with connect(url) as websocket:
        async for message in websocket:
            if isinstance(message, str):
                header = message
                if not header.startswith(TICKS):
                    for answer in answers(header):
                        await websocket.send(answer)
            elif header.startswith(TICKS):
                for _tick in decode(message):
                    taken += 1
                    if not taken:
                        meter = Meter()
                    elif taken == count:
                        meter.finish(taken)


trio.run(main)
