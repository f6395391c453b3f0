"""One namespace: its table decides, and it knows which acks it waits for."""

import pytest

from potrio.errors import LocalProtocolError, RemoteProtocolError
from potrio.limits import ACKS_PENDING_MAX
from potrio.protocol.namespace import Namespace
from potrio.protocol.state import NamespaceInput, NamespaceState

I, S = NamespaceInput, NamespaceState  # noqa: E741 - the tables read as columns


def connected() -> Namespace:
    namespace = Namespace("/", "client")
    assert namespace.step(I.SEND_CONNECT) is True
    assert namespace.step(I.RECEIVE_CONNECT) is True
    return namespace


def test_it_says_whether_the_state_changed() -> None:
    namespace = connected()
    assert namespace.state is S.CONNECTED
    assert namespace.step(I.RECEIVE_EVENT) is False
    assert repr(namespace) == "<Namespace / CONNECTED>"


def test_illegal_inputs_blame_the_right_side_and_change_nothing() -> None:
    namespace = connected()
    with pytest.raises(LocalProtocolError, match="cannot send EVENT in state CONNECTED"):
        namespace.step(I.SEND_EVENT)
    with pytest.raises(RemoteProtocolError, match="cannot receive CONNECT in state CONNECTED"):
        namespace.step(I.RECEIVE_CONNECT)
    assert namespace.state is S.CONNECTED


def test_an_ack_is_taken_once() -> None:
    namespace = connected()
    namespace.check_ack_id(5)
    namespace.expect_ack(5)
    with pytest.raises(LocalProtocolError, match="ack id 5 is in use"):
        namespace.check_ack_id(5)
    assert namespace.take_ack(6) is False
    assert namespace.take_ack(5) is True
    assert namespace.take_ack(5) is False
    namespace.check_ack_id(5)


def test_acks_are_bounded_to_the_edge() -> None:
    namespace = connected()
    for ack_id in range(ACKS_PENDING_MAX):
        namespace.check_ack_id(ack_id)
        namespace.expect_ack(ack_id)
    with pytest.raises(LocalProtocolError, match=str(ACKS_PENDING_MAX)):
        namespace.check_ack_id(ACKS_PENDING_MAX)
    namespace.take_ack(0)
    namespace.check_ack_id(ACKS_PENDING_MAX)


def test_a_namespace_that_is_gone_waits_for_no_ack() -> None:
    namespace = connected()
    namespace.expect_ack(1)
    namespace.step(I.RECEIVE_DISCONNECT)
    assert namespace.state is S.ABSENT
    assert namespace.take_ack(1) is False
