"""Engine.IO sessions of either role: handshake, heartbeat, echo, close, and what hostile peers get."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConnectionBroken, HeartbeatMissed, LocalProtocolError, RemoteProtocolError
from potrio.limits import PONGS_PENDING_MAX
from potrio.protocol.engineio import Handshake
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import Closed, MessageReceived, Opened
from potrio.protocol.state import SessionState

HANDSHAKE = Handshake("lv_VI97HAXpY6yYWAAAC", (), 300, 200, 1_000_000)
OPEN = (
    '0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}'
)


def before(moment: float) -> float:
    return math.nextafter(moment, -math.inf)


def server(now: float = 0.0) -> EngineIOSession:
    session = EngineIOSession("server", now=now, handshake=HANDSHAKE)
    assert session.messages_to_send() == [OPEN]
    return session


def client(now: float = 0.0, grace: float = 1.0) -> EngineIOSession:
    session = EngineIOSession("client", now=now, grace=grace)
    assert session.next_deadline() is None, "who connects holds the deadline of the handshake"
    assert session.receive_messages([OPEN], now) == [Opened(HANDSHAKE)]
    return session


def error_of(events: list) -> object:
    assert isinstance(events[-1], Closed)
    assert [event for event in events if isinstance(event, Closed)] == events[-1:]
    return events[-1].error


# --- the conformance suite's scenes ----------------------------------------------------------------------------------


def test_a_server_sends_the_handshake_at_once() -> None:
    session = EngineIOSession("server", now=0.0, handshake=HANDSHAKE)
    assert session.has_output
    assert session.state is SessionState.READY
    assert session.handshake == HANDSHAKE


@pytest.mark.parametrize("make", [server, client])
@pytest.mark.parametrize(
    ("wire", "data"), [("4hello", "hello"), ("4€", "€"), (b"\x01\x02\x03", b"\x01\x02\x03")]
)
def test_messages_are_echoed_as_they_came(make, wire, data) -> None:
    session = make()
    for event in session.receive_messages([wire], 0.1):
        assert event == MessageReceived(data)
        session.send_message(event.data)
    assert session.messages_to_send() == [wire]
    assert not session.has_output


def test_pings_and_pongs_for_hours() -> None:
    session, now = server(), 0.0
    for _ in range(3):
        now = session.next_deadline()
        assert session.handle_deadline(before(now)) == []
        assert session.messages_to_send() == []
        assert session.handle_deadline(now) == []
        assert session.messages_to_send() == ["2"]
        assert session.receive_messages(["3"], now + 0.1) == []
    assert now == pytest.approx(0.9)


def test_a_missing_pong_closes_at_the_timeout() -> None:
    session = server()
    session.handle_deadline(0.3)
    assert session.next_deadline() == 0.5
    assert session.receive_messages(["4x"], 0.4) == [MessageReceived("x")], "only a pong counts"
    assert session.handle_deadline(before(0.5)) == []
    missed = error_of(session.handle_deadline(0.5))
    assert isinstance(missed, HeartbeatMissed)
    assert session.close_exc is missed
    assert session.state is SessionState.CLOSED
    assert session.handle_deadline(9.0) == []


def test_an_invalid_packet_closes() -> None:
    session = server()
    error = error_of(session.receive_messages(["4a", "abc", "4b"], 0.0))
    assert isinstance(error, RemoteProtocolError)


def test_a_close_packet_closes_cleanly_on_a_server() -> None:
    assert error_of(server().receive_messages(["1"], 0.0)) is None


# --- the client's side -----------------------------------------------------------------------------------------------


def test_a_client_obeys_a_close_packet() -> None:
    session = client()
    assert isinstance(error_of(session.receive_messages(["4x", "1", "4y"], 0.0)), ConnectionBroken)


def test_a_client_answers_pings_at_once_and_ignores_noop() -> None:
    session = client()
    assert session.receive_messages(["2", "6", "2"], 0.0) == []
    assert session.messages_to_send() == ["3", "3"]


def test_pongs_that_wait_for_a_peer_who_does_not_read_are_bounded() -> None:
    session = client()
    session.receive_messages(["2"] * 100_000, 0.0)
    assert session.messages_to_send() == ["3"] * PONGS_PENDING_MAX
    session.receive_messages(["2"] * 100, 0.0)
    assert session.messages_to_send() == ["3"] * PONGS_PENDING_MAX


@pytest.mark.parametrize("grace", [0.0, 1.0])
def test_silence_kills_at_the_edge(grace: float) -> None:
    session = client(10.0, grace)
    assert session.next_deadline() == pytest.approx(10.5 + grace)
    session.receive_messages(["4x"], 11.0)
    edge = session.next_deadline()
    assert edge == pytest.approx(11.5 + grace)
    assert session.handle_deadline(before(edge)) == []
    missed = error_of(session.handle_deadline(edge))
    assert isinstance(missed, HeartbeatMissed)
    assert missed.seconds == pytest.approx(0.5 + grace)


def test_a_bad_handshake_closes() -> None:
    session = EngineIOSession("client", now=0.0)
    error = error_of(session.receive_messages(['0{"sid":""}'], 0.0))
    assert isinstance(error, RemoteProtocolError)
    assert session.handshake is None


def test_errors_keep_no_frames_and_no_peer_data() -> None:
    session = client()
    error = error_of(session.receive_messages(["9canary"], 0.0))
    assert isinstance(error, RemoteProtocolError)
    assert error.__traceback__ is None
    assert "canary" not in repr(error)
    assert repr(session) == "<EngineIOSession CLOSED>"


# --- ends ------------------------------------------------------------------------------------------------------------


def test_closed_is_said_once_and_is_the_last() -> None:
    session = client()
    broken = ConnectionBroken("gone")
    assert session.receive_close(broken) == [Closed(broken)]
    assert session.receive_close(broken) == []
    assert session.receive_messages(["4x"], 0.0) == []
    assert session.handle_deadline(1e9) == []
    assert session.next_deadline() is None
    assert session.close_exc is broken


def test_a_dead_session_sends_nothing_more() -> None:
    session = client()
    session.send_message("queued")
    session.receive_messages(["garbage"], 0.0)
    assert session.messages_to_send() == []
    with pytest.raises(LocalProtocolError):
        session.send_message("x")
    with pytest.raises(LocalProtocolError):
        session.send_close()


@pytest.mark.parametrize("make", [server, client])
def test_leaving_sends_what_is_queued_and_ends_cleanly(make) -> None:
    session = make()
    session.send_message("bye")
    session.send_close()
    assert session.state is SessionState.CLOSED
    assert session.receive_messages(["4late", "garbage"], 0.0) == []
    assert session.messages_to_send() == ["4bye", "1"]
    assert session.receive_close(ConnectionBroken("as it goes")) == [Closed(None)]


def test_a_client_cannot_send_before_the_handshake() -> None:
    session = EngineIOSession("client", now=0.0)
    for call in (lambda: session.send_message("x"), session.send_close):
        with pytest.raises(LocalProtocolError, match="state OPENING"):
            call()
    assert session.state is SessionState.OPENING
    assert not session.has_output


# --- properties ------------------------------------------------------------------------------------------------------

MESSAGES = st.lists(
    st.text(max_size=5)
    | st.binary(max_size=5)
    | st.sampled_from(["2", "3", "4x", "6", "1", "5", "2probe", OPEN]),
    max_size=12,
)


@given(st.sampled_from([server, client]), MESSAGES, st.data())
def test_garbage_ends_in_closed_with_a_typed_error_and_chunks_do_not_matter(make, messages, data) -> None:
    whole, split = make(), make()
    events = whole.receive_messages(messages, 0.0)
    cut = data.draw(st.integers(0, len(messages)))
    parts = split.receive_messages(messages[:cut], 0.0) + split.receive_messages(messages[cut:], 0.0)
    assert [repr(event) for event in parts] == [repr(event) for event in events]
    closed = [event for event in events if isinstance(event, Closed)]
    assert closed == (events[-1:] if whole.state is SessionState.CLOSED else [])
    for event in closed:
        assert event.error is None or isinstance(event.error, RemoteProtocolError | ConnectionBroken)


@given(st.lists(st.text(max_size=9) | st.binary(max_size=9), max_size=20), st.integers(1, 5))
def test_what_one_sends_the_other_receives_in_order(data, chunk: int) -> None:
    sender, receiver = server(), client()
    for each in data:
        sender.send_message(each)
    wire = sender.messages_to_send()
    events = [
        event
        for start in range(0, len(wire), chunk)
        for event in receiver.receive_messages(wire[start : start + chunk], 0.0)
    ]
    assert events == [MessageReceived(each) for each in data]
