"""Each stage of dialling, when it works and in each way it can fail; by both kinds, with nothing left behind."""

from __future__ import annotations

import math
import socket
import ssl

import pytest
import trio
import trio.testing

from potrio.errors import (
    ConfigError,
    ConnectError,
    ConnectionBroken,
    ConnectRefused,
    NameNotResolved,
    TlsFailed,
    UpgradeRejected,
)
from potrio.limits import TCP_ATTEMPT_TIMEOUT
from potrio.seam import Seam
from potrio.transport.accept import accept
from potrio.transport.dial import default_ssl_context, dial, open_stream
from potrio.transport.target import parse_target


class OtherAddresses(Seam):
    """A seam whose resolver says what a test wants; `black_holes` never answer."""

    def __init__(self, *addresses, black_holes=()):
        self.addresses = addresses
        self.black_holes = black_holes

    async def resolve(self, host, port):
        return [(socket.AF_INET, (address, port)) for address in self.addresses]

    async def connect_tcp(self, family, address):
        if address[0] in self.black_holes:
            await trio.sleep_forever()
        return await super().connect_tcp(family, address)


async def echo(stream):
    """A good server."""
    request = await accept(stream)
    transport = await request.upgrade()
    try:
        while True:
            await transport.send(await transport.receive())
    except ConnectionBroken:
        await transport.aclose()


# --- it works --------------------------------------------------------------------------------------------------------


async def test_a_connection_and_its_stages(serve, kind, no_leaks):
    stages = []
    async with no_leaks(), serve(echo) as port:
        url = f"ws://127.0.0.1:{port}/x"
        async with dial(url, kind=kind, on_stage=stages.append) as transport:
            await transport.send(["hello"])

            assert await transport.receive() == ["hello"]
    assert stages == ["dns", "tcp", "http"]


async def test_a_connection_over_tls_and_its_stages(serve, kind, certificates, no_leaks):
    stages = []
    async with no_leaks(), serve(echo, certificates.server()) as port:
        url = f"wss://127.0.0.1:{port}/"
        async with dial(
            url, kind=kind, ssl_context=certificates.client(), on_stage=stages.append
        ) as transport:
            await transport.send(["hello"])

            assert await transport.receive() == ["hello"]
    assert stages == ["dns", "tcp", "tls", "http"]


async def test_the_request(serve, kind, read_request):
    requests = []

    async def handler(stream):
        requests.append(await read_request(stream))

    async with serve(handler) as port:
        with pytest.raises(UpgradeRejected):
            async with dial(
                f"ws://localhost:{port}/socket.io/?EIO=4",
                kind=kind,
                headers={"origin": "https://po.trade", "X-A": "b"},
            ):
                pass
    lines = requests[0].decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)

    assert lines[0] == "GET /socket.io/?EIO=4 HTTP/1.1"
    assert headers["host"] == f"localhost:{port}"
    assert headers["origin"] == "https://po.trade"
    assert headers["x-a"] == "b"
    assert headers["user-agent"].startswith("mozilla/5.0")
    assert "sec-websocket-extensions" not in headers
    assert "sec-websocket-protocol" not in headers


async def test_proxies_of_the_environment_are_not_used(serve, kind, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serve(echo) as port, dial(f"ws://127.0.0.1:{port}/", kind=kind) as transport:
        await transport.send(["direct"])

        assert await transport.receive() == ["direct"]


async def test_frames_right_behind_the_answer_are_received(serve, kind, shake_hands):
    class Corked(trio.abc.SendStream):
        """Keeps what is written until it is let go in one piece."""

        def __init__(self, stream):
            self.receive_some = stream.receive_some
            self.kept = b""

        async def send_all(self, data):
            self.kept += data

        async def wait_send_all_might_not_block(self):
            pass

        async def aclose(self):
            pass

    async def handler(stream):
        corked = Corked(stream)
        await shake_hands(corked)
        await stream.send_all(corked.kept + b"\x81\x05first\x81\x06sec")
        await trio.sleep(0.01)
        await stream.send_all(b"ond")
        await stream.receive_some()

    async with serve(handler) as port, dial(f"ws://127.0.0.1:{port}/", kind=kind) as transport:
        assert await transport.receive() == ["first"]
        assert await transport.receive() == ["second"]


async def test_the_blocks_own_error_comes_out_as_it_is(serve, kind, no_leaks):
    async with no_leaks(), serve(echo) as port:
        with pytest.raises(KeyError, match="mine"):
            async with dial(f"ws://127.0.0.1:{port}/", kind=kind):
                raise KeyError("mine")


async def test_cancelling_the_block_closes_the_connection(serve, kind, no_leaks):
    async with no_leaks(), serve(echo) as port:
        with trio.move_on_after(0.05) as scope:
            async with dial(f"ws://127.0.0.1:{port}/", kind=kind) as transport:
                await transport.receive()
        assert scope.cancelled_caught
        with pytest.raises(ConnectionBroken.__base__):
            await transport.receive()


async def test_a_deadline_around_dialling_can_be_lifted_for_the_block(serve, kind, clock):
    async with serve(echo) as port:
        with trio.fail_after(5) as scope:
            async with dial(f"ws://127.0.0.1:{port}/", kind=kind) as transport:
                scope.deadline = math.inf
                await trio.sleep(10)
                await transport.send(["still here"])

                assert await transport.receive() == ["still here"]


# --- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "options", "fault"),
    [
        ("http://127.0.0.1/", {}, "url: the scheme must be wss"),
        ("ws://example.org/", {}, "url: ws:// would send the token readable to example.org"),
        ("wss://127.0.0.1/", {"headers": {"X": "a\r\nb"}}, "headers: the value of X"),
        ("wss://127.0.0.1/", {"kind": "carrier pigeon"}, "transport: must be one of framed, trio-websocket"),
    ],
)
async def test_what_cannot_be_used_is_refused_before_anything_is_sent(url, options, fault):
    stages = []
    with pytest.raises(ConfigError) as caught:
        async with dial(url, on_stage=stages.append, **options):
            pass

    assert str(caught.value).startswith(fault)
    assert stages == []


