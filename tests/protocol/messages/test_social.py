"""The rest of the web client's requests."""

from __future__ import annotations

import pytest

from potrio.protocol.messages.base import Message
from potrio.protocol.messages.codec import decode_client_event, decode_server_event, encode
from potrio.protocol.messages.social import (
    AIDeal,
    ChangePlatform,
    ClosedExpresses,
    GetAIStrategyState,
    OpenedExpresses,
    OpenExpress,
    OpenFreeTrade,
    RequestClosedExpresses,
    StartAIStrategy,
    Sto,
    StopAIStrategy,
    Sts,
    Usto,
)


@pytest.mark.parametrize(
    ("name", "message", "payload"),
    [
        ("deals/ai", AIDeal({"asset": "A"}), b'{"asset":"A"}'),
        ("openExpress", OpenExpress([1]), b"[1]"),
        ("openFreeTrade", OpenFreeTrade(5), b"5"),
        ("updateClosedExpresses", RequestClosedExpresses(), None),
        ("ai-strategy-multi/start", StartAIStrategy("x"), b'"x"'),
        ("ai-strategy-multi/stop", StopAIStrategy(), None),
        ("ai-strategy-multi/get-state", GetAIStrategyState(False), b"false"),
        ("user/change-platform", ChangePlatform(2), b'{"platform":2}'),
        ("user/change-platform", ChangePlatform("web"), b'{"platform":"web"}'),
        ("sto", Sto(), None),
        ("sts", Sts(1.5), b"1.5"),
        ("usto", Usto({"a": [None]}), b'{"a":[null]}'),
    ],
)
def test_requests(name: str, message: Message, payload: bytes | None) -> None:
    assert encode(message) == (name, payload)
    assert decode_client_event(name, payload or b"") == message


def test_expresses() -> None:
    assert decode_server_event("successupdateOpenedExpresses", b"[]") == OpenedExpresses([])
    assert decode_server_event("successupdateClosedExpresses", b'[{"id":"a\\u0007"}]') == ClosedExpresses(
        [{"id": "a"}]
    )
