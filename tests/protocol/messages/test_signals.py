"""Trading signals as they were captured."""

from __future__ import annotations

import pytest

from potrio.errors import PayloadInvalid
from potrio.protocol.messages.codec import decode_client_event, decode_server_event, encode
from potrio.protocol.messages.signals import (
    Direction,
    LoadSignalsStats,
    Signal,
    SignalsLoaded,
    SignalsStats,
    SignalStat,
    SignalStats,
    SignalsUpdated,
    SubscribeSignals,
    UnsubscribeSignals,
)

CAPTURED = b'{"signals":[["#AAPL_otc",[[1,2],[2,2],[240,1]],186.844]],"times":{"1":1741364425}}'
SIGNAL = Signal("#AAPL_otc", [Direction(1, 2), Direction(2, 2), Direction(240, 1)], 186.844)


@pytest.mark.parametrize(
    ("name", "kind"), [("signals/load", SignalsLoaded), ("signals/update", SignalsUpdated)]
)
def test_captured_signals(name: str, kind: type[SignalsLoaded]) -> None:
    message = decode_server_event(name, CAPTURED)

    assert message == kind([SIGNAL], {"1": 1741364425})
    assert type(message) is kind
    assert encode(message) == (name, CAPTURED)


def test_one_bad_signal_does_not_lose_the_others() -> None:
    payload = CAPTURED.replace(b"[[", b'[["bad"],["#A\\u001b",[],1],[', 1)
    message = decode_server_event("signals/update", payload)

    assert isinstance(message, SignalsUpdated)
    assert message.signals == [SIGNAL]
    assert message.rejected == 2


@pytest.mark.parametrize("payload", [b"[]", b"{}", b'{"signals":[["x"]]}', b'{"signals":5}'])
def test_what_is_no_signals_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decode_server_event("signals/load", payload)


@pytest.mark.parametrize("name", ["signals/stats", "successsignals/stats"])
def test_captured_statistics(name: str) -> None:
    payload = b'[[1736646300,[["#BA_otc",240,201]]],[1736646480,[["#BA_otc",120,142],["#BA_otc",180,160]]]]'
    message = decode_server_event(name, payload)

    assert message == SignalsStats(
        [
            SignalStats(1736646300, [SignalStat("#BA_otc", 240, 201)]),
            SignalStats(1736646480, [SignalStat("#BA_otc", 120, 142), SignalStat("#BA_otc", 180, 160)]),
        ]
    )
    assert encode(message) == ("successsignals/stats", payload)


def test_requests() -> None:
    for name, request in (
        ("signals/subscribe", SubscribeSignals()),
        ("signals/unsubscribe", UnsubscribeSignals()),
        ("signals/stats", LoadSignalsStats()),
    ):
        assert encode(request) == (name, None)
        assert decode_client_event(name, b"") == request
