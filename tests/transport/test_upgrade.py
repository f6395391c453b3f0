"""The client's half of the upgrade: which headers leave, and what each answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.utilities import generate_accept_token

from potrio.errors import ConfigError, UpgradeRejected
from potrio.transport.target import parse_target
from potrio.transport.upgrade import (
    DEFAULT_HEADERS,
    ClientUpgrade,
    check_response,
    not_a_handshake,
    request_headers,
)

TARGET = parse_target("wss://host.test:444/socket.io/?EIO=4&transport=websocket")


# --- headers ---------------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_a_browser_on_the_venues_page():
    assert dict(request_headers()) == DEFAULT_HEADERS
    assert DEFAULT_HEADERS["Origin"] == "https://pocketoption.com"
    assert "Mozilla/5.0" in DEFAULT_HEADERS["User-Agent"]


def test_a_header_replaces_the_default_of_its_name_in_any_case():
    headers = request_headers({"ORIGIN": "https://po.trade", "Cookie": "a=b; c=d"})

    assert headers == [
        ("ORIGIN", "https://po.trade"),
        ("User-Agent", DEFAULT_HEADERS["User-Agent"]),
        ("Cookie", "a=b; c=d"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        "canary\r\nX: y",
        "canary\ny",
        "canary\r",
        "canary\0",
        " canary",
        "canary ",
        "",
        "canar\xff",
        "canary\x7f",
        7,
        None,
        b"canary",
    ],
)
def test_a_value_that_could_split_the_request_is_refused_and_not_repeated(value):
    with pytest.raises(ConfigError) as caught:
        request_headers({"X-Header": value})

    assert str(caught.value) == "headers: the value of X-Header must be visible ASCII in one line"


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\r\nY", "\xff", "X\0", 7, None])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ConfigError, match="is not a header name"):
        request_headers({name: "x"})


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "connection",
        "UPGRADE",
        "Sec-WebSocket-Key",
        "sec-websocket-extensions",
        "Content-Length",
        "Transfer-Encoding",
    ],
)
def test_the_handshakes_own_headers_cannot_be_set(name):
    with pytest.raises(ConfigError, match="belongs to the WebSocket handshake"):
        request_headers({name: "x"})


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_no_header_ever_adds_a_line(headers):
    try:
        extra = request_headers(headers)
    except ConfigError:
        return
    request = ClientUpgrade(TARGET, extra).request

    assert request.count(b"\r\n") == 1 + 5 + len(extra) + 1
    assert request.count(b"\n") == request.count(b"\r") == request.count(b"\r\n")


# --- the request -----------------------------------------------------------------------------------------------------


def test_the_request():
    lines = ClientUpgrade(TARGET, [("X-A", "b")]).request.split(b"\r\n")
    key = lines[4].removeprefix(b"Sec-WebSocket-Key: ")

    assert lines == [
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        b"Host: host.test:444",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + key,
        b"Sec-WebSocket-Version: 13",
        b"X-A: b",
        b"",
        b"",
    ]
    assert len(key) == 24


@pytest.mark.parametrize(
    ("url", "host"),
    [("wss://host/", b"host"), ("wss://host:80/", b"host:80"), ("wss://[::1]:9/", b"[::1]:9")],
)
def test_the_host(url, host):
    assert b"\r\nHost: " + host + b"\r\n" in ClientUpgrade(parse_target(url), []).request


def test_two_upgrades_have_two_keys():
    assert ClientUpgrade(TARGET, []).request != ClientUpgrade(TARGET, []).request


# --- the answer ------------------------------------------------------------------------------------------------------


def good_head(upgrade, *more):
    """The head a server should answer with."""
    key = upgrade.request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    lines = [
        b"HTTP/1.1 101 Sure",
        b"upgrade: WebSocket",
        b"connection: keep-alive, upgrade",
        b"sec-websocket-accept: " + generate_accept_token(key),
        *more,
    ]
    return b"\r\n".join((*lines, b"", b""))


def test_a_good_answer():
    upgrade = ClientUpgrade(TARGET, [])

    upgrade.receive_head(good_head(upgrade, b"Server: x"))


@pytest.mark.parametrize(
    "more", [b"Sec-WebSocket-Extensions: permessage-deflate", b"Sec-WebSocket-Protocol: chat"]
)
def test_an_answer_with_what_was_not_asked_for(more):
    upgrade = ClientUpgrade(TARGET, [])
    with pytest.raises(UpgradeRejected) as caught:
        upgrade.receive_head(good_head(upgrade, more))

    assert caught.value.status == 101


def test_an_answer_to_another_request():
    upgrade = ClientUpgrade(TARGET, [])
    with pytest.raises(UpgradeRejected, match="Bad accept token"):
        upgrade.receive_head(good_head(ClientUpgrade(TARGET, [])))


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 302 Found", 302, "the server answered HTTP 302 Found; redirects are not followed"),
        (b"HTTP/1.0 500 \x1b[31m", 500, "the server answered HTTP 500 Internal Server Error"),
        (b"HTTP/1.1 100 Continue", 100, "the server answered HTTP 100 Continue"),
        (b"HTTP/1.1 999", 999, "the server answered HTTP 999"),
        (b"HTTP/1.1 099 x", None, "the server's answer is not HTTP/1.1"),
        (b"HTTP/1.1 2000 x", None, "the server's answer is not HTTP/1.1"),
        (b"HTTP/1.2 101 x", None, "the server's answer is not HTTP/1.1"),
        (b"HTTP/1.1 banana", None, "the server's answer is not HTTP/1.1"),
    ],
)
def test_other_answers(line, status, reason):
    with pytest.raises(UpgradeRejected) as caught:
        check_response(line + b"\r\nLocation: wss://elsewhere.test/\r\n\r\n", "wss://host:1")

    assert (caught.value.status, caught.value.reason, caught.value.target) == (status, reason, "wss://host:1")


def test_what_a_server_wrote_is_shown_escaped():
    error = not_a_handshake("wss://host:1", ValueError("unrecognized extension \x1b[31m\n"))

    assert str(error).endswith(r"(unrecognized extension \x1b[31m\n)")


@given(st.binary() | st.builds(b"HTTP/1.1 101 x\r\n".__add__, st.binary()))
def test_any_head_is_an_answer_or_a_refusal(data):
    with pytest.raises(UpgradeRejected):
        ClientUpgrade(TARGET, []).receive_head(data + b"\r\n\r\n")
