"""Growth: how the cost of delivery grows with the number of subscriptions and of subscribers to one asset.

The whole path of a read in one process: frames, session, decoding, feeds, rings, and readers that look at each tick
of what `receive_batch` gives them after each read. The work is the number of ticks delivered; printed is the exponent
of cost over work, the slope of a line through the logarithms. 1.0 means that each tick costs the same however many
there are. How the cost grows with the number of connections is measured by ``swarm``, whose sockets are real.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from statistics import linear_regression, median
from typing import cast

import msgspec
import trio

from benchmarks.budget import Verdict
from benchmarks.decode import HANDSHAKE, HEADER, SUCCESS, frame
from potrio.actors.feeds import Feeds, TickStream
from potrio.actors.stream import Stream
from potrio.limits import READ_MAX
from potrio.protocol.client_session import ClientSession
from potrio.protocol.events import EventReceived, EventRun
from potrio.protocol.frames import Message
from potrio.protocol.messages.codec import decode_server_event
from potrio.protocol.messages.market import Tick, UpdateStream
from potrio.protocol.messages.market_wire import decode_tick_run
from potrio.protocol.websocket import WebSocketCodec

__all__ = ["Path", "exponent", "verdicts"]

SUBSCRIPTIONS = (1, 4, 20, 100, 400)
SUBSCRIBERS = (1, 3, 10, 30, 100)
TICKS = 40_000
"""Ticks delivered at each point, at least: the same work for each, so that each takes about as long."""

EXPONENT_MAX = 1.05


class Path:
    """From the bytes of a read to the rings of its readers.

    Args:
        assets: how many assets are subscribed to.
        readers: how many streams read each of them.
    """

    def __init__(self, assets: int, readers: int) -> None:
        self.codec = WebSocketCodec("client", mask_bytes=bytes)
        self.session = ClientSession(now=0.0, gathers=True)
        self.session.receive_messages(HANDSHAKE, 0.0)
        self.session.authenticate('{"session":"x","isDemo":1,"uid":1,"platform":1}')
        self.session.receive_messages(SUCCESS, 0.0)
        self.session.messages_to_send()
        self.names = [f"ASSET{number:03}_otc" for number in range(assets)]
        self.feeds = Feeds(limit=assets)
        self.streams: list[TickStream] = [Stream(capacity=100_000) for _ in range(readers)]
        for stream in self.streams:
            self.feeds.add(stream, self.names)

    def reads(self, count: int) -> list[bytes]:
        """That many ticks, taking turns over the assets, as a socket would bring them."""
        header = frame(0x81, HEADER)
        names = self.names
        stream = b"".join(
            header
            + frame(0x82, msgspec.json.encode([(names[n % len(names)], 1_770_856_131 + n / 1000, 1.1)]))
            for n in range(count)
        )
        return [stream[start : start + READ_MAX] for start in range(0, len(stream), READ_MAX)]

    async def run(self, reads: Sequence[bytes]) -> int:
        """Deliver them; returns how many ticks the readers got."""
        taken = 0
        for read in reads:
            messages = cast("list[Message]", self.codec.receive_data(read, 0.0))
            for event in self.session.receive_messages(messages, 0.0):
                self.deliver(event)
            for stream in self.streams:
                if stream.statistics().waiting:
                    for item in await stream.receive_batch():
                        taken += type(item) is Tick
        return taken

    def deliver(self, event: object) -> None:
        """Do what the router does with ticks."""
        if isinstance(event, EventRun):
            ticks = decode_tick_run(event.payloads, event.joined)
            if not self.feeds.publish_run(ticks):
                self.feeds.publish(ticks)
        elif isinstance(event, EventReceived):
            message = decode_server_event(event.name, event.payload)
            if isinstance(message, UpdateStream):
                self.feeds.publish(cast("list[Tick]", message.ticks))


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of log cost over log work."""
    work, cost = ([math.log(each[axis]) for each in points] for axis in (0, 1))
    return linear_regression(work, cost).slope


def measure(make: Callable[[int], Path], sizes: Sequence[int], rounds: int, ticks: int) -> dict[int, float]:
    """Seconds of processor time for each tick delivered, by size; sizes take turns.

    A size whose readers are many gets fewer reads: the deliveries are what is counted.
    """
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            path = make(size)
            reads = path.reads(max(2000, ticks // len(path.streams)))
            gc.collect()
            started = time.process_time()
            delivered = trio.run(path.run, reads)
            costs[size].append((time.process_time() - started) / delivered)
    return {size: median(each) for size, each in costs.items()}


def verdict(id_: str, name: str, costs: dict[int, float]) -> Verdict:
    """What the costs say: the total for work in proportion to the size, and how it grows."""
    slope = exponent([(size, size * cost) for size, cost in costs.items()])
    return Verdict(
        id_,
        f"cost of delivery against {name}, {min(costs)} to {max(costs)}",
        "exponent of cost over work",
        slope,
        {},
        slope,
        f"<= {EXPONENT_MAX}",
        slope <= EXPONENT_MAX,
        {
            "microseconds of processor time per delivered tick": {
                size: round(1e6 * cost, 3) for size, cost in costs.items()
            },
            "ticks delivered per second of processor time": {
                size: round(1 / cost) for size, cost in costs.items()
            },
        },
    )


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure."""
    ticks = max(500, int(TICKS * scale))
    return [
        verdict("G1", "subscriptions", measure(lambda size: Path(size, 1), SUBSCRIPTIONS, rounds, ticks)),
        verdict(
            "G2", "subscribers to an asset", measure(lambda size: Path(1, size), SUBSCRIBERS, rounds, ticks)
        ),
    ]