async def test_localhost_that_is_not_this_machine_is_refused(fails):
    error = await fails(ConfigError, "ws://localhost:9/", seam=OtherAddresses("192.0.2.7"))

    assert str(error) == "url: ws:// is for this machine only, and localhost is not this machine"


@pytest.mark.parametrize("url", ["ws://elsewhere.test:1/", "ws://10.0.0.1:1/"])
async def test_nothing_lets_a_token_leave_this_machine_readable(fails, url):
    error = await fails(ConfigError, url, seam=OtherAddresses("127.0.0.1"), allow_insecure=True)

    assert error.path == "url"


async def test_a_name_of_this_machine_that_is_not_is_refused_unverified(fails):
    error = await fails(
        ConfigError,
        "wss://localhost:9/",
        seam=OtherAddresses("192.0.2.7"),
        ssl_context=unverifying(),
        allow_insecure=True,
    )

    assert (
        str(error) == "url: without verification is for this machine only, and localhost is not this machine"
    )


# --- dns and tcp -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raised", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")]
)
async def test_a_name_that_is_not_there(fails, raised):
    class Nowhere(Seam):
        async def resolve(self, host, port):
            await trio.lowlevel.checkpoint()
            raise raised

    error = await fails(NameNotResolved, "wss://nowhere.test/", seam=Nowhere())

    assert error.stage == "dns"
    assert error.__cause__ is raised
    assert str(error) == f"cannot connect to wss://nowhere.test:443: dns: {raised.args[-1]}"


async def test_a_name_without_an_address(fails):
    error = await fails(NameNotResolved, "wss://nowhere.test/", seam=OtherAddresses())

    assert error.reason == "the name has no address"


@pytest.fixture
def closed_port():
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


async def test_a_closed_port(fails, closed_port):
    error = await fails(ConnectRefused, f"ws://127.0.0.1:{closed_port}/")

    assert error.stage == "tcp"
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert error.reason == "Connection refused"


async def test_an_address_that_refuses_does_not_stop_the_next(serve, kind):
    async with serve(echo) as port:
        seam = OtherAddresses("127.0.0.2", "127.0.0.3", "127.0.0.1")
        async with dial(f"ws://localhost:{port}/", kind=kind, seam=seam) as transport:
            await transport.send(["x"])

            assert await transport.receive() == ["x"]


async def test_an_address_that_never_answers_does_not_stop_the_next(serve, kind, clock):
    async with serve(echo) as port:
        before = trio.current_time()
        seam = OtherAddresses("127.0.0.2", "127.0.0.1", black_holes=["127.0.0.2"])
        async with dial(f"ws://localhost:{port}/", kind=kind, seam=seam):
            assert trio.current_time() - before == pytest.approx(TCP_ATTEMPT_TIMEOUT, abs=0.5)


async def test_when_no_address_answers_all_are_reported(fails, closed_port, clock):
    seam = OtherAddresses("127.0.0.2", "127.0.0.1", black_holes=["127.0.0.2"])
    error = await fails(ConnectRefused, f"ws://localhost:{closed_port}/", seam=seam)

    assert error.reason == "no answer within 3 s; Connection refused"
    assert isinstance(error.__cause__, ExceptionGroup)
    assert [type(each) for each in error.__cause__.exceptions] == [TimeoutError, ConnectionRefusedError]


# --- tls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ({"name": "other.test"}, "IP address mismatch"),
        ({"unknown": True}, "unable to get local issuer certificate"),
        ({"expired": True}, "certificate has expired"),
    ],
    ids=["wrong-host", "unknown-authority", "expired"],
)
async def test_a_certificate_that_does_not_hold(serve, fails, certificates, server, reason):
    async with serve(echo, certificates.server(**server)) as port:
        error = await fails(TlsFailed, f"wss://127.0.0.1:{port}/", ssl_context=certificates.client())

    assert error.stage == "tls"
    assert reason in error.reason
    assert isinstance(error.__cause__, trio.BrokenResourceError)
    assert isinstance(error.__cause__.__cause__, ssl.SSLCertVerificationError)


