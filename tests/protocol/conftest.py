"""What the tests of the sessions share: a client and a server session wired back to back, without a network."""

from collections.abc import Callable
from typing import Any

import pytest

from potrio.protocol.client_session import ClientSession
from potrio.protocol.events import AuthRequested, Connected, SessionEvent
from potrio.protocol.server_session import ServerSession

AUTH = '{"session":"canary","isDemo":1}'


class SessionPair:
    """Both sides of one session; what one queues the other gets, in as many reads as `chunk` asks for."""

    def __init__(self, *, auth_required: bool = True, now: float = 0.0, **server: Any) -> None:
        self.now = now
        client = {"namespaces": server.pop("client_namespaces")} if "client_namespaces" in server else {}
        self.server = ServerSession(sid="abc", now=now, auth_required=auth_required, **server)
        self.client = ClientSession(now=now, target="ws://venue", auth_required=auth_required, **client)
        self.at_client: list[SessionEvent] = []
        self.at_server: list[SessionEvent] = []

    def pump(self, chunk: int = 1_000_000) -> None:
        """Carry messages until nobody has any."""
        while self.server.has_output or self.client.has_output:
            self.at_client += self._carry(self.server, self.client, chunk)
            self.at_server += self._carry(self.client, self.server, chunk)

    def _carry(self, source: Any, sink: Any, chunk: int) -> list[SessionEvent]:
        messages = source.messages_to_send()
        events: list[SessionEvent] = []
        for start in range(0, len(messages), chunk):
            events += sink.receive_messages(messages[start : start + chunk], self.now)
        return events

    def connect(self) -> "SessionPair":
        """Go on until the client waits for its authentication (or is ready, where none is required)."""
        self.pump()
        assert isinstance(self.at_client[-1], Connected)
        return self

    def authenticating(self) -> "SessionPair":
        """Go on until the server is to answer the authentication."""
        self.connect()
        self.client.authenticate(AUTH)
        self.pump()
        assert isinstance(self.at_server[-1], AuthRequested)
        return self

    def ready(self) -> "SessionPair":
        """Go on until both sides are READY, and forget what happened on the way."""
        self.authenticating()
        self.server.accept_auth(b'{"id":"1","serverName":"x"}')
        self.pump()
        self.forget()
        return self

    def forget(self) -> None:
        """Forget the events so far."""
        self.at_client.clear()
        self.at_server.clear()


@pytest.fixture(scope="session")
def make_pair() -> Callable[..., SessionPair]:
    """The class `SessionPair`: Hypothesis wants a new one for each example."""
    return SessionPair
