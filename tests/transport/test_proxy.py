"""Through proxies: both kinds carry both kinds of connection, the venue is verified, every refusal is typed."""

from __future__ import annotations

import base64
import ssl
import sys
import traceback

import pytest
import trio

from potrio.errors import ConfigError, ConnectionBroken, ProxyFailed, TlsFailed, UpgradeRejected
from potrio.limits import HTTP_HEAD_MAX
from potrio.secrets import Secret
from potrio.transport.accept import accept
from potrio.transport.dial import dial
from potrio.transport.proxy import Proxy, parse_proxy, start_tunnel
from potrio.transport.target import parse_target, trusted

from .proxies import ConnectProxy, Socks5Proxy

VENUE = "venue.test"
LOGIN = ("a user", "pass:w@rd/%")
URL_LOGIN = "a%20user:pass%3Aw%40rd%2F%25"


async def echo(stream):
    request = await accept(stream)
    transport = await request.upgrade()
    try:
        while True:
            await transport.send(await transport.receive())
    except ConnectionBroken:
        await transport.aclose()


@pytest.fixture(params=["http", "socks5"])
def scheme(request):
    return request.param


@pytest.fixture
def proxy_class(scheme):
    return ConnectProxy if scheme == "http" else Socks5Proxy


async def say_hello(url, **options) -> list[str]:
    stages: list[str] = []
    async with dial(url, on_stage=stages.append, **options) as transport:
        await transport.send(["hello"])
        assert await transport.receive() == ["hello"]
    return stages


async def refused(url, proxy, error_type=ProxyFailed, **options):
    with trio.fail_after(60), pytest.raises(error_type) as caught:
        async with dial(url, proxy=proxy, **options):
            pass
    return caught.value


# --- it works --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [None, LOGIN], ids=["open", "login"])
async def test_tls_through_a_proxy_that_looks_the_name_up_and_sees_nothing(
    serve, kind, scheme, proxy_class, login, certificates, no_leaks
):
    async with no_leaks(), serve(echo, certificates.server(VENUE)) as venue:
        proxy = proxy_class({VENUE: venue}, login)
        async with serve(proxy) as port:
            url = f"{scheme}://{URL_LOGIN + '@' if login else ''}127.0.0.1:{port}"
            stages = await say_hello(
                f"wss://{VENUE}:{venue}/",
                kind=kind,
                ssl_context=certificates.client(),
                proxy=parse_proxy(url),
            )
    assert stages == ["proxy", "tls", "http"]
    assert proxy.asked == [f"{VENUE}:{venue}"], "the name went to the proxy, and nobody else was asked for it"
    assert b"hello" not in proxy.carried
    assert b"GET /" not in proxy.carried


async def test_ws_on_this_machine_through_a_proxy_on_this_machine(serve, kind, scheme, proxy_class, no_leaks):
    async with no_leaks(), serve(echo) as venue:
        proxy = proxy_class({"127.0.0.1": venue})
        async with serve(proxy) as port:
            await say_hello(
                f"ws://127.0.0.1:{venue}/", kind=kind, proxy=parse_proxy(f"{scheme}://127.0.0.1:{port}")
            )


@pytest.mark.parametrize("address", [1, 3, 4])
async def test_each_form_of_the_address_in_a_socks_reply(serve, address):
    async with serve(echo) as venue:
        proxy = Socks5Proxy({"127.0.0.1": venue})
        proxy.kind = address
        async with serve(proxy) as port:
            await say_hello(f"ws://127.0.0.1:{venue}/", proxy=parse_proxy(f"socks5h://127.0.0.1:{port}"))


# --- it does not -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "unknown"), [("other.test", False), (VENUE, True)])
async def test_the_venues_certificate_is_verified_through_the_proxy(
    serve, scheme, proxy_class, certificates, no_leaks, name, unknown
):
    async with no_leaks(), serve(echo, certificates.server(name, unknown=unknown)) as venue:
        proxy = proxy_class({VENUE: venue})
        async with serve(proxy) as port:
            error = await refused(
                f"wss://{VENUE}/",
                parse_proxy(f"{scheme}://127.0.0.1:{port}"),
                TlsFailed,
                ssl_context=certificates.client(),
            )
    assert "certificate" in error.reason
    assert b"GET /" not in proxy.carried


@pytest.mark.parametrize(
    ("login", "words"), [("", "wants a user name"), ("me:wrong@", "does not accept the user name")]
)
async def test_a_login_that_is_missing_or_wrong(serve, scheme, proxy_class, no_leaks, login, words):
    proxy = proxy_class({"127.0.0.1": 1}, LOGIN)
    async with no_leaks(), serve(proxy) as port:
        error = await refused("ws://127.0.0.1:1/", parse_proxy(f"{scheme}://{login}127.0.0.1:{port}"))
    assert words in error.reason
    assert error.stage == "proxy"
    assert "wrong" not in str(error)


async def test_a_proxy_that_cannot_reach_the_venue(serve, scheme, proxy_class, no_leaks):
    async with no_leaks(), serve(proxy_class({})) as port:
        error = await refused("wss://venue.test/", parse_proxy(f"{scheme}://127.0.0.1:{port}"))
    assert ("502" if scheme == "http" else "cannot reach the host") in error.reason
    assert str(error).startswith(
        f"cannot connect to wss://venue.test:443: proxy: {scheme}://127.0.0.1:{port}: "
    )


