"""The transition tables: complete, reachable, drawn; and real sessions refuse every input that is not in them."""

import pytest

from potrio.errors import LocalProtocolError, RemoteProtocolError
from potrio.protocol import state as state_module
from potrio.protocol.client_session import ClientSession
from potrio.protocol.engineio import Handshake
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import Closed
from potrio.protocol.server_session import ServerSession
from potrio.protocol.state import (
    ENGINEIO_TRANSITIONS,
    NAMESPACE_TRANSITIONS,
    EngineIOInput,
    EngineIOState,
    NamespaceInput,
    NamespaceState,
    SessionState,
    diagram,
    session_state,
    step,
)

E, EI, N, NI = EngineIOState, EngineIOInput, NamespaceState, NamespaceInput
TABLES = [
    *(("engine.io", role, table, E, EI) for role, table in ENGINEIO_TRANSITIONS.items()),
    *(("namespace", role, table, N, NI) for role, table in NAMESPACE_TRANSITIONS.items()),
]
ABSENT = [
    pytest.param(table, state, input_, id=f"{name}-{role}-{state.name}-{input_.name}")
    for name, role, table, states, inputs in TABLES
    for state in states
    for input_ in inputs
    if (state, input_) not in table
]


# --- the tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "state", "input_"), ABSENT)
def test_step_refuses_every_absent_key_and_blames_the_right_side(table, state, input_) -> None:
    received = input_.name.startswith("RECEIVE") or input_ is NI.BUFFER_EVENT
    with pytest.raises(RemoteProtocolError if received else LocalProtocolError, match=state.name):
        step(table, state, input_)


@pytest.mark.parametrize(("name", "role", "table", "states", "inputs"), TABLES)
def test_step_follows_every_key(name, role, table, states, inputs) -> None:
    for (state, input_), after in table.items():
        assert step(table, state, input_) is after


@pytest.mark.parametrize(("name", "role", "table", "states", "inputs"), TABLES)
def test_every_state_can_be_reached(name, role, table, states, inputs) -> None:
    reached = {next(iter(states))}
    for _ in states:
        reached |= {after for (state, _), after in table.items() if state in reached}
    unreachable = (
        {N.CONNECTING} if (name, role) == ("namespace", "server") else set()
    )  # a server answers at once
    assert reached == set(states) - unreachable


def test_nothing_leaves_closed() -> None:
    assert not [key for table in ENGINEIO_TRANSITIONS.values() for key in table if key[0] is E.CLOSED]


@pytest.mark.parametrize(("name", "role", "table", "states", "inputs"), TABLES)
def test_the_docstring_holds_the_diagrams(name, role, table, states, inputs) -> None:
    drawn = diagram(table)
    assert drawn.startswith("stateDiagram-v2\n")
    assert drawn in state_module.__doc__
    for (state, input_), after in table.items():
        assert any(
            line.strip().startswith(f"{state.name} --> {after.name}: ") and input_.value in line
            for line in drawn.splitlines()
        )


@pytest.mark.parametrize("namespace", N)
def test_the_state_of_a_session(namespace: NamespaceState) -> None:
    assert session_state(E.OPENING, namespace) is SessionState.OPENING
    assert session_state(E.CLOSED, namespace) is SessionState.CLOSED
    expected = {
        N.ABSENT: SessionState.CONNECTING,
        N.CONNECTING: SessionState.CONNECTING,
        N.LEFT: SessionState.CONNECTING,
        N.CONNECTED: SessionState.CONNECTED,
        N.AUTHENTICATING: SessionState.AUTHENTICATING,
        N.READY: SessionState.READY,
    }
    assert session_state(E.OPEN, namespace) is expected[namespace]


# --- real sessions ---------------------------------------------------------------------------------------------------

OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
WIRE = {
    EI.RECEIVE_OPEN: OPEN,
    EI.RECEIVE_CLOSE: "1",
    EI.RECEIVE_PING: "2",
    EI.RECEIVE_PONG: "3",
    EI.RECEIVE_MESSAGE: "4x",
    EI.RECEIVE_UPGRADE: "5",
    EI.RECEIVE_NOOP: "6",
    NI.RECEIVE_CONNECT: '40{"sid":"s"}',
    NI.RECEIVE_CONNECT_ERROR: '44{"message":"no"}',
    NI.RECEIVE_DISCONNECT: "41",
    NI.RECEIVE_EVENT: '42["x"]',
    NI.RECEIVE_ACK: "431[]",
    NI.RECEIVE_AUTH: '42["auth",{}]',
    NI.RECEIVE_AUTH_ACCEPTED: '42["successauth",{}]',
    NI.RECEIVE_AUTH_REJECTED: '42["NotAuthorized"]',
}
CALLS = {
    EI.SEND_MESSAGE: lambda session: session.send_message("x"),
    EI.SEND_CLOSE: lambda session: session.send_close(),
    NI.SEND_EVENT: lambda session: session.send_event("x"),
    NI.SEND_ACK: lambda session: session.send_ack(1),
    NI.SEND_DISCONNECT: lambda session: session.send_disconnect("/"),
    NI.SEND_AUTH: lambda session: session.authenticate("{}"),
    NI.SEND_AUTH_ACCEPTED: lambda session: session.accept_auth(b"{}"),
    NI.SEND_AUTH_REJECTED: lambda session: session.reject_auth(),
}


