"""URLs: what is taken apart how, and each fault by its name."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConfigError
from potrio.transport.target import Target, is_loopback, parse_target, trusted

VENUE = "/socket.io/?EIO=4&transport=websocket"
UMLAUT = "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.test"

TARGETS = [
    (
        f"wss://api-eu.po.market{VENUE}",
        "api-eu.po.market",
        443,
        VENUE,
        "api-eu.po.market",
        "wss://api-eu.po.market:443",
    ),
    ("wss://host:8443", "host", 8443, "/", "host:8443", "wss://host:8443"),
    ("WSS://HOST:443/A?B", "host", 443, "/A?B", "host", "wss://host:443"),
    ("ws://127.0.0.1/x", "127.0.0.1", 80, "/x", "127.0.0.1", "ws://127.0.0.1:80"),
    ("ws://localhost:9000?x", "localhost", 9000, "/?x", "localhost:9000", "ws://localhost:9000"),
    ("ws://[::1]:81/", "::1", 81, "/", "[::1]:81", "ws://[::1]:81"),
    ("wss://[2001:DB8::0:1]/", "2001:db8::1", 443, "/", "[2001:db8::1]", "wss://[2001:db8::1]:443"),
    (
        f"wss://{UMLAUT}/",
        "xn--bcher-kva.test",
        443,
        "/",
        "xn--bcher-kva.test",
        "wss://xn--bcher-kva.test:443",
    ),
    ("wss://a_b.test.:1/%20", "a_b.test.", 1, "/%20", "a_b.test.:1", "wss://a_b.test.:1"),
    ("wss://host:/", "host", 443, "/", "host", "wss://host:443"),
]


@pytest.mark.parametrize(("url", "host", "port", "path", "authority", "text"), TARGETS)
def test_a_url_is_taken_apart(url, host, port, path, authority, text):
    target = parse_target(url)

    assert (target.host, target.port, target.path) == (host, port, path)
    assert target.tls is url.lower().startswith("wss")
    assert target.authority == authority
    assert str(target) == text


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "a WebSocket URL is needed"),
        (None, "a WebSocket URL is needed"),
        (b"wss://host/", "a WebSocket URL is needed"),
        ("wss://ho st/", "space or a control character"),
        ("wss://host/\r\nX: y", "space or a control character"),
        ("wss://host/\x7f", "space or a control character"),
        ("\twss://host/", "space or a control character"),
        ("https://host/", "the scheme must be wss (or ws on this machine), not 'https'"),
        ("host:443", "the scheme must be wss"),
        ("//host/", "not 'nothing'"),
        ("wss://", "the host is missing"),
        ("wss:///path", "the host is missing"),
        ("wss://:443/", "the host is missing"),
        ("wss://host:0/", "the port must be a number from 1 to 65535"),
        ("wss://host:65536/", "the port must be a number"),
        ("wss://host:https/", "the port must be a number"),
        ("wss://[::1/", "the host is malformed"),
        ("wss://user:password\N{ACCOUNT OF}@host/", "the host is malformed"),
        ("wss://[host]/", "host"),
        ("wss://[127.0.0.1]/", "host"),
        ("wss://[::1]x/", "IPv6"),
        ("wss://[fe80::1%25eth0]/", "zone"),
        ("wss://user:password@host/", "a user name or password has no place"),
        ("wss://host/#fragment", "a fragment"),
        ("wss://host/#", "a fragment"),
        ("wss://-host/", "'-host' is not a host name"),
        ("wss://ho!st/", "is not a host name"),
        ("wss://a..b/", "is not a host name"),
        ("wss://" + "a" * 64 + ".test/", "is not a host name"),
        ("wss://" + "a." * 127 + "test/", "is not a host name"),
        ("wss://\N{LATIN SMALL LETTER U WITH DIAERESIS}" + "a" * 64 + "/", "is not a host name"),
        ("wss://host/\N{SNOWMAN}", "the path must be ASCII"),
        ("ws://api-eu.po.market/", "ws:// would send the token readable to api-eu.po.market"),
        ("ws://192.0.2.1/", "ws:// would send the token"),
        ("ws://localhost.test/", "ws:// would send the token"),
        ("ws://127.0.0.1.test/", "ws:// would send the token"),
    ],
)
def test_a_fault_is_named(url, fault):
    with pytest.raises(ConfigError) as caught:
        parse_target(url)

    assert caught.value.path == "url"
    assert fault in caught.value.reason
    assert "password" not in caught.value.reason.replace("a user name or password", "")


def test_a_query_is_never_shown():
    with pytest.raises(ConfigError) as caught:
        parse_target("http://host/?token=canary")
    target = parse_target("wss://host/?token=canary")

    assert "canary" not in str(caught.value)
    assert "canary" not in str(target)


def unverifying() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def half_verifying() -> ssl.SSLContext:
    """The certificate has to be somebody's; whose, is not looked at."""
    context = ssl.create_default_context()
    context.check_hostname = False
    return context


@pytest.mark.parametrize("context", [unverifying(), half_verifying()], ids=["nothing", "no-name"])
@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize("url", ["wss://example.test/", "wss://10.0.0.1/", "wss://localhost.example.test/"])
def test_who_answers_elsewhere_is_always_verified(url, allow, context):
    with pytest.raises(
        ConfigError, match=r"does not verify that it is .*: trust its certificate with ca_file"
    ) as caught:
        trusted(parse_target(url), context, allow_insecure=allow)

    assert caught.value.path == "ssl_context"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("context", [unverifying(), half_verifying()], ids=["nothing", "no-name"])
def test_on_this_machine_it_need_not_be_if_one_says_so(context):
    here = parse_target("wss://127.0.0.1/")
    with pytest.raises(ConfigError, match="set allow_insecure=True"):
        trusted(here, context)

    assert trusted(here, context, allow_insecure=True).loopback_only is True


def test_a_context_of_your_own_that_verifies_may_go_anywhere():
    elsewhere = parse_target("wss://example.test/")

    assert trusted(elsewhere, ssl.create_default_context()) == elsewhere
    assert trusted(elsewhere, None, allow_insecure=True) == elsewhere


def test_readable_for_everybody_on_this_machine_only():
    with pytest.raises(ConfigError, match="for this machine only, use wss://"):
        parse_target("ws://example.test/")
    assert parse_target("ws://127.0.0.1/").loopback_only is True
    assert parse_target("wss://example.test/").loopback_only is False


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "localhost.", "0.0.0.0", "10.0.0.1", "::", "::ffff:10.0.0.1", "127.1", "loopback"]
)
def test_other_machines(host):
    assert not is_loopback(host)


@given(st.text() | st.builds("{}://{}{}".format, st.sampled_from(["ws", "wss"]), st.text(), st.text()))
def test_any_text_is_a_target_or_a_config_error(url):
    try:
        target = parse_target(url)
    except ConfigError:
        return

    assert isinstance(target, Target)
    assert target.path.startswith("/")
    assert target.path.isascii()
    assert target.host.isascii()
    assert 0 < target.port < 65_536
    assert parse_target(f"{target}{target.path}").path == target.path
