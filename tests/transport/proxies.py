"""Two small proxies on the loopback: HTTP CONNECT and SOCKS5, with an optional login; what was asked is kept."""

from __future__ import annotations

import base64

import trio


class Tunnel:
    """What both have in common: connect to where ``route`` leads and carry bytes both ways."""

    def __init__(self, route: dict[str, int], login: tuple[str, str] | None = None) -> None:
        self.route = route  # names that only the proxy can look up, and the local port behind each
        self.login = login
        self.asked: list[str] = []
        self.carried = b""  # from the client

    async def __call__(self, stream: trio.abc.Stream) -> None:
        authority = await self.negotiate(stream)
        if authority is None:
            return
        host = authority.rpartition(":")[0]
        await self.carry(stream, await trio.open_tcp_stream("127.0.0.1", self.route[host]))

    async def negotiate(self, stream: trio.abc.Stream) -> str | None:
        raise NotImplementedError

    async def carry(self, one: trio.abc.Stream, other: trio.abc.Stream) -> None:
        async def pump(source, sink, *, keep: bool) -> None:
            async with sink:
                try:
                    async for data in source:
                        self.carried += bytes(data) if keep else b""
                        await sink.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: pump(one, other, keep=True))
            nursery.start_soon(lambda: pump(other, one, keep=False))


class ConnectProxy(Tunnel):
    """RFC 9110 section 9.3.6."""

    async def negotiate(self, stream: trio.abc.Stream) -> str | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await stream.receive_some(1)
        lines = head.decode().split("\r\n")
        method, authority, version = lines[0].split(" ")
        assert (method, version) == ("CONNECT", "HTTP/1.1")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        assert headers["host"] == authority
        self.asked.append(authority)
        if self.login is not None:
            expected = "basic " + base64.b64encode(":".join(self.login).encode()).decode().lower()
            if headers.get("proxy-authorization") != expected:
                await stream.send_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return None
        if authority.rpartition(":")[0] not in self.route:
            await stream.send_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return None
        await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVia: us\r\n\r\n")
        return authority


class Socks5Proxy(Tunnel):
    """RFC 1928 and RFC 1929. ``kind`` is how it tells its own address: 1 IPv4, 3 a name, 4 IPv6."""

    kind = 1

    async def exactly(self, stream: trio.abc.Stream, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += await stream.receive_some(count - len(data))
        return data

    async def negotiate(self, stream: trio.abc.Stream) -> str | None:
        version, count = await self.exactly(stream, 2)
        assert version == 5
        methods = await self.exactly(stream, count)
        wanted = 0 if self.login is None else 2
        if wanted not in methods:
            await stream.send_all(b"\x05\xff")
            return None
        await stream.send_all(bytes((5, wanted)))
        if self.login is not None and not await self.log_in(stream, self.login):
            return None
        version, command, _, kind = await self.exactly(stream, 4)
        assert (version, command) == (5, 1)
        if kind == 3:
            host = (await self.exactly(stream, (await self.exactly(stream, 1))[0])).decode()
        else:
            assert kind == 1
            host = ".".join(map(str, await self.exactly(stream, 4)))
        port = int.from_bytes(await self.exactly(stream, 2), "big")
        self.asked.append(f"{host}:{port}")
        known = host in self.route
        address = {1: bytes(4), 3: b"\x05proxy", 4: bytes(16)}[self.kind]
        await stream.send_all(bytes((5, 0 if known else 4, 0, self.kind)) + address + b"\x00\x50")
        return f"{host}:{port}" if known else None

    async def log_in(self, stream: trio.abc.Stream, login: tuple[str, str]) -> bool:
        version, length = await self.exactly(stream, 2)
        assert version == 1
        name = await self.exactly(stream, length)
        password = await self.exactly(stream, (await self.exactly(stream, 1))[0])
        accepted = (name.decode(), password.decode()) == login
        await stream.send_all(bytes((1, 0 if accepted else 1)))
        return accepted