def engineio_session(role: str, state: EngineIOState) -> EngineIOSession:
    session = EngineIOSession(role, now=0.0, handshake=Handshake("s") if role == "server" else None)
    if role == "client" and state is not E.OPENING:
        session.receive_messages([OPEN], 0.0)
    if state is E.CLOSED:
        session.receive_close(None)
    session.messages_to_send()
    assert session.engine_state is state
    return session


def client_session(state: NamespaceState) -> ClientSession:
    if state is N.ABSENT:
        session = ClientSession(now=0.0, auth_required=False, namespaces=())
        session.receive_messages([OPEN], 0.0)
        return session
    session = ClientSession(now=0.0)
    session.receive_messages([OPEN], 0.0)
    if state is not N.CONNECTING:
        session.receive_messages(['40{"sid":"s"}'], 0.0)
    if state in (N.AUTHENTICATING, N.READY):
        session.authenticate("{}")
    if state is N.READY:
        session.receive_messages(['42["successauth"]'], 0.0)
    if state is N.LEFT:
        session.send_disconnect("/")
    return session


def server_session(state: NamespaceState) -> ServerSession:
    session = ServerSession(sid="s", now=0.0)
    if state is not N.ABSENT:
        session.receive_messages(["40"], 0.0)
    if state in (N.AUTHENTICATING, N.READY):
        session.receive_messages(['42["auth",{}]'], 0.0)
    if state is N.READY:
        session.accept_auth(b"{}")
    if state is N.LEFT:
        session.send_disconnect("/")
    return session


def namespace_session(role: str, state: NamespaceState):
    session = client_session(state) if role == "client" else server_session(state)
    session.messages_to_send()
    assert session._main.state is state
    return session


def performed(session, input_) -> bool:
    """Do it; say whether it was refused. A refusal changes nothing (ours) or closes (the peer's)."""
    if input_ in CALLS:
        before = session.state
        try:
            CALLS[input_](session)
        except LocalProtocolError:
            assert session.state is before
            assert not session.has_output
            return True
        return False
    events = session.receive_messages([WIRE[input_]], 0.0)
    ended = [event for event in events if isinstance(event, Closed)]
    errors = [each for event in ended for each in (event.error, getattr(event.error, "__cause__", None))]
    refused = any(isinstance(error, RemoteProtocolError) for error in errors)
    assert not refused or session.state is SessionState.CLOSED
    return refused


REAL_ENGINEIO = [
    (role, state, input_)
    for role in ENGINEIO_TRANSITIONS
    for state in E
    if (role, state) != ("server", E.OPENING)  # it sends OPEN while it is made
    for input_ in EI
    if input_ in WIRE or input_ in CALLS
]


@pytest.mark.parametrize(("role", "state", "input_"), REAL_ENGINEIO)
def test_engineio_sessions_obey_their_table(role, state, input_) -> None:
    session = engineio_session(role, state)
    if state is E.CLOSED and input_ in WIRE:
        assert session.receive_messages([WIRE[input_]], 0.0) == []  # discarded
        return
    assert performed(session, input_) is ((state, input_) not in ENGINEIO_TRANSITIONS[role])


def not_a_matter_of(role: str, state: NamespaceState, input_: NamespaceInput) -> bool:
    """Whether such a session cannot have this input: the same wire text is another input to it."""
    if input_ is NI.RECEIVE_AUTH:
        return role == "client" or state is N.LEFT
    if input_ in (NI.RECEIVE_AUTH_ACCEPTED, NI.RECEIVE_AUTH_REJECTED):
        return role == "server" or state is N.LEFT
    if input_ in (NI.SEND_AUTH_ACCEPTED, NI.SEND_AUTH_REJECTED):
        return role == "client"
    if input_ is NI.RECEIVE_EVENT:  # a server that requires authentication keeps it: BUFFER_EVENT
        return role == "server" and state not in (N.READY, N.LEFT)
    return input_ is NI.SEND_AUTH and role == "server"


REAL_NAMESPACE = [
    (role, state, input_)
    for role in NAMESPACE_TRANSITIONS
    for state in N
    if (role, state) != ("server", N.CONNECTING)
    for input_ in NI
    if (input_ in WIRE or input_ in CALLS) and not not_a_matter_of(role, state, input_)
]


@pytest.mark.parametrize(("role", "state", "input_"), REAL_NAMESPACE)
def test_sessions_obey_the_table_of_their_namespace(role, state, input_) -> None:
    session = namespace_session(role, state)
    assert performed(session, input_) is ((state, input_) not in NAMESPACE_TRANSITIONS[role])


@pytest.mark.parametrize("state", [N.ABSENT, N.CONNECTED, N.AUTHENTICATING])
def test_a_server_keeps_events_before_authentication(state: NamespaceState) -> None:
    session = namespace_session("server", state)
    assert session.receive_messages([WIRE[NI.RECEIVE_EVENT]], 0.0) == []
    assert session.state is not SessionState.CLOSED


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_closed_session_discards_everything_and_sends_nothing(role: str) -> None:
    for input_ in NI:
        session = namespace_session(role, N.READY)
        session.receive_close(None)
        if input_ in WIRE:
            assert session.receive_messages([WIRE[input_]], 0.0) == []
        elif input_ in CALLS and hasattr(session, CALLS[input_].__code__.co_names[0]):
            with pytest.raises(LocalProtocolError):
                CALLS[input_](session)
            assert session._main.state is N.READY, "not even inside"
        assert not session.has_output
