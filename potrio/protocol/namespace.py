"""One namespace of a Socket.IO session: its state by the transition table, and the acks it waits for."""

from __future__ import annotations

from potrio.errors import LocalProtocolError
from potrio.limits import ACKS_PENDING_MAX
from potrio.protocol.state import NAMESPACE_TRANSITIONS, NamespaceInput, NamespaceState, Role, step

__all__ = ["Namespace"]


class Namespace:
    """The Socket.IO connection to `name`, seen from one side."""

    __slots__ = ("_acks", "_table", "name", "state")

    def __init__(self, name: str, role: Role) -> None:
        self.name = name
        self.state = NamespaceState.ABSENT
        self._table = NAMESPACE_TRANSITIONS[role]
        self._acks: set[int] = set()

    def __repr__(self) -> str:
        return f"<Namespace {self.name} {self.state.name}>"

    def step(self, input_: NamespaceInput) -> bool:
        """Make a transition; say whether the state is another one now.

        Raises:
            RemoteProtocolError: the peer sent what is not legal in this state.
            LocalProtocolError: we were about to; nothing changed.
        """
        before = self.state
        self.state = step(self._table, before, input_)
        if self.state is before:
            return False
        if self.state is NamespaceState.ABSENT:
            self._acks.clear()
        return True

    def check_ack_id(self, ack_id: int) -> None:
        """Check that an event may be sent with this ack id.

        Raises:
            LocalProtocolError: it is waited for already, or too many are.
        """
        if ack_id in self._acks:
            raise LocalProtocolError(f"ack id {ack_id} is in use")
        if len(self._acks) >= ACKS_PENDING_MAX:
            raise LocalProtocolError(f"more than {ACKS_PENDING_MAX} events wait for an ack")

    def expect_ack(self, ack_id: int) -> None:
        """Note that an event with this ack id has been sent."""
        self._acks.add(ack_id)

    def take_ack(self, ack_id: int) -> bool:
        """Say whether an ack with this id was waited for; it is not any more."""
        if ack_id not in self._acks:
            return False
        self._acks.remove(ack_id)
        return True
