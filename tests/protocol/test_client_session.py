"""The client's half: the handshake as the venue gives it, authentication, rejection in all its forms, and ends."""

import math
import traceback

import pytest

from potrio.errors import (
    AuthError,
    ConnectionBroken,
    HandshakeFailed,
    HeartbeatMissed,
    LocalProtocolError,
    RemoteProtocolError,
    TlsFailed,
)
from potrio.protocol.client_session import REJECTED_NAMES, ClientSession
from potrio.protocol.engineio import Handshake
from potrio.protocol.events import (
    Authenticated,
    Closed,
    Connected,
    ConnectErrorReceived,
    Disconnected,
    EventReceived,
    Opened,
)
from potrio.protocol.state import SessionState

OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1024}'
CONNECT = '40{"sid":"t"}'
SUCCESS = ['451-["successauth",{"_placeholder":true,"num":0}]', b'{"id":"1"}']
AUTH = '{"session":"canary","isDemo":1}'
P0 = b'{"_placeholder":true,"num":0}'


def opening(**options) -> ClientSession:
    return ClientSession(now=0.0, target="ws://venue", **options)


def connecting() -> ClientSession:
    session = opening()
    session.receive_messages([OPEN], 0.0)
    assert session.messages_to_send() == ["40"]
    return session


def connected() -> ClientSession:
    session = connecting()
    session.receive_messages([CONNECT], 0.0)
    return session


def authenticating() -> ClientSession:
    session = connected()
    session.authenticate(AUTH)
    session.messages_to_send()
    return session


def ready() -> ClientSession:
    session = authenticating()
    assert session.receive_messages(SUCCESS, 0.0) == [Authenticated(b'{"id":"1"}')]
    return session


STATES = {
    SessionState.OPENING: (opening, "engine.io"),
    SessionState.CONNECTING: (connecting, "socket.io"),
    SessionState.CONNECTED: (connected, "socket.io"),
    SessionState.AUTHENTICATING: (authenticating, "auth"),
}


def error_of(events: list) -> object:
    assert isinstance(events[-1], Closed)
    return events[-1].error


# --- the way in ------------------------------------------------------------------------------------------------------


def test_the_way_in_as_the_venue_gives_it() -> None:
    session = opening()
    assert session.state is SessionState.OPENING
    assert session.handshake is None
    assert session.next_deadline() is None
    assert session.receive_messages([OPEN], 1.0) == [Opened(Handshake("s", (), 25_000, 20_000, 1024))]
    assert session.state is SessionState.CONNECTING
    assert session.messages_to_send() == ["40"]
    assert session.receive_messages([CONNECT], 1.1) == [Connected("/", "t", b'{"sid":"t"}')]
    assert session.state is SessionState.CONNECTED
    assets = session.receive_messages(['451-["updateAssets",{"_placeholder":true,"num":0}]', b"[[5]]"], 1.2)
    assert assets == [EventReceived("updateAssets", b"[[5]]", "/", None, True, (P0,), (b"[[5]]",))]
    session.authenticate(AUTH)
    assert session.messages_to_send() == [f'42["auth",{AUTH}]'], "byte for byte"
    assert session.state is SessionState.AUTHENTICATING
    assert session.receive_messages(["2", *SUCCESS], 1.3) == [Authenticated(b'{"id":"1"}')]
    assert session.messages_to_send() == ["3"]
    assert session.state is SessionState.READY
    assert session.handshake is not None


def test_all_of_it_may_come_in_one_read() -> None:
    events = opening().receive_messages([OPEN, CONNECT, '42["x"]'], 0.0)
    assert [type(event) for event in events] == [Opened, Connected, EventReceived]


@pytest.mark.parametrize(
    ("wire", "payload"),
    [
        (SUCCESS, b'{"id":"1"}'),
        ([SUCCESS[0], b'\x04{"id":"1"}'], b'{"id":"1"}'),
        (['42["successauth",{"id":"1"}]'], b'{"id":"1"}'),
        (['42["successauth"]'], b""),
    ],
    ids=["binary", "old type byte", "text", "bare"],
)
def test_success_in_every_form(wire: list, payload: bytes) -> None:
    session = authenticating()
    assert session.receive_messages(wire, 0.0) == [Authenticated(payload)]
    assert session.receive_messages(wire, 0.0) == [], "said twice"
    assert session.state is SessionState.READY


