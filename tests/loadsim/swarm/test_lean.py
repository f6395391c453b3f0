"""The lean session says, answers and ends exactly as codec and session in full, whatever comes, however it is cut."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadsim.swarm.lean import Kit, LeanSession
from potrio.errors import ConnectionBroken, LocalProtocolError
from potrio.protocol.client_session import ClientSession
from potrio.protocol.events import Authenticated, Connected, EventReceived, SessionEvent
from potrio.protocol.frames import PING, PONG, TEXT, Message, encode_close, encode_frame, encode_messages
from potrio.protocol.state import SessionState
from potrio.protocol.websocket import WebSocketCodec
from potrio.secrets import Secret

OPEN = '0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
HEADER = '451-["updateStream",{"_placeholder":true,"num":0}]'
TICK = b'[["EURUSD_otc",1790000000.5,1.2345]]'
LOGIN: list[list[Message]] = [
    [OPEN],
    ['40{"sid":"def"}'],
    [HEADER.replace("updateStream", "successauth"), b"{}"],
]


class Full:
    """Codec and session as `FramedTransport` and an actor drive them."""

    def __init__(self) -> None:
        self.codec = WebSocketCodec("client", mask_bytes=bytes)
        self.session = ClientSession(now=0.0)

    def receive_data(self, data: bytes, now: float) -> tuple[list[SessionEvent], bytes]:
        messages = [each for each in self.codec.receive_data(data, now) if isinstance(each, str | bytes)]
        events = self.session.receive_messages(messages, now) if messages else []
        queued = self.session.messages_to_send()
        if self.codec.closed:
            close = self.codec.close_received
            code = "" if close is None else f" (code {close.code})"
            error = self.codec.close_exc or ConnectionBroken(f"the server closed the connection{code}")
            events += self.session.receive_close(error)
        elif queued:
            self.codec.send_messages(queued)
        return events, self.codec.data_to_send()


def frames(*messages: Message) -> bytes:
    """What a server sends."""
    return encode_messages(messages)[0]


def ready() -> tuple[LeanSession, Full]:
    """Both, logged in."""
    lean, full = LeanSession(Kit(bytes), 0.0), Full()
    for messages in LOGIN:
        assert told(lean.receive_data(frames(*messages), 0.0)) == told(
            full.receive_data(frames(*messages), 0.0)
        )
        if messages[0] == LOGIN[1][0]:
            full.session.authenticate('{"x":1}')
            full.codec.send_messages(full.session.messages_to_send())
            assert lean.authenticate(Secret('{"x":1}')) == full.codec.data_to_send()
    assert lean.is_lean
    return lean, full


def told(result: tuple[list[SessionEvent], bytes]) -> tuple[list[object], bytes]:
    """Events and bytes in a form that compares errors by what they say."""
    return [(type(event), repr(event)) for event in result[0]], result[1]


def test_a_login_ends_lean_and_small() -> None:
    kit = Kit(bytes)
    lean = LeanSession(kit, 0.0)
    found: list[SessionEvent] = []
    for messages in LOGIN:
        events, _ = lean.receive_data(frames(*messages), 0.0)
        found += events
        if any(isinstance(event, Connected) for event in events):
            lean.authenticate(Secret("{}"))
    assert isinstance(found[-1], Authenticated)
    assert lean.is_lean
    assert lean.state is SessionState.READY
    assert sum(sys.getsizeof(getattr(lean, name)) for name in ("_heard_at",)) + sys.getsizeof(lean) < 200


def test_ticks_and_pings_need_nothing_full() -> None:
    lean, full = ready()
    for number in range(5):
        data = frames(HEADER, TICK, "2")
        got = lean.receive_data(data, float(number))
        assert told(got) == told(full.receive_data(data, float(number)))
        assert isinstance(got[0][0], EventReceived)
        assert got[1] == encode_messages(["3"], bytes)[0]
        assert lean.is_lean


def test_a_header_is_known_to_all_once_one_has_met_it() -> None:
    kit = Kit(bytes)
    sessions = []
    for _ in range(2):
        session = LeanSession(kit, 0.0)
        for messages in LOGIN:
            session.receive_data(frames(*messages), 0.0)
            if messages is LOGIN[1]:
                session.authenticate(Secret("{}"))
        sessions.append(session)
    sessions[0].receive_data(frames(HEADER, TICK), 1.0)
    assert HEADER in kit.known
    sessions[1].receive_data(frames(HEADER), 1.0)
    assert not sessions[1].is_lean, "a header without its attachment is kept by a full session"
    events, _ = sessions[1].receive_data(frames(TICK), 1.0)
    assert events == [EventReceived("updateStream", TICK, "/", None, True, events[0].args, (TICK,))]  # type: ignore[union-attr]  # it is one
    assert sessions[1].is_lean


MESSAGES = st.sampled_from(
    [
        (HEADER, TICK),
        (HEADER, TICK),
        (HEADER, b"\x04" + TICK),
        (HEADER, b""),
        (HEADER, "2", TICK),
        (HEADER,),
        (TICK,),
        ("2",),
        ("2", "2"),
        ("2",) * 40,
        ("2probe",),
        ("3",),
        ("6",),
        ('42["updateBalance",{"balance":1}]',),
        ('4215["asked",1]',),
        ('451-7["updateStream",{"_placeholder":true,"num":0}]', TICK),
        ('452-["two",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"a", b"b"),
        ('42["NotAuthorized"]',),
        ('451-["NotAuthorized",{"_placeholder":true,"num":0}]', b"{}"),
        ('42["successauth",{}]',),
        ('451-["other",{"_placeholder":true,"num":0}]', TICK * 4000),
        ("41",),
        ("1",),
        ("nonsense",),
    ]
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """What a server may send after the login, and where the reads are cut."""
    data = b""
    for messages in draw(st.lists(MESSAGES, max_size=8)):
        data += frames(*messages)
        extra = draw(st.integers(0, 9))
        if extra == 0:
            data += encode_frame(PING, b"p")
        elif extra == 1:
            data += encode_frame(PONG, b"")
        elif extra == 2:
            data += encode_frame(TEXT, b"42[", final=False) + encode_frame(0, b'"x"]')
        elif extra == 3:
            data += encode_frame(8, encode_close(draw(st.sampled_from([1000, 1001, 1013])), "bye"))
        elif extra == 4:
            data += draw(st.binary(max_size=4))
    return data, draw(st.lists(st.integers(1, 200), max_size=30))


@settings(max_examples=400, deadline=None)
@example((frames(HEADER, TICK) * 3, [40, 3, 60]))
@example((frames(HEADER, TICK) + frames(HEADER, b"\x04" + TICK), [len(frames(HEADER, TICK))]))
@given(streams())
def test_it_is_equal_to_the_full_ones(stream: tuple[bytes, list[int]]) -> None:
    data, cuts = stream
    lean, full = ready()
    now = 1.0
    for piece in pieces(data, cuts):
        now += 1.0
        assert told(lean.receive_data(piece, now)) == told(full.receive_data(piece, now))
        assert lean.state is full.session.state
        assert lean.deadline() == pytest.approx(full.session.next_deadline())
    end = ConnectionBroken("gone")
    assert told((lean.receive_close(end), b"")) == told((full.session.receive_close(end), b""))


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    found = []
    for size in cuts:
        found.append(data[:size])
        data = data[size:]
    return [piece for piece in [*found, data] if piece]


def test_silence_ends_it() -> None:
    lean, full = ready()
    data = frames(HEADER, TICK)
    lean.receive_data(data, 100.0)
    full.receive_data(data, 100.0)
    deadline = lean.deadline()
    assert deadline == full.session.next_deadline() == 146.0
    assert lean.handle_deadline(145.0) == []
    assert told((lean.handle_deadline(147.0), b"")) == told((full.session.handle_deadline(147.0), b""))
    assert lean.state is SessionState.CLOSED
    with pytest.raises(LocalProtocolError):
        lean.send_event("ps")


def test_events_are_sent_masked_and_only_when_ready() -> None:
    lean, full = ready()
    full.codec.send_messages(['42["openOrder",{"amount":1}]'])
    assert lean.send_event("openOrder", b'{"amount":1}') == full.codec.data_to_send()
    with pytest.raises(LocalProtocolError, match="OPENING"):
        LeanSession(Kit(bytes), 0.0).send_event("ps")
    with pytest.raises(LocalProtocolError):
        lean.send_event("bad", b"{")
