"""Both sides of a session back to back: what one sends the other receives; garbage ends in a typed error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from potrio.errors import (
    AuthError,
    ConnectError,
    ConnectionBroken,
    HeartbeatMissed,
    LocalProtocolError,
    RemoteProtocolError,
)
from potrio.protocol.client_session import ClientSession
from potrio.protocol.encoder import encode_event
from potrio.protocol.events import AckReceived, Closed, Connected, EventReceived
from potrio.protocol.server_session import ServerSession
from potrio.protocol.socketio import RESERVED_NAMES
from potrio.protocol.state import SessionState

P0 = b'{"_placeholder":true,"num":0}'
P1 = b'{"_placeholder":true,"num":1}'
NAMESPACES = ("/", "/custom")


@pytest.fixture
def generic(make_pair):
    """A pair without authentication, connected to `NAMESPACES`."""
    pair = make_pair(auth_required=False, namespaces=NAMESPACES, client_namespaces=NAMESPACES).connect()
    pair.forget()
    return pair


# --- the three forms of an event, and acks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ({"name": "ps"}, EventReceived("ps")),
        ({"name": "x", "payload": b"[1]"}, EventReceived("x", b"[1]", args=(b"[1]",))),
        (
            {"name": "x", "payload": b"\xff\x00", "binary": True},
            EventReceived("x", b"\xff\x00", "/", None, True, (P0,), (b"\xff\x00",)),
        ),
        (
            {"name": "x", "args": [b"1", P0], "attachments": [b"a"]},
            EventReceived("x", b"1", "/", None, False, (b"1", P0), (b"a",)),
        ),
        (
            {"name": "x", "args": [P1, P0], "attachments": [b"a", b"b"], "namespace": "/custom", "ack_id": 3},
            EventReceived("x", b"b", "/custom", 3, True, (P1, P0), (b"a", b"b")),
        ),
        (
            {"name": "x", "args": [b"[%s]" % P0], "attachments": [b"a"]},
            EventReceived("x", b"[%s]" % P0, "/", None, False, (b"[%s]" % P0,), (b"a",)),
        ),
    ],
    ids=["bare", "text", "binary", "second", "several", "nested"],
)
@pytest.mark.parametrize("from_server", [True, False])
def test_events_arrive_as_they_were_sent(
    generic, from_server: bool, sent: dict, received: EventReceived
) -> None:
    (generic.server if from_server else generic.client).send_event(**sent)
    generic.pump()
    assert (generic.at_client if from_server else generic.at_server) == [received]


@pytest.mark.parametrize("from_server", [True, False])
def test_acks_answer_the_event_they_belong_to(generic, from_server: bool) -> None:
    asking, answering = (generic.server, generic.client) if from_server else (generic.client, generic.server)
    asking.send_event("x", b"1", ack_id=5)
    asking.send_event("x", b"2", ack_id=5, namespace="/custom")
    generic.pump()
    answering.send_ack(5, [b"1", P0], [b"a"], namespace="/custom")
    answering.send_ack(5)
    answering.send_ack(5)  # once too often
    generic.pump()
    events = generic.at_client if not from_server else generic.at_server
    assert events == [AckReceived(5, (b"1", P0), (b"a",), "/custom"), AckReceived(5)]
    assert asking.acks_unknown == 1
    assert asking.state is SessionState.READY


def test_an_ack_id_in_use_is_refused_and_nothing_changes(generic) -> None:
    generic.client.send_event("x", ack_id=5)
    generic.client.messages_to_send()
    with pytest.raises(LocalProtocolError, match="in use"):
        generic.client.send_event("x", ack_id=5)
    assert not generic.client.has_output


def test_one_encoding_for_many_sessions(make_pair) -> None:
    messages = encode_event("updateStream", b"[[1]]", binary=True)
    for pair in (make_pair().ready(), make_pair().ready()):
        pair.server.send_encoded(messages)
        pair.pump()
        assert [event.payload for event in pair.at_client] == [b"[[1]]"]
    with pytest.raises(LocalProtocolError):
        ServerSession(sid="s", now=0.0).send_encoded(messages)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "connect"},
        {"name": "x", "payload": b"nope"},
        {"name": "x", "binary": True},
        {"name": "x", "args": [P0]} | {"attachments": [b"", b""]},
        {"name": "x", "payload": b"1", "args": [b"1"]},
        {"name": "x", "namespace": "/elsewhere"},
        {"name": "x", "ack_id": -1},
    ],
    ids=str,
)
def test_what_cannot_be_sent_changes_nothing(generic, arguments: dict) -> None:
    for session in (generic.client, generic.server):
        with pytest.raises(LocalProtocolError):
            session.send_event(**arguments)
        assert not session.has_output
        assert session.state is SessionState.READY


# --- leaving ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["client", "server"])
def test_leaving_says_so_in_every_namespace_and_ends_cleanly(generic, side: str) -> None:
    session = getattr(generic, side)
    session.send_event("last")
    session.send_disconnect()
    assert session.state is SessionState.CLOSED
    assert session.messages_to_send() == ['42["last"]', "41", "41/custom,"]
    assert session.receive_messages(["garbage"], 0.0) == []
    assert session.receive_close(ConnectionBroken("reset")) == [Closed(None)]
    with pytest.raises(LocalProtocolError, match="closed"):
        session.send_disconnect()


def test_one_namespace_can_be_left_and_the_rest_lives_on(generic) -> None:
    generic.server.send_event("under way", namespace="/custom")
    generic.client.send_disconnect("/custom")
    generic.pump()
    assert [type(event).__name__ for event in generic.at_server] == ["Disconnected"]
    assert generic.at_client == [], "what was under way is ignored"
    generic.client.send_event("x")
    generic.pump()
    assert generic.at_server[-1] == EventReceived("x")
    with pytest.raises(LocalProtocolError):
        generic.client.send_event("x", namespace="/custom")


def test_close_codes(make_pair) -> None:
    assert make_pair().client.close_code == 1000
    for wire, code in (("garbage", 1002), ('42["x",' + "[" * 70, 1009)):
        for state in ("connect", "ready"):
            pair = getattr(make_pair(), state)()
            for session in (pair.client, pair.server):
                session.receive_messages([wire], 0.0)
                assert session.close_code == code, "also where the error was wrapped"
    assert "CLOSED" in repr(pair.client)


@pytest.mark.parametrize("side", ["client", "server"])
def test_closed_is_said_once(make_pair, side: str) -> None:
    session = getattr(make_pair().ready(), side)
    broken = ConnectionBroken("gone")
    assert session.receive_close(broken) == [Closed(broken)]
    assert session.close_exc is broken
    assert session.receive_close(broken) == []
    assert session.receive_messages(['42["x"]'], 0.0) == []
    assert session.next_deadline() is None
    assert session.handle_deadline(1e9) == []
    assert session.messages_to_send() == []


@pytest.mark.parametrize("side", ["client", "server"])
def test_late_attachments_close_at_the_deadline(make_pair, side: str) -> None:
    session = getattr(make_pair().ready(), side)
    for known in (False, True):
        session.receive_messages(['451-["x",{"_placeholder":true,"num":0}]'], 10.0)
        assert session.next_deadline() == 15.0
        assert session.handle_deadline(14.999999) == []
        if not known:
            assert len(session.receive_messages([b"1"], 14.999999)) == 1
    (closed,) = session.handle_deadline(15.0)
    assert isinstance(closed.error, RemoteProtocolError)
    assert "in time" in str(closed.error)


# --- properties ------------------------------------------------------------------------------------------------------

TEXTS = st.sampled_from([b"null", b'"x"', b'{"a":[1,2]}', b"[[]]"])
BLOBS = st.binary(max_size=4)


@st.composite
def sent_events(draw) -> dict:
    sent: dict = {
        "name": draw(st.sampled_from(["a", "b"]) | st.text('xyz"[,é', min_size=1, max_size=3)),
        "namespace": draw(st.sampled_from(NAMESPACES)),
    }
    form = draw(st.sampled_from(["bare", "text", "binary", "several"]))
    if form == "text":
        sent["payload"] = draw(TEXTS)
    elif form == "binary":
        sent |= {"payload": draw(BLOBS), "binary": True}
    elif form == "several":
        sent["attachments"] = draw(st.lists(BLOBS, max_size=3))
        sent["args"] = [b'{"_placeholder":true,"num":%d}' % n for n in range(len(sent["attachments"]))]
        sent["args"] += draw(st.lists(TEXTS, max_size=2))
    return sent


def fingerprint(event: EventReceived) -> tuple:
    return (event.name, event.namespace, event.args, event.attachments)


def fingerprint_of_sent(sent: dict) -> tuple:
    if sent.get("binary"):
        return (sent["name"], sent["namespace"], (P0,), (sent["payload"],))
    args = (sent["payload"],) if "payload" in sent else tuple(sent.get("args", ()))
    return (sent["name"], sent["namespace"], args, tuple(sent.get("attachments", ())))


class PairMachine(RuleBasedStateMachine):
    """Client and server say things in any order over a wire of any delay; nothing is lost, reordered or invented."""

    @initialize()
    def connect(self) -> None:
        self.client = ClientSession(now=0.0, auth_required=False, namespaces=NAMESPACES)
        self.server = ServerSession(
            sid="s",
            now=0.0,
            auth_required=False,
            namespaces=NAMESPACES,
            ping_interval_ms=300,
            ping_timeout_ms=200,
        )
        self.now = 0.0
        self.sent: dict = {"client": [], "server": []}
        self.got: dict = {"client": [], "server": []}
        self.wire: dict = {"client": [], "server": []}
        self.asked: dict = {"client": [], "server": []}
        self.answered = 0
        self.acks = 0
        for _ in range(4):
            self.collect()
            self.deliver("client", 100)
            self.deliver("server", 100)

    def session(self, side: str):
        return getattr(self, side)

    def other(self, side: str) -> str:
        return "server" if side == "client" else "client"

    def collect(self) -> None:
        for side in ("client", "server"):
            self.wire[self.other(side)] += self.session(side).messages_to_send()

    def deliver(self, side: str, count: int) -> None:
        batch, self.wire[side] = self.wire[side][:count], self.wire[side][count:]
        for event in self.session(side).receive_messages(batch, self.now):
            if isinstance(event, EventReceived):
                self.got[side].append(event)
                if event.ack_id is not None:
                    self.session(side).send_ack(
                        event.ack_id, event.args, event.attachments, namespace=event.namespace
                    )
            elif isinstance(event, AckReceived):
                asked = self.asked[side].pop(0)
                assert (event.ack_id, event.args, event.attachments, event.namespace) == asked
            else:
                assert isinstance(event, Connected) or type(event).__name__ == "Opened"
        self.collect()

    @rule(side=st.sampled_from(["client", "server"]), sent=sent_events(), ack=st.booleans())
    def send(self, side: str, sent: dict, ack: bool) -> None:
        if ack:
            sent = sent | {"ack_id": self.acks}
            _, namespace, args, attachments = fingerprint_of_sent(sent)
            self.asked[side].append((self.acks, args, attachments, namespace))
            self.acks += 1
        self.session(side).send_event(**sent)
        self.sent[side].append(fingerprint_of_sent(sent))
        self.collect()

    @rule(side=st.sampled_from(["client", "server"]), count=st.integers(1, 6))
    def receive(self, side: str, count: int) -> None:
        self.deliver(side, count)

    @rule(share=st.floats(0, 1))
    @precondition(lambda self: not self.wire["client"] and not self.wire["server"])
    def time_passes(self, share: float) -> None:
        """Heartbeats in an idle moment; deadlines are kept to the instant."""
        for _ in range(2):
            until = min(self.client.next_deadline(), self.server.next_deadline())
            self.now = until if share > 0.5 else self.now + (until - self.now) * share
            for side in ("client", "server"):
                assert self.session(side).handle_deadline(self.now) == []
            self.collect()
            self.deliver("client", 9)
            self.deliver("server", 9)

    @invariant()
    def nothing_is_lost_reordered_or_invented(self) -> None:
        for side in ("client", "server"):
            got = [fingerprint(event) for event in self.got[side]]
            assert got == self.sent[self.other(side)][: len(got)]
            assert self.session(side).state is SessionState.READY

    def teardown(self) -> None:
        for _ in range(3):
            for side in ("client", "server"):
                self.deliver(side, 10_000)
        for side in ("client", "server"):
            assert [fingerprint(event) for event in self.got[side]] == self.sent[self.other(side)]
            assert self.asked[side] == []


PairMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestPair = PairMachine.TestCase

CONVERSATIONS = {
    "client": [
        '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
        '40{"sid":"t"}',
        '451-["updateAssets",{"_placeholder":true,"num":0}]',
        b"[[1]]",
        "2",
        '451-["successauth",{"_placeholder":true,"num":0}]',
        b'{"id":"1"}',
        '451-["updateStream",{"_placeholder":true,"num":0}]',
        b"[[1]]",
        '451-["updateStream",{"_placeholder":true,"num":0}]',
        "2",
        b"[[2]]",
        '42["x",1]',
        "41",
    ],
    "server": [
        '42["changeSymbol",{}]',
        "40",
        '42["auth",{"session":"canary"}]',
        '42["ps"]',
        "3",
        '421["x"]',
        "431[]",
        "41",
    ],
}


def play(side: str, messages: list) -> tuple:
    """Let a session receive; a client authenticates, a server accepts. Returns the events and the session."""
    if side == "client":
        session = ClientSession(now=0.0)
    else:
        session = ServerSession(sid="s", now=0.0)
    events = []
    for message in messages:
        got = session.receive_messages([message], 0.0)
        events += got
        for event in got:
            if isinstance(event, Connected) and side == "client":
                session.authenticate('{"session":"canary"}')
            if type(event).__name__ == "AuthRequested":
                events += session.accept_auth(b"{}")
        session.messages_to_send()
    return events, session


MUTATIONS = st.sampled_from(["drop", "repeat", "swap", "garbage text", "garbage bytes", "edit", "cut"])


@given(st.sampled_from(["client", "server"]), st.data())
@settings(max_examples=1000)
def test_any_mutation_of_a_conversation_ends_well(side: str, data: st.DataObject) -> None:
    """It goes on, or it ends in CLOSED with one typed error that holds no text of the peer; nothing else comes out."""
    messages = list(CONVERSATIONS[side])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(messages) - 1)) if messages else 0
        match data.draw(MUTATIONS) if messages else "garbage text":
            case "drop":
                del messages[at]
            case "repeat":
                messages.insert(at, messages[at])
            case "swap":
                messages[at - 1], messages[at] = messages[at], messages[at - 1]
            case "garbage text":
                messages.insert(at, data.draw(st.text(max_size=10) | st.text('0123456-/,[]{}"', max_size=10)))
            case "garbage bytes":
                messages.insert(at, data.draw(st.binary(max_size=5)))
            case "cut":
                messages[at] = messages[at][: data.draw(st.integers(0, 20))]
            case "edit" if isinstance(messages[at], str):
                start = data.draw(st.integers(0, len(messages[at])))
                messages[at] = (
                    messages[at][:start] + data.draw(st.text(max_size=2)) + messages[at][start + 1 :]
                )
    events, session = play(side, messages)

    closed = [event for event in events if isinstance(event, Closed)]
    assert closed == (events[-1:] if session.state is SessionState.CLOSED else [])
    if closed and side == "server":
        assert closed[0].error is None or isinstance(closed[0].error, RemoteProtocolError)
    if closed and side == "client":
        assert isinstance(closed[0].error, ConnectError | AuthError | RemoteProtocolError | ConnectionBroken)
        assert not isinstance(closed[0].error, HeartbeatMissed)
    for event in closed:
        assert "canary" not in repr(event) + str(event.error)
    names = [event.name for event in events if isinstance(event, EventReceived)]
    assert not set(names) & RESERVED_NAMES


@pytest.mark.parametrize("side", ["client", "server"])
def test_every_prefix_of_a_conversation_leaves_a_session_that_can_be_ended(side: str) -> None:
    for count in range(len(CONVERSATIONS[side]) + 1):
        _, session = play(side, CONVERSATIONS[side][:count])
        alive = session.state is not SessionState.CLOSED
        assert alive is (count < len(CONVERSATIONS[side]))
        assert len(session.receive_close(None)) == int(alive)
        assert session.state is SessionState.CLOSED
