"""B2: from the bytes of a WebSocket to typed ticks, protocol only, one core.

Serves decision 1 of the design: a frame codec of our own on the hot path. The same bytes go through our codec, session
and decoder; through wsproto with the same msgspec decoder behind it; and the same ticks, in one JSON array, through
msgspec alone, which is what cannot be beaten.
"""

from __future__ import annotations

from random import Random
from typing import cast

import msgspec
import wsproto.connection
from wsproto.events import BytesMessage, TextMessage

from benchmarks.budget import Verdict, at_least
from benchmarks.measure import Contender, measure
from potrio.limits import READ_MAX
from potrio.protocol.client_session import ClientSession
from potrio.protocol.events import EventReceived, EventRun
from potrio.protocol.frames import Message
from potrio.protocol.messages.codec import decode_server_event
from potrio.protocol.messages.market import Tick, UpdateStream
from potrio.protocol.messages.market_wire import decode_tick_run
from potrio.protocol.websocket import WebSocketCodec

__all__ = [
    "frame",
    "through_msgspec",
    "through_potrio",
    "through_wsproto",
    "ticks_of",
    "verdicts",
    "wire_of",
]

HEADER = b'451-["updateStream",{"_placeholder":true,"num":0}]'
ASSETS = ("EURUSD_otc", "GBPUSD_otc", "#AAPL_otc", "BTCUSD")
HANDSHAKE: list[Message] = [
    '0{"sid":"hJMEfEXgdH1YfPkvWfj2","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
    '40{"sid":"jO9fNsBqK3p2AAAB"}',
]
SUCCESS: list[Message] = [
    '451-["successauth",{"_placeholder":true,"num":0}]',
    b'{"id":"x","serverName":"bench"}',
]

COUNT = 100_000
OURS = "potrio.protocol"
BASE = "msgspec, one array"

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


def through_potrio(reads: list[bytes]) -> list[Tick]:
    """Our whole protocol floor: frames, Engine.IO, Socket.IO, attachments, JSON."""
    codec = WebSocketCodec("client", mask_bytes=bytes)
    session = ClientSession(now=0.0, gathers=True)
    session.receive_messages(HANDSHAKE, 0.0)
    session.authenticate('{"session":"x","isDemo":1,"uid":1,"platform":1}')
    session.receive_messages(SUCCESS, 0.0)
    session.messages_to_send()
    ticks: list[Tick] = []
    for read in reads:
        messages = cast(
            "list[Message]", codec.receive_data(read, 0.0)
        )  # there are no control frames among them
        for event in session.receive_messages(messages, 0.0):
            if isinstance(event, EventRun):
                ticks += decode_tick_run(event.payloads, event.joined)
            elif isinstance(event, EventReceived):
                message = decode_server_event(event.name, event.payload)
                if isinstance(message, UpdateStream):
                    ticks += message.ticks
    return ticks


def through_wsproto(reads: list[bytes]) -> list[Tick]:
    """wsproto for the frames, the shortest correct pairing of header and attachment, and the same msgspec decoder."""
    connection = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT)
    decoder = msgspec.json.Decoder(list[Tick])
    ticks: list[Tick] = []
    text, data = "", b""
    name = ""
    for read in reads:
        connection.receive_data(read)
        for event in connection.events():  # a message that is cut by the end of a read comes in pieces
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    name, text = text[6 : text.index('"', 6)], ""
            elif isinstance(event, BytesMessage):
                data += event.data
                if event.message_finished:
                    if name == "updateStream":
                        ticks += decoder.decode(data)
                    data = b""
    return ticks


def through_msgspec(array: bytes) -> list[Tick]:
    """All ticks in one array: the floor under everything."""
    return msgspec.json.decode(array, type=list[Tick])


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure."""
    count = max(100, int(COUNT * scale))
    reads, array = wire_of(ticks_of(count)), msgspec.json.encode(ticks_of(count))
    rates = measure(
        [
            Contender(OURS, lambda: len(through_potrio(reads))),
            Contender(BASE, lambda: len(through_msgspec(array))),
            Contender("wsproto and msgspec", lambda: len(through_wsproto(reads))),
        ],
        rounds,
    )
    ours = rates.pop(OURS)
    ratio = ours / rates[BASE]
    name, unit = "bytes to typed ticks, protocol only", "ticks/s of processor time"
    words, met = at_least(RATIO_MIN, ratio, BASE)
    return [
        Verdict("B2a", name, unit, ours, rates, ratio, words, met),
        Verdict("B2b", name, unit, ours, {}, ours / RATE_MIN, f">= {RATE_MIN:,} a second", ours >= RATE_MIN),
    ]
