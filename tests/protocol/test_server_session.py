"""The server's half: literals, early events, authentication, namespaces, time; and the conformance suite's scenes."""

import math

import pytest

from potrio.errors import HeartbeatMissed, LimitExceeded, LocalProtocolError, RemoteProtocolError
from potrio.limits import CONNECTS_MAX, PREAUTH_EVENTS_MAX
from potrio.protocol.events import (
    AckReceived,
    AuthRequested,
    Closed,
    Connected,
    Disconnected,
    EventReceived,
    SessionEvent,
)
from potrio.protocol.server_session import ServerSession
from potrio.protocol.state import SessionState

OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
AUTH = '42["auth",{"session":"canary"}]'
SUCCESS = b'{"id":"1","serverName":"x"}'


def before(moment: float) -> float:
    return math.nextafter(moment, -math.inf)


def server(**options) -> ServerSession:
    session = ServerSession(sid="s", now=0.0, **options)
    session.messages_to_send()
    return session


def after(*messages, **options) -> ServerSession:
    session = server(**options)
    session.receive_messages(list(messages), 0.0)
    session.messages_to_send()
    return session


def error_of(events: list) -> object:
    assert isinstance(events[-1], Closed)
    return events[-1].error


# --- the way in ------------------------------------------------------------------------------------------------------


def test_the_way_in_to_the_letter() -> None:
    session = ServerSession(sid="s", now=0.0)
    assert session.messages_to_send() == [OPEN]
    assert session.state is SessionState.CONNECTING
    assert session.receive_messages(["40"], 0.1) == [Connected("/", "s-1", None)]
    assert session.messages_to_send() == ['40{"sid":"s-1"}']
    assert session.state is SessionState.CONNECTED
    session.send_event("updateAssets", b"[]", binary=True)  # before the authentication, as the venue does
    assert session.receive_messages([AUTH], 0.2) == [AuthRequested(b'{"session":"canary"}')]
    assert session.state is SessionState.AUTHENTICATING
    assert session.accept_auth(SUCCESS) == []
    assert session.state is SessionState.READY
    assert session.messages_to_send() == [
        '451-["updateAssets",{"_placeholder":true,"num":0}]',
        b"[]",
        '451-["successauth",{"_placeholder":true,"num":0}]',
        SUCCESS,
    ]


@pytest.mark.parametrize("wire", ["40", "40{}", '40{ "token" : "x" }', "40/", "40/,", "40/?EIO=4,{}"])
def test_every_form_of_connect(wire: str) -> None:
    (event,) = server().receive_messages([wire], 0.0)
    assert isinstance(event, Connected)


@pytest.mark.parametrize(
    "wire",
    [AUTH, '42["auth", {"session" : "canary"} ]', '451-["auth",{"_placeholder":true,"num":0}]', '42["auth"]'],
)
def test_every_form_of_auth(wire: str) -> None:
    session = after("40")
    events = session.receive_messages([wire], 0.0) + session.receive_messages(
        [b"{}"] if "451" in wire else [], 0.0
    )
    assert [type(event) for event in events] == [AuthRequested]


def test_a_repeated_auth_is_ignored_so_that_its_token_goes_no_further() -> None:
    session = after("40", AUTH)
    assert session.receive_messages([AUTH], 0.0) == []
    session.accept_auth(SUCCESS)
    assert session.receive_messages([AUTH], 0.0) == []
    assert session.state is SessionState.READY


def test_auth_before_connect_is_refused() -> None:
    assert isinstance(error_of(server().receive_messages([AUTH], 0.0)), RemoteProtocolError)


def test_rejection_to_the_letter() -> None:
    session = after("40", AUTH)
    session.reject_auth()
    assert session.messages_to_send() == ['42["NotAuthorized"]', "41"]
    assert session.state is SessionState.CLOSED
    assert session.receive_messages(["garbage"], 0.0) == []
    assert session.receive_close(None) == [Closed(None)]