def test_nothing_but_the_handshake_is_sent_before_authentication() -> None:
    for make, _ in STATES.values():
        session = make()
        for call in (
            lambda session=session: session.send_event("ps"),
            lambda session=session: session.send_encoded(['42["ps"]']),
            lambda session=session: session.send_ack(1),
        ):
            with pytest.raises(LocalProtocolError):
                call()
        assert not session.has_output


# --- authenticate ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", ["", "{", '{"session":"canary}', "nope-canary", '"\ud800canary"', '{"a":"canary"}x']
)
def test_what_is_no_json_is_not_sent_and_not_shown(payload: str) -> None:
    session = connected()
    with pytest.raises(LocalProtocolError) as caught:
        session.authenticate(payload)
    assert session.state is SessionState.CONNECTED
    assert not session.has_output
    assert_unseen(caught.value)


def test_the_token_is_in_no_traceback_when_the_state_is_wrong() -> None:
    for make in (connecting, authenticating, ready):
        with pytest.raises(LocalProtocolError) as caught:
            make().authenticate(AUTH)
        assert_unseen(caught.value)


def test_too_large_an_authentication_is_not_sent() -> None:
    session = connected()
    with pytest.raises(LocalProtocolError, match="1024 bytes") as caught:
        session.authenticate('{"session":"canary' + "x" * 994 + '"}')
    assert session.state is SessionState.CONNECTED
    assert_unseen(caught.value)
    session.authenticate('{"session":"canary' + "x" * 993 + '"}')
    assert [len(message) for message in session.messages_to_send()] == [1024]


