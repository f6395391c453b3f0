"""The codec: every event both ways, unknown ones kept, bad ones refused in words that do not repeat them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.errors import LimitExceeded, LocalProtocolError, PayloadInvalid, RemoteProtocolError
from potrio.limits import JSON_DEPTH_MAX
from potrio.protocol.messages.auth import AuthRequest, NotAuthorized
from potrio.protocol.messages.base import Message, Unknown
from potrio.protocol.messages.codec import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    TEXT_EVENTS,
    decode_client_event,
    decode_server_event,
    encode,
)
from potrio.protocol.messages.families import Accepted, Drawing, Refused, Social
from potrio.protocol.messages.market import HistoryFast, Tick, TickRow, UpdateStream
from potrio.protocol.messages.trading import Deal
from potrio.testing.strategies import client_messages, json_values, message_of, server_messages

SERVER_TYPES = [event.type for event in SERVER_EVENTS] + [Accepted, Refused, Drawing, Social, Unknown]
CLIENT_TYPES = [event.type for event in CLIENT_EVENTS] + [Drawing, Social, Unknown]
SERVER_NAMES = [name for event in SERVER_EVENTS for name in event.names]
CLIENT_NAMES = [name for event in CLIENT_EVENTS for name in event.names]
PAYLOADS = st.binary(max_size=60) | json_values().map(msgspec.json.encode)


def outcome_of(
    decode: Callable[[str, bytes], Message], name: str, payload: bytes
) -> Message | PayloadInvalid | LimitExceeded:
    """The message, or the error as a value; any other exception passes."""
    try:
        return decode(name, payload)
    except (PayloadInvalid, LimitExceeded) as error:
        return error


@pytest.mark.parametrize("kind", SERVER_TYPES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_a_venue_encodes_a_client_decodes(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(message_of(kind))

    name, payload = encode(message)

    assert decode_server_event(name, payload or b"") == message


@pytest.mark.parametrize("kind", CLIENT_TYPES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_a_client_encodes_a_venue_decodes(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(message_of(kind))

    name, payload = encode(message)

    assert decode_client_event(name, payload or b"") == message


@settings(max_examples=100, deadline=None)
@given(message=server_messages() | client_messages())
def test_payloads_are_compact_json_in_utf_8(message: Message) -> None:
    _, payload = encode(message)

    if payload is not None:
        value = msgspec.json.decode(payload)
        assert msgspec.json.format(payload, indent=-1) == payload
        assert value is not None


@pytest.mark.parametrize(
    ("decode", "names"), [(decode_server_event, SERVER_NAMES), (decode_client_event, CLIENT_NAMES)]
)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_payload_ends_in_a_message_or_in_a_typed_error(
    decode: Any, names: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(names) | st.text(max_size=12))
    payload = data.draw(PAYLOADS)

    outcome = outcome_of(decode, name, payload)

    if isinstance(outcome, Exception):
        assert outcome.__cause__ is None
        assert outcome.__context__ is None
    else:
        assert isinstance(outcome, Message)


@settings(max_examples=200, deadline=None)
@given(message=server_messages(), data=st.data())
def test_a_broken_message_ends_in_a_message_or_in_a_typed_error(
    message: Message, data: st.DataObject
) -> None:
    name, payload = encode(message)
    broken = bytearray(payload or b"")
    for _ in range(data.draw(st.integers(1, 3))):
        if broken:
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))

    assert isinstance(
        outcome_of(decode_server_event, name, bytes(broken)), Message | PayloadInvalid | LimitExceeded
    )


def test_a_name_means_one_thing_in_each_direction() -> None:
    assert len(SERVER_NAMES) == len(set(SERVER_NAMES))
    assert len(CLIENT_NAMES) == len(set(CLIENT_NAMES))


def test_the_same_name_may_mean_another_thing_in_the_other_direction() -> None:
    both = set(SERVER_NAMES) & set(CLIENT_NAMES)

    assert {"updateOpenedDeals", "loadHistoryPeriod", "signals/stats"} <= both


def test_unknown_events_are_kept_whole() -> None:
    payload = b' {"new": [1, 2, 3.10]} '

    assert decode_server_event("tomorrow/new", payload) == Unknown("tomorrow/new", payload)
    assert decode_client_event("tomorrow/new", b"") == Unknown("tomorrow/new")
    assert encode(Unknown("tomorrow/new", payload)) == ("tomorrow/new", payload)
    assert encode(Unknown("tomorrow/new")) == ("tomorrow/new", None)


def test_the_name_of_an_unknown_event_cannot_steer_a_terminal() -> None:
    assert decode_server_event("a\x1b[2Jb\u202ec", b"") == Unknown("a[2Jbc")


@pytest.mark.parametrize(
    ("name", "payload", "fault"),
    [
        ("successupdateBalance", b'{"balance":true}', "Expected `decimal`, got `bool` - at `$.balance`"),
        ("successupdateBalance", b"[]", "Expected `object`, got `array`"),
        ("successupdateBalance", b"", "Input data was truncated"),
        ("successopenOrder", b"{}", "Object missing required field `id`"),
        ("chafor", b'[["\xff",1]]', "a text is not UTF-8"),
        ("updateTime", b"99999999999", "Expected `int` <= 4102444800"),
    ],
)
def test_a_bad_payload_is_told_by_event_and_fault(name: str, payload: bytes, fault: str) -> None:
    with pytest.raises(PayloadInvalid) as caught:
        decode_server_event(name, payload)

    assert caught.value.event == name
    assert caught.value.fault == fault
    assert str(caught.value) == f"bad payload for {name}: {caught.value.fault}"
    assert isinstance(caught.value, RemoteProtocolError)
    assert caught.value.close_code == 1007


CANARY = "canary7f3a"


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("auth", b'{"session":"canary7f3a","isDemo":7}'),
        ("auth", b'{"session":["canary7f3a"]}'),
        ("auth", b'{"session":"canary7f3a'),
        ("auth", b'{"session":"canary7f3a","x":' + b"[" * 100),
        ("auth", b'{"session":"canary7f3a\xff"}'),
        ("auth", b'{"currentUrl":"canary7f3a"}'),
        ("openOrder", b'{"asset":"A","amount":1,"isDemo":1,"action":"canary7f3a"}'),
        ("openOrder", b'{"asset":"A\\u001bcanary7f3a","amount":1,"isDemo":1,"action":"put"}'),
        ("changeSymbol", b'{"asset":"canary7f3a","period":-1}'),
    ],
)
def test_no_error_repeats_what_came(name: str, payload: bytes) -> None:
    error = outcome_of(decode_client_event, name, payload)

    assert isinstance(error, Exception)
    assert CANARY not in repr(error)
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in shown.stack if "potrio/protocol" in frame.filename]
    assert len(ours) == 1
    assert CANARY not in "".join(traceback.StackSummary.from_list(ours).format())


@pytest.mark.parametrize("name", [*CLIENT_NAMES, "drawing/x", "social/x"])
def test_deep_nesting_is_refused_before_it_is_decoded(name: str) -> None:
    outcome = outcome_of(decode_client_event, name, b"[" * 5000)

    if isinstance(outcome, Message):
        assert encode(outcome)[1] is None, "only an event without argument ignores one"
    else:
        assert isinstance(outcome, LimitExceeded)
        assert outcome.limit == JSON_DEPTH_MAX


@pytest.mark.parametrize("name", [*SERVER_NAMES, "successsaveCharts", "failsaveCharts"])
def test_deep_nesting_is_refused_on_the_client_too(name: str) -> None:
    outcome = outcome_of(decode_server_event, name, b'[["A",1,2,' + b'{"a":' * 5000)

    assert isinstance(outcome, LimitExceeded | NotAuthorized)


def test_what_is_no_event_is_not_encoded() -> None:
    class Other(Message, frozen=True):
        pass

    with pytest.raises(LocalProtocolError, match="Other is not an event"):
        encode(Other())


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_never_leaves(price: float) -> None:
    with pytest.raises(LocalProtocolError, match="not finite"):
        encode(UpdateStream([Tick("EURUSD", 1.0, price)]))
    with pytest.raises(LocalProtocolError, match="not finite"):
        encode(HistoryFast("EURUSD", 60, [TickRow(1.0, price)], []))


def test_text_events_are_events_of_a_venue() -> None:
    assert set(SERVER_NAMES) >= TEXT_EVENTS


def test_messages_are_frozen_and_compare_by_value() -> None:
    for event in (*SERVER_EVENTS, *CLIENT_EVENTS):
        assert event.type.__struct_config__.frozen, event.type
    assert Deal.__struct_config__.frozen


def test_the_answer_to_auth_is_not_taken_for_a_request() -> None:
    assert decode_server_event("auth", b'{"session":"x"}') == Unknown("auth", b'{"session":"x"}')
    assert isinstance(decode_client_event("auth", b'{"session":"x"}'), AuthRequest)