def test_an_answer_that_nobody_waits_for_is_refused() -> None:
    for session in (server(), after("40")):
        for call in (lambda session=session: session.accept_auth(b"{}"), session.reject_auth):
            with pytest.raises(LocalProtocolError):
                call()
        assert not session.has_output
    gone = after("40", AUTH)
    gone.receive_close(None)
    for call in (lambda: gone.accept_auth(b"{}"), gone.reject_auth):
        with pytest.raises(LocalProtocolError, match="closed"):
            call()


# --- events before authentication ------------------------------------------------------------------------------------

EARLY = [
    '42["changeSymbol",{"asset":"x"}]',
    '42["subfor","x"]',
    '451-["b",{"_placeholder":true,"num":0}]',
    b"\x01",
]


def replayed(events: list[SessionEvent]) -> list[tuple[str, bytes]]:
    assert all(isinstance(event, EventReceived) for event in events)
    return [(event.name, event.payload) for event in events]


def test_events_before_connect_and_before_the_answer_are_replayed_in_order() -> None:
    session = server()
    assert session.receive_messages(EARLY, 0.0) == []
    assert [
        type(event) for event in session.receive_messages(["40", '42["ps"]', AUTH, '42["late"]'], 0.0)
    ] == [
        Connected,
        AuthRequested,
    ]
    expected = [
        ("changeSymbol", b'{"asset":"x"}'),
        ("subfor", b'"x"'),
        ("b", b"\x01"),
        ("ps", b""),
        ("late", b""),
    ]
    assert replayed(session.accept_auth(SUCCESS)) == expected
    assert replayed(session.receive_messages(['42["ps"]'], 0.0)) == [("ps", b"")]


@pytest.mark.parametrize("prelude", [[], ["40"], ["40", AUTH]])
def test_the_33rd_closes(prelude: list) -> None:
    session = after(*prelude)
    assert session.receive_messages(['42["x"]'] * PREAUTH_EVENTS_MAX, 0.0) == []
    error = error_of(session.receive_messages(['42["x"]'], 0.0))
    assert isinstance(error, LimitExceeded)
    assert error.limit == PREAUTH_EVENTS_MAX == 32
    assert session.close_code == 1008


def test_their_bytes_are_bounded_to_the_edge() -> None:
    payload = '"' + "x" * 510 + '"'
    session = after(max_payload=1024)
    assert session.receive_messages([f'42["x",{payload}]'] * 2, 0.0) == []
    assert isinstance(error_of(session.receive_messages(['42["x",1]'], 0.0)), LimitExceeded)


def test_the_bytes_of_attachments_count_too() -> None:
    header = '451-["x",{"_placeholder":true,"num":0}]'
    session = after(max_payload=1024)
    assert session.receive_messages([header, bytes(512)], 0.0) == []
    assert isinstance(error_of(session.receive_messages([header, bytes(512)], 0.0)), LimitExceeded)


def test_the_bounds_start_again_after_authentication() -> None:
    session = after("40", *['42["x"]'] * 32, AUTH)
    assert len(session.accept_auth(SUCCESS)) == 32
    assert len(session.receive_messages(['42["x"]'] * 100, 0.0)) == 100


def test_an_ack_before_authentication_is_counted_and_ignored() -> None:
    session = after("40")
    assert session.receive_messages(["431[]"], 0.0) == []
    assert session.acks_unknown == 1
    assert isinstance(error_of(server().receive_messages(["431[]"], 0.0)), RemoteProtocolError)


def test_an_ack_of_an_event_sent_before_authentication_is_given() -> None:
    session = after("40")
    session.send_event("x", ack_id=1)
    assert session.receive_messages(["431[]"], 0.0) == [AckReceived(1)]


# --- the way out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prelude", [[], ["40"], ["40", AUTH]])
@pytest.mark.parametrize("wire", ["41", "1"])
def test_a_client_may_leave_when_it_likes(prelude: list, wire: str) -> None:
    session = after(*prelude)
    assert session.receive_messages([wire, "garbage"], 0.0) == [Closed(None)]
    assert session.state is SessionState.CLOSED


