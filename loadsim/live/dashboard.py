"""`open_dashboard`: a run in the browser, with a stream of what changed each second and one button that ends it.

Needs the extra ``dashboard`` (starlette and hypercorn, on trio). It only reads the `Watch`: a browser can neither slow
the run down nor keep the process alive. Who reads too slowly is dropped by the system (``TCP_USER_TIMEOUT``).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import trio

from loadsim.live.access import Access, parse_address
from loadsim.live.page import FILES, POLICY
from loadsim.live.view import Watch
from loadsim.venue.server import lone
from potrio.errors import ConfigError
from potrio.seam import REAL, Seam
from potrio.secrets import Secret
from potrio.transport.target import is_loopback

__all__ = ["Dashboard", "announced", "open_dashboard"]

READERS_MAX: Final = 32
"""Event streams at the same time; one more is told to come later."""

EVERY_S: Final = 1.0
SLOW_S: Final = 3.0
"""A reader that takes nothing for so long is dropped."""

GRACE_S: Final = 0.5
TOKEN_BYTES: Final = 16

HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
LOG: Final = logging.getLogger("loadsim.dashboard")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Dashboard:
    """A dashboard that is being served.

    Attributes:
        url: to be opened in a browser; with the token, where there is one: to be shown once, and to nobody else.
        readers: how many event streams are open.
    """

    def __init__(self, watch: Watch, access: Access, port: int) -> None:
        self._watch = watch
        self._access = access
        self.readers = 0
        shown = f"[{access.host}]" if ":" in access.host else access.host
        self.url = f"http://{shown}:{port}{access.base}"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        match scope["type"]:
            case "lifespan":
                await answer_lifespan(receive, send)
            case "http":
                await self._answer(scope, receive, send)
            case _:
                await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        from starlette.datastructures import Headers
        from starlette.responses import Response

        def reply(status: int, text: str = "", media_type: str = "text/plain; charset=utf-8") -> Response:
            return Response(text, status, HEADERS, media_type)

        headers, method = Headers(scope=scope), scope["method"]
        place = self._access.place(scope["path"])
        host = headers.get("host")
        if place is None or not self._access.knows_host(host):
            response = reply(403, "forbidden\n")
        elif place == "stop":
            if method != "POST":
                response = reply(405, "only POST\n")
            elif not self._access.may_stop(headers.get("origin"), host):
                response = reply(403, "forbidden\n")
            else:
                self._watch.request_stop("asked for in the dashboard")
                response = reply(202, "stopping\n")
        elif method not in ("GET", "HEAD"):
            response = reply(405, "only GET\n")
        elif place == "events":
            if self.readers < READERS_MAX:
                await self._stream(headers.get("last-event-id"), method, receive, send)
                return
            response = reply(503, "too many readers\n")
        elif place == "state.json":
            response = reply(200, encode(self._watch.view.plain()), "application/json")
        elif place in FILES:
            kind, text = FILES[place]
            response = reply(200, text(), kind)
        else:
            response = reply(404, "not found\n")
        await response(scope, receive, send)

    async def _stream(self, last_id: str | None, method: str, receive: Receive, send: Send) -> None:
        """Send what changed, each second, until the run has ended or the reader has gone."""
        heads = {**HEADERS, "content-type": "text/event-stream; charset=utf-8"}
        encoded = [(name.encode(), value.encode()) for name, value in heads.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        if method == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self.readers += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(until_gone, receive, nursery.cancel_scope)
                await self._send_deltas(self._seen(last_id), send)
                nursery.cancel_scope.cancel()
        finally:
            self.readers -= 1
        await send({"type": "http.response.body", "body": b""})

    async def _send_deltas(self, seen: int, send: Send) -> None:
        while True:
            view, version = self._watch.view, self._watch.version
            rows = [msgspec.to_builtins(row) for row in self._watch.rows_since(seen)]
            body = encode({"view": view.plain(history=False), "rows": rows})
            event = f"id: {view.run}/{version}\nevent: delta\ndata: {body}\n\n"
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            if view.stage == "ended":
                return
            seen = version
            await self._next(seen)

    async def _next(self, seen: int) -> None:
        """Wait for a later view, and a second from the last one unless the run has ended."""
        due = trio.current_time() + EVERY_S
        version = seen
        while True:
            await self._watch.wait_after(version)
            version = self._watch.version
            with trio.move_on_at(due):
                while self._watch.view.stage != "ended":
                    await self._watch.wait_after(version)
                    version = self._watch.version
            return

    def _seen(self, last_id: str | None) -> int:
        """The version a reader that comes again has seen last; 0 where it is none of this run."""
        run, slash, version = (last_id or "").rpartition("/")
        if not slash or run != self._watch.view.run or not (version.isascii() and version.isdigit()):
            return 0
        seen = int(version[:18])
        return seen if seen <= self._watch.version else 0


async def until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    """Wait until the reader has gone, and end what is done for it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """There is nothing to start and nothing to shut down."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def encode(value: object) -> str:
    """As JSON, on one line."""
    return msgspec.json.encode(value).decode()


@asynccontextmanager
async def open_dashboard(
    watch: Watch, address: str = "", *, seam: Seam = REAL
) -> AsyncGenerator[Dashboard, None]:
    """Serve the dashboard while the block runs.

    Args:
        watch: the run.
        address: ``HOST:PORT`` to listen on; without a port it is the system's choice, without a host it is loopback.
            Any address but loopback makes a token that is part of `Dashboard.url`.
        seam: the door to sockets and chance.

    Waits for the listening socket. Leaving closes every connection within about half a second, open tabs or not;
    cancelling closes them at once. Should the server itself fail, that is logged, and the run goes on without it.

    Raises:
        ConfigError: the address is none, or starlette and hypercorn are not installed.
        OSError: the address cannot be listened on.
    """
    host, port = parse_address(address)
    serve, config = server(GRACE_S)
    access = Access(host, None if is_loopback(host) else Secret(seam.mask_bytes(TOKEN_BYTES).hex()))
    descriptor, port = await listen(host, port, seam)
    config.bind = [f"fd://{descriptor}"]
    dashboard = Dashboard(watch, access, port)
    closing = trio.Event()

    async def run(task_status: trio.TaskStatus[list[str]]) -> None:
        try:
            await serve(dashboard, config, shutdown_trigger=closing.wait, task_status=task_status)
        except Exception as error:  # noqa: BLE001  # the edge of somebody else's server: the run must not die of it
            LOG.error("the dashboard has failed, the run goes on without it: %s", type(error).__name__)

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(run)
            try:
                yield dashboard
            finally:
                closing.set()
    except BaseExceptionGroup as group:
        raise lone(group) from None


@asynccontextmanager
async def announced(
    watch: Watch, address: str | None, say: Callable[[str], None], *, seam: Seam = REAL
) -> AsyncGenerator[None, None]:
    """`open_dashboard` for a command: its address is said once, the only time that its token is. None: no dashboard.

    Raises and waits as `open_dashboard`.
    """
    if address is None:
        yield
        return
    async with open_dashboard(watch, address, seam=seam) as dashboard:
        say(f"dashboard {dashboard.url}")
        yield


def server(grace_s: float) -> tuple[Callable[..., Awaitable[None]], Any]:
    """The server and its settings; ConfigError where it is not installed."""
    try:
        import starlette.responses  # noqa: F401  # asked for here, so that it does not fail in the first request
        from hypercorn.config import Config
        from hypercorn.trio import serve
    except ImportError:
        raise ConfigError("dashboard", "needs the extra potrio[dashboard]") from None
    config = Config()
    config.graceful_timeout = grace_s
    config.accesslog = config.errorlog = None
    config.include_server_header = False
    config.alpn_protocols = ["http/1.1"]
    return serve, config


async def listen(host: str, port: int, seam: Seam) -> tuple[int, int]:
    """Listen; returns a descriptor that the server will own, and the port."""
    listener, *others = await seam.listen_tcp(host, port)
    for each in others:  # a name may have several addresses; one is enough
        await each.aclose()
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SLOW_S * 1000))
    bound: int = listener.socket.getsockname()[1]
    descriptor = os.dup(listener.socket.fileno())
    await listener.aclose()
    return descriptor, bound