async def test_the_default_context_trusts_no_stranger(serve, fails, certificates):
    async with serve(echo, certificates.server()) as port:
        error = await fails(TlsFailed, f"wss://127.0.0.1:{port}/")

    assert error.reason.startswith("the certificate is not accepted: ")


def test_the_default_context_verifies():
    context = default_ssl_context()

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def unverifying() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_a_server_here_need_not_be_verified_if_the_caller_says_so(serve, kind, certificates):
    async with serve(echo, certificates.server("other.test", unknown=True)) as port:
        url = f"wss://127.0.0.1:{port}/"
        async with dial(url, kind=kind, ssl_context=unverifying(), allow_insecure=True) as transport:
            await transport.send(["x"])

            assert await transport.receive() == ["x"]


@pytest.mark.parametrize("allow", [False, True])
async def test_who_answers_elsewhere_is_verified_before_anything_is_sent(allow):
    stages = []
    with pytest.raises(ConfigError, match="ssl_context: does not verify that it is example"):
        async with dial(
            "wss://example.test/", ssl_context=unverifying(), allow_insecure=allow, on_stage=stages.append
        ):
            pass

    assert stages == []


async def test_a_context_that_stops_verifying_while_it_is_used(serve, kind, certificates):
    """It is the caller's and can be changed: each attempt looks at it anew."""
    context = certificates.client()
    async with serve(echo, certificates.server()) as port:
        url = f"wss://127.0.0.1:{port}/"
        async with dial(url, kind=kind, ssl_context=context):
            pass
        context.check_hostname = False
        with pytest.raises(ConfigError, match="ssl_context: does not verify who answers"):
            async with dial(url, kind=kind, ssl_context=context):
                pass


async def test_a_port_that_does_not_speak_tls(serve, fails, certificates):
    async def handler(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with serve(handler) as port:
        error = await fails(TlsFailed, f"wss://127.0.0.1:{port}/", ssl_context=certificates.client())

    assert "does not speak TLS" in error.reason


@pytest.mark.parametrize("when", ["at-once", "after-hello"])
async def test_a_server_that_leaves_during_the_tls_handshake(serve, fails, certificates, when):
    async def handler(stream):
        if when == "after-hello":
            await stream.receive_some()

    async with serve(handler) as port:
        error = await fails(TlsFailed, f"wss://127.0.0.1:{port}/", ssl_context=certificates.client())

    assert "closed the connection" in error.reason or "reset" in error.reason


async def test_a_silent_tls_server_and_the_callers_deadline(serve, kind, certificates, no_leaks, clock):
    async def handler(stream):
        while await stream.receive_some():
            pass

    stages = []
    async with no_leaks(), serve(handler) as port:
        with trio.move_on_after(2) as scope:
            async with dial(
                f"wss://127.0.0.1:{port}/",
                kind=kind,
                ssl_context=certificates.client(),
                on_stage=stages.append,
            ):
                pass
        await trio.sleep(0.1)
    assert scope.cancelled_caught
    assert stages[-1] == "tls"


async def test_a_host_name_openssl_cannot_use(certificates):
    class Odd(Seam):
        def wrap_tls(self, stream, context, server_hostname):
            raise ValueError("server_hostname cannot be an empty string")

    one, other = trio.testing.memory_stream_pair()

    class Memory(Odd):
        async def connect_tcp(self, family, address):
            await trio.lowlevel.checkpoint()
            return one

    with pytest.raises(TlsFailed, match="empty string"):
        await open_stream(parse_target("wss://127.0.0.1/"), seam=Memory(), ssl_context=certificates.client())
    assert await other.receive_some() == b""


# --- cancellation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_cancelled_at_each_step_nothing_is_left_behind(
    serve, kind, certificates, cancelled_at, no_leaks, tls
):
    context = certificates.client()
    async with serve(echo, certificates.server() if tls else None) as port:
        url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/"

        async def connect():
            async with dial(url, kind=kind, ssl_context=context):
                pass

        for step in range(1, 200):
            async with no_leaks():
                if await cancelled_at(step, connect):
                    return
    pytest.fail("dial takes too many steps")


async def test_a_callback_that_fails_closes_what_is_open(serve, kind, no_leaks):
    def on_stage(stage):
        if stage == "http":
            raise KeyError(stage)

    async with no_leaks(), serve(echo) as port:
        with pytest.raises(KeyError):
            async with dial(f"ws://127.0.0.1:{port}/", kind=kind, on_stage=on_stage):
                pass


def test_each_stage_has_its_error():
    assert {error.stage for error in (NameNotResolved, ConnectRefused, TlsFailed, UpgradeRejected)} == {
        "dns",
        "tcp",
        "tls",
        "http",
    }
    assert all(
        issubclass(error, ConnectError)
        for error in (NameNotResolved, ConnectRefused, TlsFailed, UpgradeRejected)
    )