@pytest.mark.parametrize(
    "wire",
    [
        "abc",
        "",
        "2",
        "2probe",
        "5",
        "4",
        "4abc",
        "42{}",
        '42abc["x"]',
        "44{}",
        b"\x00",
        '42["connect"]',
        OPEN,
    ],
)
def test_what_breaks_the_rules_closes(wire) -> None:
    for session in (server(), after("40"), after("40", AUTH)):
        assert isinstance(error_of(session.receive_messages([wire], 0.0)), RemoteProtocolError)


def test_after_its_own_disconnect_all_that_was_under_way_is_ignored() -> None:
    """A venue that says ``41`` without closing, as the real one does to a badly escaped session."""
    session = after("40", AUTH)
    session.send_disconnect("/")
    assert session.messages_to_send() == ["41"]
    assert session.receive_messages([AUTH, '42["x"]', "431[]", "41"], 0.0)[-1:] == [Closed(None)]
    again = after("40", AUTH)
    again.send_disconnect("/")
    assert [type(event) for event in again.receive_messages(['42["x"]', "40", AUTH], 0.0)] == [
        Connected,
        AuthRequested,
    ]


def test_connects_are_bounded() -> None:
    session = server()
    assert session.receive_messages(["40/x"] * CONNECTS_MAX, 0.0) == []
    assert isinstance(error_of(session.receive_messages(["40"], 0.0)), LimitExceeded)


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prelude", [[], ["40"], ["40", AUTH]])
def test_authentication_has_its_time_to_the_edge(prelude: list) -> None:
    session = after(*prelude)
    assert session.next_deadline() == 15.0
    assert session.handle_deadline(before(15.0)) == []
    error = error_of(session.handle_deadline(15.0))
    assert isinstance(error, RemoteProtocolError)
    assert session.close_code == 1008


def test_an_authenticated_client_only_has_to_answer_pings() -> None:
    session = after("40", AUTH)
    session.accept_auth(SUCCESS)
    session.messages_to_send()
    assert session.next_deadline() == 25.0
    assert session.handle_deadline(before(25.0)) == []
    assert not session.has_output
    assert session.handle_deadline(25.0) == []
    assert session.messages_to_send() == ["2"]
    assert session.next_deadline() == 45.0
    assert session.handle_deadline(before(45.0)) == []
    assert isinstance(error_of(session.handle_deadline(45.0)), HeartbeatMissed)


def test_the_nearest_deadline_comes_first() -> None:
    session = server(
        ping_interval_ms=300, ping_timeout_ms=200, handshake_timeout=1.0, attachments_timeout=0.1
    )
    assert session.next_deadline() == 0.3
    session.receive_messages(['451-["x",{"_placeholder":true,"num":0}]'], 0.1)
    assert session.next_deadline() == 0.2
    session.receive_messages([b"1"], 0.1)
    for now in (0.3, 0.6, 0.9):
        assert session.next_deadline() == pytest.approx(now)
        assert session.handle_deadline(now) == []
        session.receive_messages(["3"], now)
    assert session.messages_to_send() == ["2"] * 3
    assert session.next_deadline() == 1.0


@pytest.mark.parametrize(
    "figures",
    [{"ping_interval_ms": 0}, {"ping_timeout_ms": -1}, {"max_payload": 0}, {"sid": ""}, {"sid": "x" * 300}],
)
def test_figures_that_no_client_would_take_are_refused(figures: dict) -> None:
    with pytest.raises(ValueError, match=r"ping|maxPayload|sid"):
        ServerSession(**{"sid": "s", "now": 0.0} | figures)


# --- the conformance suite's scenes ----------------------------------------------------------------------------------


def echo() -> ServerSession:
    return server(
        auth_required=False,
        namespaces=("/", "/custom"),
        ping_interval_ms=300,
        ping_timeout_ms=200,
        handshake_timeout=1.0,
    )