async def test_nobody_listens_and_a_name_that_is_none(scheme, no_leaks):
    async with no_leaks():
        error = await refused("wss://venue.test/", Proxy(kind=scheme, host="127.0.0.1", port=1))
        assert "refused" in error.reason.lower()
        error = await refused("wss://venue.test/", Proxy(kind=scheme, host="no-such-host.invalid", port=1))
        assert error.stage == "proxy"


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-nobody\r\n\r\n",
        b"\x00" * 64,
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"",
        b"\x05",
        b"\x05\x02",
        b"\x05\x01",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * HTTP_HEAD_MAX,
        b"\x05\x00\x05\x00\x00\x07" + b"\x00" * 32,
        b"\x05\x00\x04\x00\x00\x01",
        b"\x05\x00\x05\x00\x00\x03\xff\x00",
        b"\x05\x00\x05\x63\x00\x01" + b"\x00" * 6,
    ],
    ids=range(12),
)
async def test_garbage_and_early_ends_are_typed(serve, scheme, no_leaks, garbage):
    async def answer(stream):
        await stream.receive_some()
        await stream.send_all(garbage)
        await stream.send_eof()
        async for _ in stream:
            pass

    async with no_leaks(), serve(answer) as port:
        error = await refused("wss://venue.test/", parse_proxy(f"{scheme}://127.0.0.1:{port}"))
    assert error.stage == "proxy"
    assert len(str(error)) < 250


async def test_what_comes_ahead_of_the_venue_is_not_taken_for_it(serve, answering):
    """Bytes behind the proxy's answer would be read as the venue's, before TLS has begun."""
    async with serve(
        answering(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching\r\n\r\n", then="wait")
    ) as port:
        error = await refused("ws://127.0.0.1:1/", parse_proxy(f"http://127.0.0.1:{port}"))
    assert "more than its answer" in error.reason


async def test_a_redirect_is_not_followed(serve, answering):
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n"
    async with serve(answering(answer)) as port:
        error = await refused("wss://venue.test/", parse_proxy(f"http://127.0.0.1:{port}"))
    assert "302" in error.reason
    assert "elsewhere" not in str(error)


async def test_a_silent_proxy_is_the_callers_to_give_up(serve, scheme, no_leaks, clock):
    stages: list[str] = []

    async def silent(stream):
        await trio.sleep_forever()

    async with no_leaks(), serve(silent) as port:
        with trio.move_on_after(10) as scope:
            async with dial(
                "wss://venue.test/",
                proxy=parse_proxy(f"{scheme}://127.0.0.1:{port}"),
                on_stage=stages.append,
            ):
                pass
    assert scope.cancelled_caught
    assert stages == ["proxy"]


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "wss://127.0.0.1:1/"])
async def test_the_token_does_not_leave_this_machine_in_clear_or_unverified(url):
    target = parse_target(url)
    if target.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        target = trusted(target, context, allow_insecure=True)
    ours, _ = trio.testing.memory_stream_pair()
    with pytest.raises(ConfigError, match="on another") as caught:
        await start_tunnel(ours, Proxy(kind="http", host="proxy.test", port=1), target)
    assert caught.value.path == "proxy"


async def test_a_venue_that_refuses_is_not_the_proxys_fault(serve, answering, scheme, proxy_class):
    async with (
        serve(answering(b"HTTP/1.1 403 Forbidden\r\n\r\n")) as venue,
        serve(proxy_class({"127.0.0.1": venue})) as port,
    ):
        error = await refused(
            f"ws://127.0.0.1:{venue}/", parse_proxy(f"{scheme}://127.0.0.1:{port}"), UpgradeRejected
        )
    assert error.status == 403


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["http://me:s3cret-s3cret@127.0.0.1:8080", "socks5://me:s3cret-s3cret@[::1]:1080"]
)
def test_a_proxy_shows_no_password(text):
    proxy = parse_proxy(text)
    assert (proxy.username, proxy.password) == (Secret("me"), Secret("s3cret-s3cret"))
    shown = (
        f"{proxy!r} {proxy} {proxy.authority} {traceback.format_exception(ConfigError('proxy', str(proxy)))}"
    )
    assert "s3cret" not in shown
    assert str(proxy) == text.replace("me:s3cret-s3cret@", "")


async def test_an_error_of_the_wire_holds_no_password():
    class Broken(trio.abc.Stream):
        async def send_all(self, data):
            raise RuntimeError(f"cannot write {base64.b64decode(bytes(data).split()[-1])!r}")

        async def wait_send_all_might_not_block(self):
            raise NotImplementedError

        async def receive_some(self, max_bytes=None):
            raise NotImplementedError

        async def aclose(self):
            raise NotImplementedError

    proxy = parse_proxy("http://me:s3cret-s3cret@127.0.0.1:8080")
    with pytest.raises(RuntimeError) as caught:
        await start_tunnel(Broken(), proxy, parse_target("wss://venue.test/"))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "scheme"),
        ("127.0.0.1:8080", "scheme"),
        ("https://proxy.test:1", "scheme"),
        ("socks4://proxy.test:1", "scheme"),
        ("http://:8080", "host"),
        ("http://proxy.test", "port"),
        ("http://proxy.test:0", "port"),
        ("http://proxy.test:99999", "malformed"),
        ("http://[::1:1", "malformed"),
        ("http://proxy.test:1/path", "path"),
        ("http://proxy.test:1?q=s3cret", "path"),
        ("http://:s3cret@proxy.test:1", "user name is empty"),
        (f"http://{'s3cret' * 50}:x@proxy.test:1", "255 bytes"),
        ("http://a b:1", "host"),
        ("http://me:s3cret@pro\nxy.test:x", "malformed"),
    ],
)
def test_urls_that_are_no_proxy(text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_proxy(text)
    assert caught.value.path == "proxy"
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=False).format())
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in shown


def test_socks_without_its_extra_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    parse_proxy("http://127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"potrio\[proxy\]"):
        parse_proxy("socks5://127.0.0.1:1")
