"""B2: from the bytes of a WebSocket to typed ticks, protocol only, one core.

Serves decision 1 of the design: a frame codec of our own on the hot path. The same bytes go through our codec, session
and decoder; through wsproto with the same msgspec decoder behind it; and the same ticks, in one JSON array, through
msgspec alone, which is what cannot be beaten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import msgspec
import wsproto.connection
from potrio.protocol.client_session import ClientSession
from wsproto.events import BytesMessage, TextMessage

from benchmarks.measure import Contender, Report, Row, measure
from potrio.limits import READ_MAX
from potrio.protocol.events import EventReceived
from potrio.protocol.messages.codec import decode_server_event
from potrio.protocol.messages.market import Tick, UpdateStream
from potrio.protocol.websocket import WebSocketCodec

__all__ = ["report", "through_msgspec", "through_potrio", "through_wsproto", "ticks_of", "wire_of"]

HEADER = b'451-["updateStream",{"_placeholder":true,"num":0}]'
ASSETS = ("EURUSD_otc", "GBPUSD_otc", "#AAPL_otc", "BTCUSD")
HANDSHAKE = [
    '0{"sid":"hJMEfEXgdH1YfPkvWfj2","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
    '40{"sid":"jO9fNsBqK3p2AAAB"}',
]
SUCCESS = ['451-["successauth",{"_placeholder":true,"num":0}]', b'{"id":"x","serverName":"bench"}']

RATE_MIN = 1_000_000
RATIO_MIN = 0.30


def ticks_of(count: int, seed: int = 1) -> list[Tick]:
    """Ticks as a venue makes them: a walk over four assets."""
    random = Random(seed)
    price = 1.1
    ticks = []
    for number in range(count):
        price += random.uniform(-1, 1) / 10_000
        ticks.append(Tick(random.choice(ASSETS), round(1_770_856_131 + number * 0.5, 3), round(price, 5)))
    return ticks


def frame(first: int, payload: bytes) -> bytes:
    """One frame as a server sends it."""
    length = len(payload)
    return (
        bytes((first, length)) if length < 126 else bytes((first, 126)) + length.to_bytes(2, "big")
    ) + payload


def wire_of(ticks: list[Tick]) -> list[bytes]:
    """The reads a socket would bring: header and attachment for each tick, cut at the size of a read."""
    header = frame(0x81, HEADER)
    stream = b"".join(header + frame(0x82, msgspec.json.encode([tick])) for tick in ticks)
    return [stream[start : start + READ_MAX] for start in range(0, len(stream), READ_MAX)]


def through_potrio(reads: list[bytes]) -> Iterator[Tick]:
    """Our whole protocol floor: frames, Engine.IO, Socket.IO, attachments, JSON."""
    codec = WebSocketCodec("client", mask_bytes=bytes)
    session = ClientSession(now=0.0)
    session.receive_messages(HANDSHAKE, 0.0)
    session.authenticate('{"session":"x","isDemo":1,"uid":1,"platform":1}')
    session.receive_messages(SUCCESS, 0.0)
    session.messages_to_send()
    for read in reads:
        for event in session.receive_messages(codec.receive_data(read, 0.0), 0.0):
            assert isinstance(event, EventReceived)
            message = decode_server_event(event.name, event.payload)
            assert isinstance(message, UpdateStream)
            yield from message.ticks


def through_wsproto(reads: list[bytes]) -> Iterator[Tick]:
    """wsproto for the frames, the shortest correct pairing of header and attachment, and the same msgspec decoder."""
    connection = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT)
    decoder = msgspec.json.Decoder(list[Tick])
    name = ""
    for read in reads:
        connection.receive_data(read)
        for event in connection.events():
            if isinstance(event, TextMessage):
                name = event.data[6 : event.data.index('"', 6)]
            elif isinstance(event, BytesMessage) and name == "updateStream":
                yield from decoder.decode(event.data)


def through_msgspec(array: bytes) -> Iterator[Tick]:
    """All ticks in one array: the floor under everything."""
    yield from msgspec.json.decode(array, type=list[Tick])


def counted(decode: Callable[[], Iterator[Tick]]) -> Callable[[], int]:
    """Run to the end and count."""
    return lambda: sum(1 for _ in decode())


def report(count: int = 100_000, rounds: int = 7) -> Report:
    """Measure."""
    ticks = ticks_of(count)
    reads, array = wire_of(ticks), msgspec.json.encode(ticks)
    rows = measure(
        [
            Contender("msgspec, one array", counted(lambda: through_msgspec(array))),
            Contender("potrio.protocol", counted(lambda: through_potrio(reads))),
            Contender("wsproto + msgspec", counted(lambda: through_wsproto(reads))),
        ],
        base="msgspec, one array",
        rounds=rounds,
    )
    ours: Row = next(row for row in rows if row.name == "potrio.protocol")
    return Report(
        "B2 decode: bytes to typed ticks",
        "ticks",
        "msgspec, one array",
        rows,
        {
            f"at least {RATE_MIN:,} ticks/s": ours.per_second >= RATE_MIN,
            f"at least {RATIO_MIN:.0%} of msgspec": ours.ratio >= RATIO_MIN,
        },
    )