def serve(session: ServerSession, *messages) -> list:
    """The echo application: ``auth`` with the handshake's payload, ``message-back``, and acks."""
    for event in session.receive_messages(list(messages), 0.0):
        match event:
            case Connected(namespace=namespace, payload=payload):
                session.send_event("auth", payload or b"{}", namespace=namespace)
            case EventReceived(ack_id=None):
                session.send_event(
                    "message-back", args=event.args, attachments=event.attachments, namespace=event.namespace
                )
            case EventReceived(ack_id=int(ack_id)):
                session.send_ack(ack_id, event.args, event.attachments, namespace=event.namespace)
    return session.messages_to_send()


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (["40"], ['40{"sid":"s-1"}', '42["auth",{}]']),
        (['40{"token":"123"}'], ['40{"sid":"s-1"}', '42["auth",{"token":"123"}]']),
        (["40/custom,"], ['40/custom,{"sid":"s-1"}', '42/custom,["auth",{}]']),
        (
            ['40/custom,{"token":"abc"}'],
            ['40/custom,{"sid":"s-1"}', '42/custom,["auth",{"token":"abc"}]'],
        ),
        (["40/random"], ['44/random,{"message":"Invalid namespace"}']),
        (["40/random?key=value,{}"], ['44/random,{"message":"Invalid namespace"}']),
        (
            ["40", "40/custom"],
            ['40{"sid":"s-1"}', '40/custom,{"sid":"s-2"}', '42["auth",{}]', '42/custom,["auth",{}]'],
        ),
    ],
)
def test_connecting(said: list, answered: list) -> None:
    assert serve(echo(), *said) == answered


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (['42["message",1,"2",{"3":[true]}]'], ['42["message-back",1,"2",{"3":[true]}]']),
        (
            [
                '452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
                b"\x01\x02\x03",
                b"\x04\x05\x06",
            ],
            [
                '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
                b"\x01\x02\x03",
                b"\x04\x05\x06",
            ],
        ),
        (['42456["message-with-ack",1,"2",{"3":[false]}]'], ['43456[1,"2",{"3":[false]}]']),
        (
            [
                '452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
                b"\x01\x02\x03",
                b"\x04\x05\x06",
            ],
            [
                '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
                b"\x01\x02\x03",
                b"\x04\x05\x06",
            ],
        ),
    ],
)
def test_messages(said: list, answered: list) -> None:
    session = echo()
    serve(session, "40")
    assert serve(session, *said) == answered


@pytest.mark.parametrize(
    "said", ["4abc", "42{}", '42abc["message-with-ack",1,"2",{"3":[false]}]', '42["x"]', '42/x,["x"]']
)
def test_what_closes_the_connection(said: str) -> None:
    session = echo()
    if "message" in said:
        serve(session, "40")
    serve(session, said)
    assert session.state is SessionState.CLOSED


def test_disconnecting_one_namespace_leaves_the_rest() -> None:
    session = echo()
    serve(session, "40", "40/custom")
    assert session.receive_messages(["41/custom"], 0.0) == [Disconnected("/custom")]
    assert serve(session, '42["message","message to main namespace"]') == [
        '42["message-back","message to main namespace"]'
    ]
    assert session.receive_messages(["41"], 0.0) == [Disconnected("/")]
    assert session.receive_messages(["41"], 0.0) == [], "said twice"
    session.handle_deadline(0.3)
    assert session.messages_to_send() == ["2"], "the heartbeat goes on"


def test_who_connects_nothing_is_closed_and_who_does_is_not() -> None:
    session = echo()
    assert session.handle_deadline(0.3) == []
    session.receive_messages(["3"], 0.3)
    serve(session, "40/random")
    assert isinstance(error_of(session.handle_deadline(1.0)), RemoteProtocolError)
    session = echo()
    serve(session, "40/custom")
    for now in (0.3, 0.6, 0.9, 1.2):
        assert session.handle_deadline(now) == []
        session.receive_messages(["3"], now)


def test_the_main_namespace_may_be_closed_to_clients() -> None:
    session = server(auth_required=False, namespaces=("/custom",))
    assert serve(session, "40") == ['44{"message":"Invalid namespace"}']
    with pytest.raises(AssertionError):
        server(namespaces=("/custom",))
