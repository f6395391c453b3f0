"""Logging in on the wire: every spelling of the request is read, and the token stays hidden."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings

from potrio.errors import PayloadInvalid
from potrio.protocol.messages.auth import AuthAccepted, AuthRequest, NotAuthorized, PingServer, Ps
from potrio.protocol.messages.codec import decode_client_event, decode_server_event, encode
from potrio.secrets import Secret
from potrio.testing.strategies import message_of

DEMO = b'{"session":"k3v9example","isDemo":1,"uid":12345678,"platform":2,"isFastHistory":true,"isOptimized":true}'


def test_demo_request() -> None:
    request = decode_client_event("auth", DEMO)

    assert request == AuthRequest(
        session=Secret("k3v9example"),
        is_demo=1,
        uid=12345678,
        platform=2,
        is_fast_history=True,
        is_optimized=True,
    )
    assert encode(request) == ("auth", DEMO)


def test_request_with_spaces_as_another_client_writes_it() -> None:
    request = decode_client_event("auth", b'{"session": "abc", "isDemo": true, "uid": "77", "platform": 1}')

    assert isinstance(request, AuthRequest)
    assert (request.is_demo, request.uid, request.user_id) == (1, "77", 77)
    assert (encode(request)[1] or b"").startswith(b'{"session":"abc","isDemo":1,')
    assert not request.is_guest


def test_live_request_keeps_the_session_exactly() -> None:
    session = 'a:1:{s:10:"user_agent";s:3:"\n\x1bé";}' + "0" * 32
    request = decode_client_event("auth", msgspec.json.encode({"session": session, "isDemo": 0, "uid": 5}))

    assert isinstance(request, AuthRequest)
    assert request.credential is not None
    assert request.credential.reveal() == session


def test_guest_request() -> None:
    payload = b'{"token":"EXAMPLEtok","isFastHistory":true,"balance":50000}'
    request = decode_client_event("auth", payload)

    assert isinstance(request, AuthRequest)
    assert request.is_guest
    assert request.user_id is None
    assert request.credential == Secret("EXAMPLEtok")
    assert encode(request) == ("auth", payload)


def test_the_other_spelling_of_session() -> None:
    request = decode_client_event("auth", b'{"sessionToken":"abcdef","isDemo":0,"uid":1}')

    assert isinstance(request, AuthRequest)
    assert request.credential == Secret("abcdef")
    assert not request.is_guest


@pytest.mark.parametrize("uid", ["12x", "", "-5", "١٢", "9" * 19, " 1"])
def test_a_uid_that_is_no_number_is_none(uid: str) -> None:
    assert AuthRequest(session=Secret("x"), uid=uid).user_id is None


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"{}", "one of session, sessionToken and token is needed"),
        (b'{"session":5}', "a session is a string - at `$.session`"),
        (b'{"session":""}', "one of session, sessionToken and token is needed"),
        (b'{"session":"x","isDemo":2}', "Expected `int` <= 1 - at `$.isDemo`"),
    ],
)
def test_bad_requests(payload: bytes, fault: str) -> None:
    with pytest.raises(PayloadInvalid) as caught:
        decode_client_event("auth", payload)

    assert caught.value.fault == fault


@settings(max_examples=50, deadline=None)
@given(request=message_of(AuthRequest))
def test_the_token_is_not_in_what_is_printed(request: AuthRequest) -> None:
    marked = msgspec.structs.replace(request, session=Secret("canary7f3a"), token=Secret("canary7f3a"))

    for text in (repr(marked), str(marked), f"{marked}"):
        assert "canary7f3a" not in text
        assert "Secret('***')" in text


@pytest.mark.parametrize(
    ("payload", "accepted"),
    [
        (b'{"id":"7d1c","serverName":"api-us-north CLIENT STREAMER PO.MARKET_0"}',
         AuthAccepted(id="7d1c", server_name="api-us-north CLIENT STREAMER PO.MARKET_0")),
        (b'{"serverName":"x"}', AuthAccepted(server_name="x")),
        (b'{"id":"x"}', AuthAccepted(id="x")),
        (b"{}", AuthAccepted()),
        (b"", AuthAccepted()),
        (b'{"serverName":"evil\\u001b[2J\\u202e"}', AuthAccepted(server_name="evil[2J")),
    ],
)  # fmt: skip
def test_accepted(payload: bytes, accepted: AuthAccepted) -> None:
    assert decode_server_event("successauth", payload) == accepted


def test_accepted_is_written_as_clients_read_it() -> None:
    assert encode(AuthAccepted(id="a", server_name="b")) == ("successauth", b'{"id":"a","serverName":"b"}')


@pytest.mark.parametrize("name", ["NotAuthorized", "notAuthorized", "auth_error"])
@pytest.mark.parametrize("payload", [b"", b"null", b'{"message":"x"}'])
def test_refused(name: str, payload: bytes) -> None:
    assert decode_server_event(name, payload) == NotAuthorized()
    assert encode(NotAuthorized()) == ("NotAuthorized", None)


def test_keep_alive() -> None:
    assert decode_client_event("ps", b"") == Ps()
    assert decode_client_event("ping-server", b"") == PingServer()
    assert encode(Ps()) == ("ps", None)
    assert encode(PingServer()) == ("ping-server", None)
