"""The outbox: orders first, `Written` with the write and not before, and what does not leave is given back."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from potrio.actors.link import NotSent, SubmitOrder, Transmit, Written
from potrio.actors.outbox import Outbox
from potrio.limits import MAILBOX_CAPACITY
from potrio.protocol.client_session import ClientSession
from potrio.protocol.messages.auth import Ps
from potrio.protocol.messages.trading import OpenOrder, Side
from potrio.protocol.server_session import ServerSession
from potrio.testing.network import MemoryNetwork

from .conftest import EPOCH


class Orders:
    """In the place of the order book's ref."""

    def __init__(self) -> None:
        self.told: list = []

    def tell(self, message) -> bool:
        self.told.append(message)
        return True


def ready(max_payload: int = 1_000_000) -> ClientSession:
    client = ClientSession(now=0.0)
    server = ServerSession(sid="s", now=0.0, max_payload=max_payload)
    client.receive_messages(server.messages_to_send(), 0.0)
    server.receive_messages(client.messages_to_send(), 0.0)
    client.receive_messages(server.messages_to_send(), 0.0)
    client.authenticate("{}")
    server.receive_messages(client.messages_to_send(), 0.0)
    server.accept_auth(b"{}")
    client.receive_messages(server.messages_to_send(), 0.0)
    return client


def order(request_id="r1", expires_at=10.0, asset="A") -> SubmitOrder:
    message = OpenOrder(
        asset=asset, amount=Decimal(1), action=Side.CALL, is_demo=1, request_id=request_id, time=60
    )
    return SubmitOrder(request_id, message, expires_at)


@pytest.fixture
async def desk(autojump_clock):
    orders = Orders()
    return Outbox(orders, MemoryNetwork(epoch=EPOCH)), orders.told


async def test_orders_leave_before_requests_and_are_written_when_they_leave(autojump_clock, desk):
    outbox, told = desk
    session = ready()
    outbox.add_request(Transmit(Ps()))
    outbox.add_order(order())
    assert told == []
    outbox.load(session, 3)
    assert [message[:8] for message in session.messages_to_send()] == ['42["open', '42["ps"]']
    assert told == [Written("r1", 3, trio.current_time(), EPOCH + trio.current_time())]
    assert outbox.taken() == {"openOrder": 1, "ps": 1}
    assert not outbox.names
    outbox.load(session, 3)
    assert (session.has_output, len(told)) == (False, 1), "once"


async def test_an_order_that_expired_meanwhile_does_not_leave(autojump_clock, desk):
    outbox, told = desk
    session = ready()
    outbox.add_order(order(expires_at=trio.current_time() + 1))
    await trio.sleep(1.5)
    outbox.load(session, 1)
    assert [(type(message), message.final) for message in told] == [(NotSent, True)]
    assert not session.has_output


async def test_an_order_the_venue_cannot_take_is_refused_and_the_next_one_leaves(autojump_clock, desk):
    outbox, told = desk
    session = ready(max_payload=1024)
    outbox.add_order(order("big", asset="A" * 2000))
    outbox.add_order(order("small"))
    outbox.load(session, 1)
    assert [(type(m), m.request_id) for m in told] == [(NotSent, "big"), (Written, "small")]
    assert told[0].final
    assert len(session.messages_to_send()) == 1


async def test_giving_back(autojump_clock, desk):
    outbox, told = desk
    outbox.add_order(order("late", expires_at=trio.current_time() - 1))
    outbox.add_order(order("early", expires_at=trio.current_time() + 1))
    outbox.add_request(Transmit(Ps()))
    assert outbox.give_back("the link was lost") == 1
    assert [(m.request_id, m.final) for m in told] == [("late", True), ("early", False)]
    session = ready()
    outbox.load(session, 1)
    assert not session.has_output


async def test_requests_are_bounded(autojump_clock, desk):
    outbox, _ = desk
    assert all(outbox.add_request(Transmit(Ps())) for _ in range(MAILBOX_CAPACITY))
    assert not outbox.add_request(Transmit(Ps()))