def assert_unseen(error: BaseException) -> None:
    """No frame of the session shows the token, even to a handler that prints locals (the test's own frame apart)."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if "/tests/" not in frame.filename]
    assert frames
    assert not [frame.name for frame in frames if "canary" in str(frame.locals)]
    assert "canary" not in str(error)
    assert error.__context__ is None


def test_the_session_keeps_nothing_of_it() -> None:
    session = authenticating()
    seen = [session]
    for each in seen:
        values = list(vars(each).values()) if hasattr(each, "__dict__") else []
        assert "canary" not in repr(values)
        seen += [
            value for value in values if type(value).__module__.startswith("potrio") and value not in seen
        ]


# --- rejection -------------------------------------------------------------------------------------------------------

REJECTIONS = [
    *((f'42["{name}"]', name) for name in sorted(REJECTED_NAMES)),
    ('42["NotAuthorized",{"reason":"canary"}]', "NotAuthorized"),
    ("41", "DISCONNECT"),
    ('44{"message":"canary"}', "CONNECT_ERROR"),
    ("44", "CONNECT_ERROR"),
]


@pytest.mark.parametrize(("wire", "reason"), REJECTIONS)
def test_a_no_after_auth_is_an_auth_error(wire: str, reason: str) -> None:
    session = authenticating()
    error = error_of(session.receive_messages([wire, "41", "garbage"], 0.0))
    assert isinstance(error, AuthError)
    assert error.reason == reason, "the server's own text may repeat the token"
    assert session.state is SessionState.CLOSED


@pytest.mark.parametrize(("wire", "reason"), REJECTIONS)
def test_a_no_before_auth_is_a_failed_handshake(wire: str, reason: str) -> None:
    error = error_of(connected().receive_messages([wire], 0.0))
    assert isinstance(error, HandshakeFailed)
    assert error.stage == "socket.io"
    assert error.target == "ws://venue"
    assert reason in error.reason


def test_a_refused_namespace_says_why_in_one_printable_line() -> None:
    for message, shown in (
        ("Invalid namespace", "Invalid namespace"),
        ("a\\u001b[2Jb\\nc", "a[2Jbc"),
        ("x" * 999, "x" * 200),
    ):
        error = error_of(connecting().receive_messages([f'44{{"message":"{message}"}}'], 0.0))
        assert isinstance(error, HandshakeFailed)
        assert error.reason == f"the server answered CONNECT_ERROR {shown}"
    for wire in ('44"no"', '44{"message":5}'):
        assert isinstance(error_of(connecting().receive_messages([wire], 0.0)), HandshakeFailed)


def test_a_no_in_binary_form_counts_too() -> None:
    wire = ['451-["NotAuthorized",{"_placeholder":true,"num":0}]', b"{}"]
    assert isinstance(error_of(authenticating().receive_messages(wire, 0.0)), AuthError)


def test_a_ready_session_told_not_authorized_is_an_auth_error_and_one_disconnected_is_not() -> None:
    assert isinstance(error_of(ready().receive_messages(['42["NotAuthorized"]'], 0.0)), AuthError)
    for wire in ("41", "1"):
        error = error_of(ready().receive_messages([wire], 0.0))
        assert isinstance(error, ConnectionBroken)
        assert not isinstance(error, HeartbeatMissed)


def test_a_ready_session_refuses_what_belongs_to_the_handshake() -> None:
    for wire in (CONNECT, '44{"message":"no"}', OPEN):
        assert isinstance(error_of(ready().receive_messages([wire], 0.0)), RemoteProtocolError)


def test_success_without_auth_is_an_error() -> None:
    error = error_of(connected().receive_messages(SUCCESS, 0.0))
    assert isinstance(error, HandshakeFailed)


# --- ends before ready -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda session: session.receive_messages(["garbage"], 0.0), "unknown Engine.IO packet type"),
        (lambda session: session.receive_messages([b"\x00"], 0.0), ""),
        (lambda session: session.receive_messages(["1"], 0.0), "the server closed the session"),
        (lambda session: session.receive_close(None), "the connection was closed"),
        (lambda session: session.receive_close(ConnectionBroken("reset by peer")), "reset by peer"),
        (lambda session: session.receive_close(ConnectionBroken()), "ConnectionBroken"),
        (lambda session: session.receive_close(RemoteProtocolError("bad frame")), "bad frame"),
    ],
    ids=["text", "binary", "close packet", "eof", "reset", "reset without text", "framing"],
)
def test_every_end_before_ready_says_at_which_stage(state: SessionState, end, reason: str) -> None:
    make, stage = STATES[state]
    session = make()
    assert session.state is state
    error = error_of(end(session))
    assert isinstance(error, HandshakeFailed)
    assert (error.stage, error.target) == (stage, "ws://venue")
    assert error.reason
    assert reason in error.reason
    assert session.close_exc is error


def test_an_error_of_connecting_stays_what_it_is() -> None:
    error = TlsFailed("ws://venue", "self-signed")
    assert opening().receive_close(error) == [Closed(error)]


def test_silence_before_ready_is_a_failed_handshake_and_after_it_a_missed_heartbeat() -> None:
    for make, kind in ((connecting, HandshakeFailed), (ready, HeartbeatMissed)):
        session = make()
        edge = session.next_deadline()
        assert edge == 46.0, "25 + 20 + 1 s of grace"
        assert session.handle_deadline(math.nextafter(edge, 0)) == []
        assert isinstance(error_of(session.handle_deadline(edge)), kind)


def test_leaving_before_ready_is_a_clean_end() -> None:
    for make, _ in STATES.values():
        session = make()
        session.send_disconnect()
        assert session.receive_close(None) == [Closed(None)]


@pytest.mark.parametrize(
    "wire", ["40", "40{}", '40{"sid":""}', '40{"sid":5}', '40/other,{"sid":"t"}', "40[]"]
)
def test_a_connect_reply_without_sid_is_refused(wire: str) -> None:
    assert isinstance(error_of(connecting().receive_messages([wire], 0.0)), HandshakeFailed)


def test_a_sid_may_have_256_characters() -> None:
    for count, kind in ((256, Connected), (257, Closed)):
        (event,) = connecting().receive_messages([f'40{{"sid":"{"x" * count}"}}'], 0.0)
        assert type(event) is kind


def test_events_before_connect_are_refused() -> None:
    for wire in ('42["x"]', '42["successauth"]', '42["NotAuthorized"]', "431[]"):
        error = error_of(connecting().receive_messages([wire], 0.0))
        assert isinstance(error, HandshakeFailed)
        assert isinstance(error.__cause__, RemoteProtocolError), wire


# --- ready -----------------------------------------------------------------------------------------------------------


def test_known_headers_are_forgotten_when_the_state_changes() -> None:
    """An event that is plain now may be a breach of rules later: a header must not outlive its state."""
    session = connected()
    pair = ['451-["x",{"_placeholder":true,"num":0}]', b"1"]
    assert len(session.receive_messages(pair, 0.0)) == 1
    session.send_disconnect("/")
    assert session.receive_messages(pair, 0.0) == []


def test_messages_larger_than_the_server_takes_are_refused() -> None:
    session = ready()
    session.send_event("x", b'"' + b"y" * 1014 + b'"')  # 42["x",...]: exactly 1024
    session.send_event("x", bytes(1024), binary=True)
    assert max(len(message) for message in session.messages_to_send()) == 1024
    with pytest.raises(LocalProtocolError, match="1024 bytes"):
        session.send_event("x", b'"' + b"y" * 1015 + b'"')
    with pytest.raises(LocalProtocolError, match="1024 bytes"):
        session.send_event("x", bytes(1025), binary=True)
    assert not session.has_output


def test_a_server_that_takes_too_little_is_refused_and_receiving_does_not_raise() -> None:
    session = opening(auth_required=False, connect_payload=b'{"a":"' + b"x" * 1024 + b'"}')
    error = error_of(session.receive_messages([OPEN], 0.0))
    assert isinstance(error, RemoteProtocolError)
    assert isinstance(error_of(opening().receive_messages([OPEN.replace("1024", "1")], 0.0)), HandshakeFailed)
    with pytest.raises(LocalProtocolError):
        opening(connect_payload=b"nope")


def test_only_the_main_namespace_where_authentication_is_required() -> None:
    with pytest.raises(LocalProtocolError, match="main namespace"):
        ready().send_connect("/custom")
    with pytest.raises(AssertionError):
        opening(namespaces=("/custom",))


# --- a plain Socket.IO session ---------------------------------------------------------------------------------------


def plain(*namespaces: str, payload: bytes | None = None) -> ClientSession:
    session = opening(auth_required=False, namespaces=namespaces, connect_payload=payload)
    session.receive_messages([OPEN], 0.0)
    return session


def test_a_plain_session_is_ready_once_connected() -> None:
    session = plain("/", "/custom", payload=b'{"token":"x"}')
    assert session.messages_to_send() == ['40{"token":"x"}', '40/custom,{"token":"x"}']
    events = session.receive_messages(
        [CONNECT, '40/custom,{"sid":"u"}', '42["NotAuthorized"]', '42["successauth"]'], 0.0
    )
    assert [type(event) for event in events] == [Connected, Connected, EventReceived, EventReceived]
    assert session.state is SessionState.READY
    session.send_event("x", namespace="/custom")
    assert session.messages_to_send() == ['42/custom,["x"]']
    with pytest.raises(LocalProtocolError):
        session.authenticate("{}")


def test_refused_and_ended_namespaces_leave_the_session_open_and_can_be_tried_again() -> None:
    session = plain("/")
    session.receive_messages([CONNECT], 0.0)
    session.send_connect("/custom", b"{}")
    refusal = b'{"message":"Invalid namespace"}'
    assert session.receive_messages([f"44/custom,{refusal.decode()}"], 0.0) == [
        ConnectErrorReceived("/custom", refusal)
    ]
    session.send_connect("/custom")
    session.receive_messages(['40/custom,{"sid":"u"}'], 0.0)
    assert session.receive_messages(["41/custom,"], 0.0) == [Disconnected("/custom")]
    assert session.receive_messages(["41"], 0.0) == [Disconnected("/")]
    assert session.state is SessionState.CONNECTING
    session.send_connect("/")
    assert session.messages_to_send() == ["40", "40/custom,{}", "40/custom,", "40"]


@pytest.mark.parametrize("namespace", ["/", "custom", "/a,b", ""])
def test_what_cannot_be_connected_changes_nothing(namespace: str) -> None:
    session = plain("/")
    session.messages_to_send()
    with pytest.raises(LocalProtocolError):
        session.send_connect(namespace)
    assert not session.has_output
    with pytest.raises(LocalProtocolError):
        opening(auth_required=False).send_connect("/custom")
    session.receive_close(None)
    with pytest.raises(LocalProtocolError):
        session.send_connect("/custom")


def test_packets_for_a_namespace_never_asked_for_are_refused() -> None:
    for wire in ('40/x,{"sid":"u"}', "44/x,{}", "41/x,", '42/x,["a"]', "43/x,1[]"):
        session = plain("/")
        session.receive_messages([CONNECT], 0.0)
        assert isinstance(error_of(session.receive_messages([wire], 0.0)), RemoteProtocolError)
