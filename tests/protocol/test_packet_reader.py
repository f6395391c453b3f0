"""Headers joined with attachments: the short way gives what the long way gives; bounds in count, bytes and time."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import LimitExceeded, RemoteProtocolError
from potrio.limits import BINARY_HEADERS_KEPT_MAX
from potrio.protocol.engineio import Handshake, Message
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import EventReceived, EventRun
from potrio.protocol.packet_reader import PacketReader
from potrio.protocol.socketio import SocketIOPacket

OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
P0 = b'{"_placeholder":true,"num":0}'


def header(name: str, count: int = 1) -> str:
    placeholders = "".join(f',{{"_placeholder":true,"num":{number}}}' for number in range(count))
    return f'45{count}-["{name}"{placeholders}]'


class Recorder:
    """A reader whose packets become plain events, and which counts those that took the long way."""

    def __init__(self, role: str = "client", *, bytes_max: int = 1000, gathers: bool = False) -> None:
        self.engine = EngineIOSession(role, now=0.0, handshake=Handshake("s") if role == "server" else None)
        self.engine.receive_messages([OPEN] if role == "client" else [], 0.0)
        self.engine.messages_to_send()
        self.frames: list = []
        self.packets: list[SocketIOPacket] = []
        self.events: list = []
        self.ends_after: str | None = None
        self.reader = PacketReader(
            self.engine,
            role,
            receive_frame=lambda frame, events: self.frames.append(frame),
            receive_packet=self.take,
            bytes_max=bytes_max,
            timeout=5.0,
            gathers=gathers,
        )

    def take(self, packet: SocketIOPacket, attachments: tuple[bytes, ...], events: list) -> None:
        self.packets.append(packet)
        payload = attachments[0] if attachments else (packet.args or (b"",))[0]
        events.append(
            EventReceived(
                packet.name,
                payload,
                packet.namespace,
                packet.ack_id,
                bool(attachments),
                packet.args,
                attachments,
            )
        )
        if packet.name == self.ends_after:
            self.engine.end(None)

    def read(self, *messages: Message, now: float = 0.0) -> list:
        events: list = []
        try:
            self.reader.read(messages, now, events)
        finally:
            self.events += events
        return events


# --- the common pair -------------------------------------------------------------------------------------------------


def test_an_equal_header_is_not_parsed_again() -> None:
    recorder = Recorder()
    pair = (header("updateStream"), b"[[1]]")
    first = recorder.read(*pair)
    later = recorder.read(*pair, *pair) + recorder.read(pair[0]) + recorder.read(pair[1])
    assert len(recorder.packets) == 1
    assert first == [EventReceived("updateStream", b"[[1]]", "/", None, True, (P0,), (b"[[1]]",))]
    assert later == first * 3


@pytest.mark.parametrize(
    "text",
    [
        '451-/custom,["x",{"_placeholder":true,"num":0}]',
        '451-7["x",{"_placeholder":true,"num":0}]',
        '451-["x",{"_placeholder":true,"num":0},1]',
        '451-["x",[{"_placeholder":true,"num":0}]]',
        '451-["x",1,{"_placeholder":true,"num":0}]',
    ],
)
def test_headers_of_another_form_are_parsed_each_time(text: str) -> None:
    recorder = Recorder()
    assert recorder.read(text, b"a") == recorder.read(text, b"a")
    assert len(recorder.packets) == 2


def test_a_packet_that_did_not_end_as_an_event_is_not_remembered() -> None:
    recorder = Recorder()
    recorder.reader._receive_packet = lambda packet, attachments, events: recorder.packets.append(packet)
    recorder.read(header("successauth"), b"a", header("successauth"), b"a")
    assert len(recorder.packets) == 2


def test_forgetting_sends_headers_the_long_way_again() -> None:
    recorder = Recorder()
    recorder.read(header("x"), b"a")
    recorder.reader.forget()
    recorder.read(header("x"), b"a")
    assert len(recorder.packets) == 2


def test_the_memory_of_headers_is_bounded() -> None:
    recorder = Recorder()
    for number in range(3 * BINARY_HEADERS_KEPT_MAX):
        recorder.read(header(f"x{number}"), b"a")
        assert len(recorder.reader._known) <= BINARY_HEADERS_KEPT_MAX
    assert len(recorder.packets) == 3 * BINARY_HEADERS_KEPT_MAX


PARTS = st.sampled_from(
    [
        (header("a"), b"1"),
        (header("b"), b"\x04[2]"),
        (header("a"), b"\x04x"),
        (header("c", 3), b"1", b"2", b"3"),
        ('42["t",1]',),
        ("2",),
        ('451-/n,["a",{"_placeholder":true,"num":0}]', b"4"),
    ]
)


@given(st.lists(PARTS, max_size=15), st.integers(1, 7), st.booleans())
def test_the_short_way_and_any_split_give_what_the_long_way_gives(
    parts: list[Sequence[Message]], chunk: int, with_heartbeats: bool
) -> None:
    messages = [message for part in parts for message in part]
    short, long = Recorder(), Recorder()
    for message in messages:
        long.reader.forget()
        long.read(message)
    between = ("2",) if with_heartbeats else ()
    for start in range(0, len(messages), chunk):
        short.read(*messages[start : start + chunk], *between)
    assert short.events == long.events
    assert len(short.packets) <= len(long.packets)


# --- attachments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("text", ["4", '42["x"]', "6", "1", "2probe", "3", "", "41", header("x")])
def test_text_where_an_attachment_is_due_is_an_error(known: bool, text: str) -> None:
    recorder = Recorder()
    if known:
        recorder.read(header("x"), b"a")
    recorder.read(header("x"))
    with pytest.raises(RemoteProtocolError):
        recorder.read(text)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("role", "heartbeat", "answer"), [("client", "2", ["3"]), ("server", "3", [])])
def test_a_heartbeat_may_come_between_and_is_answered(
    known: bool, role: str, heartbeat: str, answer: list
) -> None:
    recorder = Recorder(role)
    if known:
        recorder.read(header("x"), b"a")
    (event,) = recorder.read(header("x"), heartbeat, b"a")
    assert event.payload == b"a"
    assert recorder.engine.messages_to_send() == answer


def test_a_heartbeat_in_the_wrong_direction_between_is_an_error() -> None:
    with pytest.raises(RemoteProtocolError):
        Recorder("server").read(header("x"), "2")


def test_a_binary_message_without_header_is_an_error() -> None:
    recorder = Recorder()
    recorder.read(header("x"), b"a")
    with pytest.raises(RemoteProtocolError, match="belongs to no packet"):
        recorder.read(b"b")


@pytest.mark.parametrize("known", [False, True])
def test_bytes_are_bounded_to_the_edge(known: bool) -> None:
    recorder = Recorder(bytes_max=10)
    if known:
        recorder.read(header("x"), b"a")
    assert recorder.read(header("x"), bytes(10))
    with pytest.raises(LimitExceeded, match="limit of 10"):
        recorder.read(header("x"), bytes(11))


def test_bytes_of_several_are_bounded_together() -> None:
    with pytest.raises(LimitExceeded):
        Recorder(bytes_max=10).read(header("x", 2), bytes(6), bytes(5))


@pytest.mark.parametrize("known", [False, True])
def test_the_deadline_runs_from_the_header(known: bool) -> None:
    recorder = Recorder()
    assert recorder.reader.deadline is None
    if known:
        recorder.read(header("x"), b"a")
        assert recorder.reader.deadline is None
    recorder.read(header("x"), now=10.0)
    assert recorder.reader.deadline == 15.0
    recorder.read("2", now=12.0)
    assert recorder.reader.deadline == 15.0, "a heartbeat gives no more time"
    recorder.read(b"a", header("x"), now=13.0)
    assert recorder.reader.deadline == 18.0, "this one waits since the last read"
    recorder.read(b"a", now=14.0)
    assert recorder.reader.deadline is None


def test_the_deadline_does_not_move_with_each_attachment() -> None:
    recorder = Recorder()
    recorder.read(header("x", 3), b"a", now=1.0)
    recorder.read(b"b", now=5.0)
    assert recorder.reader.deadline == 6.0
    recorder.read(b"c", now=5.5)
    assert recorder.reader.deadline is None


# --- roles, frames, ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True])
def test_a_client_strips_the_old_type_byte_and_a_server_does_not(known: bool) -> None:
    for role, expected in (("client", b"[1]"), ("server", b"\x04[1]")):
        recorder = Recorder(role)
        if known:
            recorder.read(header("x"), b"a")
        (event,) = recorder.read(header("x"), b"\x04[1]")
        assert event.payload == expected
        assert event.attachments == (expected,)


def test_an_empty_attachment_is_one() -> None:
    recorder = Recorder()
    assert [event.payload for event in recorder.read(header("x"), b"", header("x"), b"")] == [b"", b""]


def test_other_frames_are_handed_on() -> None:
    recorder = Recorder()
    recorder.read("2", "6")
    assert [str(frame) for frame in recorder.frames] == ["PING(0)", "NOOP(0)"]
    assert recorder.engine.messages_to_send() == ["3"]


def test_nothing_is_read_after_the_end() -> None:
    recorder = Recorder()
    recorder.ends_after = "x"
    recorder.read('42["a"]', '42["x"]', '42["b"]', "garbage")
    assert [packet.name for packet in recorder.packets] == ["a", "x"]


def test_what_came_before_an_error_is_kept() -> None:
    recorder = Recorder()
    with pytest.raises(RemoteProtocolError):
        recorder.read('42["a"]', "garbage")
    assert [event.name for event in recorder.events] == ["a"]


# --- runs ------------------------------------------------------------------------------------------------------------


def apart(events: list) -> list:
    """Events, runs taken apart."""
    return [one for event in events for one in (event.events() if isinstance(event, EventRun) else [event])]


def test_a_run_of_equal_headers_is_one_event() -> None:
    recorder = Recorder(gathers=True, bytes_max=10_000)
    recorder.read(header("x"), b"0")
    payloads = [b"%d" % number for number in range(1000)]
    messages = [message for payload in payloads for message in (header("x"), payload)]
    (run,) = recorder.read(*messages)
    assert run == EventRun("x", tuple(payloads), b",".join(payloads), (P0,))
    assert [event.payload for event in run.events()] == payloads
    assert len(recorder.packets) == 1


def test_nothing_is_gathered_where_nobody_asked() -> None:
    recorder = Recorder()
    events = recorder.read(*(header("x"), b"0") * 20)
    assert [type(event) for event in events] == [EventReceived] * 20


def test_a_run_ends_where_something_else_comes() -> None:
    recorder = Recorder(gathers=True)
    recorder.read(header("x"), b"0", header("y"), b"0")
    run, other, again = recorder.read(
        *(header("x"), b"1") * 40, header("y"), b"2", *(header("x"), b"3") * 5, header("x")
    )
    assert (len(run.payloads), other.payload, len(again.payloads)) == (40, b"2", 5)
    assert [event.payload for event in recorder.read(b"4")] == [b"4"]


HEADERS = [header("x"), header("y"), header("z", 2)]
PIECES = st.one_of(
    st.tuples(st.sampled_from(HEADERS[:2]), st.integers(1, 40)).map(
        lambda it: [message for number in range(it[1]) for message in (it[0], b"%d" % number)]
    ),
    st.lists(
        st.sampled_from([*HEADERS, b"", b"1", b"\x04[1]", b"large" * 30, "2", "3", '42["t"]', "bad"]),
        max_size=4,
    ),
)


@given(
    st.lists(PIECES, max_size=6).map(lambda pieces: [message for piece in pieces for message in piece]),
    st.data(),
    st.sampled_from(["client", "server"]),
)
def test_runs_taken_apart_are_what_comes_without_them(messages: list, data: st.DataObject, role: str) -> None:
    """For every sequence of messages, cut into reads anywhere: the same events, error, deadline and answers."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(messages)), max_size=3)))
    reads = [messages[a:b] for a, b in zip([0, *cuts], [*cuts, len(messages)], strict=True)]
    warm = [header("x"), b"0", header("y"), b"0"]
    seen = []
    for gathers in (False, True):
        recorder = Recorder(role, bytes_max=100, gathers=gathers)
        error = None
        deadlines = []
        for number, read in enumerate([warm, *reads]):
            try:
                recorder.read(*read, now=float(number))
            except RemoteProtocolError as caught:
                error = type(caught), str(caught)
                break
            deadlines.append(recorder.reader.deadline)
        sent = recorder.engine.messages_to_send()
        seen.append((apart(recorder.events), error, deadlines, sent, recorder.engine.pings_received))
    assert seen[0] == seen[1]
