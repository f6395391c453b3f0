"""Session events are frozen, and show payloads by their size only."""

import typing

import pytest

from potrio.errors import AuthError
from potrio.protocol import events
from potrio.protocol.engineio import Handshake
from potrio.protocol.events import (
    AckReceived,
    Authenticated,
    AuthRequested,
    Closed,
    Connected,
    ConnectErrorReceived,
    Disconnected,
    EventReceived,
    EventRun,
    MessageReceived,
    Opened,
    SessionEvent,
)

CANARY = b'"canary-token"'
SAMPLES = [
    Opened(Handshake("s")),
    Connected("/", "s", CANARY),
    ConnectErrorReceived("/x", CANARY),
    AuthRequested(CANARY),
    Authenticated(CANARY),
    EventReceived("auth", CANARY, args=(CANARY, CANARY), attachments=(CANARY,)),
    EventRun("x", (CANARY, CANARY), CANARY + b"," + CANARY, (CANARY,)),
    AckReceived(3, (CANARY,), (CANARY,)),
    Disconnected("/x"),
    MessageReceived("canary"),
    MessageReceived(b"canary"),
    Closed(AuthError("NotAuthorized")),
    Closed(),
]


def test_the_union_has_them_all_and_each_is_sampled() -> None:
    classes = {type(event) for event in SAMPLES}
    assert classes == set(typing.get_args(SessionEvent))
    assert {cls.__name__ for cls in classes} | {"SessionEvent"} == set(events.__all__)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_no_payload_is_shown(event) -> None:
    for shown in (repr(event), str(event), format(event), str(event.__rich_repr__())):
        assert "canary" not in shown


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_they_are_frozen_and_compare_by_value(event) -> None:
    with pytest.raises(AttributeError):
        setattr(event, event.__struct_fields__[0], None)
    assert event == type(event)(*[getattr(event, name) for name in event.__struct_fields__])


def test_what_is_shown() -> None:
    event = EventReceived("x", b"12", ack_id=3, binary=True, args=(b"1", b"22"))
    assert repr(event) == (
        "EventReceived(name='x', payload=<2 bytes>, namespace='/', ack_id=3, binary=True, "
        "args=<2 of 3 bytes>, attachments=())"
    )
    assert repr(MessageReceived("abc")) == "MessageReceived(data=<3 chars>)"
    assert repr(MessageReceived(b"ab")) == "MessageReceived(data=<2 bytes>)"
    assert repr(Closed()) == "Closed(error=None)"
