"""The server of the swarm's benchmark, a process of its own: logs everybody in, then one tick a second for each client.

On the poller as the venue is, but with as little behind it as there can be, so that it costs less than what is
measured. The ticks of a second are spread over fifty moments, and each client gets its own write. The process prints
one JSON line with its address and serves until its standard input ends.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import os
import re
import resource
import sys
import time
from functools import partial

import trio

from benchmarks.blaster import ZONE_S, tick_frames
from benchmarks.decode import ASSETS, HEADER, frame
from potrio.errors import PotrioError
from potrio.protocol.frames import encode_messages
from potrio.protocol.websocket import WebSocketCodec
from potrio.seam import REAL
from potrio.transport.line import Line, LineOwner
from potrio.transport.poller import Poller

__all__ = ["raise_descriptors"]

SLOTS = 50
KEY = re.compile(rb"(?im)^sec-websocket-key:\s*(\S+)")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
OPEN = encode_messages(
    ['0{"sid":"crowd","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}']
)[0]
CONNECT = encode_messages(['40{"sid":"crowd"}'])[0]
SUCCESS = frame(0x81, HEADER.replace(b"updateStream", b"successauth")) + frame(0x82, b'{"id":"1"}')


def raise_descriptors() -> int:
    """Allow as many descriptors as the system lets us have; return how many that are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Guest(LineOwner):
    """One client."""

    __slots__ = ("codec", "crowd", "head", "line")

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.head = b""
        self.codec: WebSocketCodec | None = None
        self.line: Line | None = None

    def received(self, line: Line, data: bytes) -> None:
        """Upgrade, then answer ``40`` and ``auth``; everything else is heard and forgotten."""
        if self.codec is None:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            key = KEY.search(self.head)
            assert key is not None, "only WebSocket clients come here"
            accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
            line.send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + OPEN
            )
            self.head = b""
            self.codec = WebSocketCodec("server", mask_bytes=bytes)
            return
        for message in self.codec.receive_data(data, 0.0):
            if message == "40":
                line.send(CONNECT)
            elif isinstance(message, str) and message.startswith('42["auth"'):
                line.send(SUCCESS)
                self.crowd.enter(line)

    def closed(self, line: Line, error: Exception | None) -> None:
        """Leave."""
        self.crowd.leave(line)


class Crowd:
    """All who are logged in, and the ticks they get."""

    def __init__(self, rate: float) -> None:
        self.poller = Poller()
        self.slots: list[dict[Line, None]] = [{} for _ in range(SLOTS)]
        self.entered = 0
        self.pause_s = 1 / rate / SLOTS
        self.number = 0
        self.due = -math.inf

    def enter(self, line: Line) -> None:
        """One more gets ticks."""
        self.slots[self.entered % SLOTS][line] = None
        self.entered += 1

    def leave(self, line: Line) -> None:
        """One less."""
        for slot in self.slots:
            slot.pop(line, None)

    def tick(self) -> float:
        """Send what is due; return when the next moment is."""
        now = trio.current_time()
        if now >= self.due:
            self.due = max(self.due, now - 1.0) + self.pause_s
            self.number += 1
            data = tick_frames(ASSETS[0], time.time() + ZONE_S, time.monotonic())
            for line in tuple(self.slots[self.number % SLOTS]):
                try:
                    line.send(data)
                except PotrioError:
                    pass  # Reading tells its end.
        return self.due

    async def accept(self, stream: trio.SocketStream) -> None:
        """Take over one more connection."""
        guest = Guest(self)
        guest.line = self.poller.add(REAL.take_socket(stream), guest)


async def serve(rate: float) -> None:
    """Listen, say where, and serve until standard input ends."""
    crowd = Crowd(rate)
    async with trio.open_nursery() as nursery:
        (listener,) = await REAL.listen_tcp("127.0.0.1", 0)
        nursery.start_soon(trio.serve_listeners, crowd.accept, [listener])
        nursery.start_soon(partial(crowd.poller.run, timers=crowd.tick))
        port = listener.socket.getsockname()[1]
        print(json.dumps({"url": f"ws://127.0.0.1:{port}/", "bare_port": port}), flush=True)
        await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        os._exit(0)  # whoever closed standard input wants it gone


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("--rate", type=float, default=1.0, help="ticks a second for each client")
    raise_descriptors()
    trio.run(serve, parser.parse_args().rate)


if __name__ == "__main__":
    main()
