"""picows on uvloop with a bare callback, and msgspec behind it: the fastest there is in Python."""

from __future__ import annotations

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from scene import TICKS, Meter, answers, url_and_count
from tick import decode


class Listener(WSListener):
    """The callback is the user's code."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = -1
        self.header = b""
        self.meter = Meter()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Log in, then take ticks."""
        if frame.msg_type == WSMsgType.TEXT:
            self.header = frame.get_payload_as_bytes()
            if not self.header.startswith(HEADER):
                for answer in answers(self.header.decode()):
                    transport.send(WSMsgType.TEXT, answer.encode())
        elif self.header.startswith(HEADER):
            for _tick in decode(frame.get_payload_as_memoryview()):
                self.taken += 1
                if not self.taken:
                    self.meter = Meter()
                elif self.taken == self.count:
                    self.meter.finish(self.taken)


HEADER = TICKS.encode()


async def main() -> None:
    """Connect and let the callback work."""
    url, count = url_and_count()
    transport, _listener = await ws_connect(lambda: Listener(count), url)
    await transport.wait_disconnected()


uvloop.run(main())
