"""The venue the benchmarks run against, a process of its own: the real desk, and ticks as fast as TCP takes them.

Log-in, asset table, history and orders are answered by the desk of loadsim's venue over a `ServerSession`. Once a
client watches as many assets as it is told to wait for, ticks flow: encoded beforehand and written in large blocks
(``--count``), or one by one at a steady rate (``--rate``), each with the moment of its sending as its price.

A second port speaks no WebSocket, for bare peers and for control. The first line says what is wanted: ``echo`` (all
further bytes come back), ``ticks`` (the very bytes a subscriber gets at the rate), ``drop N`` (ends the N-th client's
TCP connection without a word). The process prints one JSON line with its addresses and serves until its standard
input ends.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time

import msgspec
import trio

from benchmarks.decode import ASSETS, HEADER, frame
from loadsim.venue.config import VenueConfig
from loadsim.venue.deals import Book
from loadsim.venue.desk import Desk, Rejection
from loadsim.venue.market import Market
from loadsim.venue.pending import PendingBook
from loadsim.venue.reply import Reply
from loadsim.venue.stats import Stats
from loadsim.venue.visitor import Visitor
from loadsim.venue.wire import header_of, to_json
from potrio.errors import PotrioError
from potrio.protocol.engineio import Message
from potrio.protocol.events import AuthRequested, Closed, Connected, EventReceived, SessionEvent
from potrio.protocol.server_session import ServerSession
from potrio.seam import REAL, tune
from potrio.transport.accept import accept
from potrio.transport.framed import FramedTransport

ZONE_S = 7200
BLOCK = 256 * 1024
STEP_S = 0.0005
"""Venue seconds between two ticks of a blast: they never go back, and stay well within an hour of now."""

HEADER_FRAME = frame(0x81, HEADER)


class Options(msgspec.Struct, frozen=True):
    """What flows, and when."""

    count: int
    rate: float
    streams: int
    repeat: int


def tick_frames(asset: str, stamp: float, price: float) -> bytes:
    """One tick on the wire: the header of the event and its attachment."""
    return HEADER_FRAME + frame(0x82, msgspec.json.encode([(asset, stamp, price)]))


def blast_of(count: int, step_s: float = STEP_S) -> list[bytes]:
    """The frames of that many ticks, taking turns over the assets, in blocks."""
    stamp = round(time.time()) + ZONE_S
    frames = [
        tick_frames(ASSETS[n % len(ASSETS)], round(stamp + n * step_s, 4), round(1.1 + n % 977 / 100_000, 5))
        for n in range(count)
    ]
    stream = b"".join(frames)
    return [stream[start : start + BLOCK] for start in range(0, len(stream), BLOCK)]


class Blaster:
    """What all clients share: the desk and the ticks."""

    def __init__(self, options: Options) -> None:
        config = VenueConfig()
        self.options = options
        self.market = Market(
            config.seed,
            volatility=config.market.volatility,
            payout_period_s=config.market.payout_period_s,
            history_start=int(time.time()) - 86_400,
        )
        self.desk = Desk(
            config,
            self.market,
            Book(config.trading),
            PendingBook(),
            Stats(),
            new_id=REAL.new_id,
            save=lambda: None,
        )
        self.table = to_json(self.market.table(time.time() + ZONE_S))
        # What is sent again must not go back in time: then all of it is of one moment.
        self.blast = blast_of(options.count, STEP_S if options.repeat == 1 else 0.0)
        self.streams: list[trio.SocketStream] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one client until it leaves."""
        try:
            request = await accept(tune(stream))
            if not request.wants_websocket:
                await request.respond(404)
                return
            self.streams.append(stream)
            visit = Visit(self, stream, await request.upgrade())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(visit.keep_deadlines)
                await visit.read(nursery)
                nursery.cancel_scope.cancel()
        except* (PotrioError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has seen enough
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async def serve_bare(self, stream: trio.SocketStream) -> None:
        """Serve one connection of the second port."""
        tune(stream)
        try:
            line, _, rest = bytes(await stream.receive_some(1024)).partition(b"\n")
            word, _, argument = line.partition(b" ")
            if word == b"echo":
                while True:
                    if rest:
                        await stream.send_all(rest)
                    rest = bytes(await stream.receive_some(65_536))
                    if not rest:
                        return
            if word == b"ticks":
                await self.pace(stream, trio.Lock())
            if word == b"drop":
                await trio.aclose_forcefully(self.streams[int(argument)])
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the other side has seen enough
        finally:
            await trio.aclose_forcefully(stream)

    async def flow(self, stream: trio.SocketStream, lock: trio.Lock) -> None:
        """Send what the options say, once."""
        for _ in range(self.options.repeat):
            for block in self.blast:
                async with lock:
                    await stream.send_all(block)
        if self.options.rate:
            await self.pace(stream, lock)

    async def pace(self, stream: trio.SocketStream, lock: trio.Lock) -> None:
        """Send one tick at a time; one that is late is sent at once."""
        period = 1 / self.options.rate
        due = trio.current_time()
        number = 0
        while True:
            asset = ASSETS[number % max(1, self.options.streams)]
            async with lock:
                await stream.send_all(tick_frames(asset, time.time() + ZONE_S, time.monotonic()))
            number += 1
            due += period
            await trio.sleep_until(due)


class Visit:
    """One client."""

    def __init__(self, blaster: Blaster, stream: trio.SocketStream, transport: FramedTransport) -> None:
        self.blaster = blaster
        self.stream = stream
        self.transport = transport
        self.lock = trio.Lock()
        self.session = ServerSession(sid=REAL.new_id().replace("-", "")[:20], now=trio.current_time())
        self.visitor: Visitor | None = None
        self.flowing = False

    async def read(self, nursery: trio.Nursery) -> None:
        """Answer what comes until the client leaves."""
        await self.write()
        while True:
            messages = await self.transport.receive()
            for event in self.session.receive_messages(messages, trio.current_time()):
                if isinstance(event, Closed):
                    return
                self.take(event)
            await self.write()
            watched = 0 if self.visitor is None else len(self.visitor.streams)
            if not self.flowing and watched >= self.blaster.options.streams:
                self.flowing = True
                nursery.start_soon(self.blaster.flow, self.stream, self.lock)

    def take(self, event: SessionEvent) -> None:
        """Queue the answer to one event."""
        desk = self.blaster.desk
        match event:
            case Connected():
                self.session.send_encoded((header_of("updateAssets"), self.blaster.table))
            case AuthRequested(payload=payload):
                verdict = desk.authenticate(payload)
                if isinstance(verdict, Rejection):
                    self.session.reject_auth()
                    return
                self.visitor = verdict
                accepted, said = desk.welcome(verdict)
                early = self.session.accept_auth(accepted)
                self.say(said)
                for each in early:
                    self.take(each)
            case EventReceived(name=name, payload=payload) if self.visitor is not None:
                now = time.time()
                self.say(desk.handle(self.visitor, name, payload, int((now + ZONE_S) * 1000), now))
            case _:
                pass

    def say(self, replies: list[Reply]) -> None:
        """Queue the desk's replies that are for this client."""
        for reply in replies:
            if reply.scope.value != "others":
                messages: tuple[Message, ...] = (header_of(reply.event), reply.payload)
                if reply.is_text:
                    messages = (f'42["{reply.event}",{reply.payload.decode()}]',)
                self.session.send_encoded(messages)

    async def write(self) -> None:
        """Send what is queued."""
        messages = self.session.messages_to_send()
        if messages:
            async with self.lock:
                await self.transport.send(messages)

    async def keep_deadlines(self) -> None:
        """Ping when it is time."""
        while True:
            await trio.sleep_until(self.session.next_deadline() or math.inf)
            self.session.handle_deadline(trio.current_time())
            await self.write()


async def serve(options: Options) -> None:
    """Listen on two ports, say where, and serve until standard input ends."""
    blaster = Blaster(options)
    async with trio.open_nursery() as nursery:
        ports = []
        for handler in (blaster.serve, blaster.serve_bare):
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            ports.append(listeners[0].socket.getsockname()[1])
            nursery.start_soon(trio.serve_listeners, handler, listeners)
        url = f"ws://127.0.0.1:{ports[0]}/socket.io/?EIO=4&transport=websocket"
        print(json.dumps({"url": url, "bare_port": ports[1]}), flush=True)
        await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        os._exit(0)  # whoever closed standard input wants it gone


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blaster", description=__doc__)
    parser.add_argument("--count", type=int, default=0, help="ticks of the blast each subscriber gets")
    parser.add_argument("--rate", type=float, default=0.0, help="ticks a second after the blast; 0: none")
    parser.add_argument("--streams", type=int, default=4, help="assets a client must watch before ticks flow")
    parser.add_argument("--repeat", type=int, default=1, help="times the blast is sent")
    options = parser.parse_args()
    trio.run(serve, Options(options.count, options.rate, options.streams, options.repeat))


if __name__ == "__main__":
    main()
