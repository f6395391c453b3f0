"""Answers by convention and families of events."""

from __future__ import annotations

from typing import Any

import pytest

from potrio.errors import LocalProtocolError, PayloadInvalid
from potrio.protocol.messages.base import Message, Unknown
from potrio.protocol.messages.codec import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    decode_client_event,
    decode_server_event,
    encode,
)
from potrio.protocol.messages.families import (
    ANSWERED,
    Accepted,
    Drawing,
    Refused,
    Social,
    decode_client_family,
    decode_server_family,
    encode_family,
)
from potrio.protocol.messages.market import LoadAssets


@pytest.mark.parametrize("request_", sorted(ANSWERED))
def test_every_answered_request_has_both_answers(request_: str) -> None:
    assert decode_server_event(f"success{request_}", b'{"id":1}') == Accepted(request_, {"id": 1})
    assert decode_server_event(f"fail{request_}", b'{"error":"E"}') == Refused(request_, {"error": "E"})


def test_answered_requests_are_requests_of_a_client() -> None:
    requests = {name for event in CLIENT_EVENTS for name in event.names}

    assert requests >= ANSWERED


def test_no_answer_hides_a_type_of_its_own() -> None:
    typed = {name for event in SERVER_EVENTS for name in event.names}

    assert typed.isdisjoint(f"success{request}" for request in ANSWERED)
    assert typed.isdisjoint(f"fail{request}" for request in ANSWERED)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"error": "MaxDemoTrades"}, "MaxDemoTrades"),
        ({"data": {"error": "E"}}, "E"),
        ({"data": {"data": {"error": "E"}}}, "E"),
        ({"data": {"data": {"data": {"error": "too deep"}}}}, None),
        ({"error": 5, "data": {"error": "E"}}, "E"),
        ({}, None),
        (None, None),
        (["error"], None),
    ],
)
def test_the_word_of_a_refusal(payload: Any, error: str | None) -> None:
    assert Refused("saveCharts", payload).error == error


@pytest.mark.parametrize(
    ("name", "message", "payload"),
    [
        ("drawing/add", Drawing("add", {"points": [[1, 2.5]]}), b'{"points":[[1,2.5]]}'),
        ("drawing/load", Drawing("load"), None),
        ("social/follow/me", Social("follow/me", 5), b"5"),
    ],
)
def test_families(name: str, message: Message, payload: bytes | None) -> None:
    assert encode(message) == (name, payload)
    assert decode_client_event(name, payload or b"") == message
    assert decode_server_event(name, payload or b"") == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("successdrawing/add", Accepted("drawing/add")),
        ("failsocial/follow", Refused("social/follow")),
        ("failindicator/load", Refused("indicator/load")),
        ("successtomorrow", Unknown("successtomorrow")),
        ("failtomorrow", Unknown("failtomorrow")),
        ("success", Unknown("success")),
        ("drawing", Unknown("drawing")),
        ("sociable/x", Unknown("sociable/x")),
    ],
)
def test_answers_within_families_and_none(name: str, message: Message) -> None:
    assert decode_server_event(name, b"") == message
    assert encode(message) == (name, None)


def test_bad_json_of_an_answer() -> None:
    with pytest.raises(PayloadInvalid, match="bad payload for successsaveCharts"):
        decode_server_event("successsaveCharts", b"{")


@pytest.mark.parametrize(
    "answer", [Accepted("openOrder"), Refused("openOrder"), Accepted("indicator/load"), Accepted("x")]
)
def test_an_answer_with_a_type_of_its_own_is_not_written_in_this_form(answer: Message) -> None:
    with pytest.raises(LocalProtocolError, match="is not an answer in this form"):
        encode(answer)


def test_what_is_of_no_family() -> None:
    assert decode_server_family("ps", b"") is None
    assert decode_client_family("successsaveCharts", b"") is None
    assert encode_family(LoadAssets()) is None


def test_an_action_cannot_steer_a_terminal() -> None:
    assert decode_client_event("drawing/a\x1b[2J", b"") == Drawing("a[2J")
