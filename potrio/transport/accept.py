"""A server's first words with a client: one HTTP/1.1 request, to be answered or upgraded to WebSocket.

One request per connection: the answer says ``Connection: close``. h11 reads the request, wsproto does the handshake.
Header names may be in any case and headers in any number up to the limit; no origin and no query is asked for, since
public clients differ in all of it. Compression is never accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

import h11
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection
from wsproto.utilities import ProtocolError as WsprotoError

from potrio.errors import ConnectionBroken, LimitExceeded, LocalProtocolError, RemoteProtocolError
from potrio.limits import (
    CLOSE_DRAIN_MAX,
    CLOSE_TIMEOUT,
    FRAGMENTS_MAX,
    HTTP_BODY_MAX,
    HTTP_HEAD_MAX,
    HTTP_HEADERS_MAX,
    READ_MAX,
    RESPONSE_TIMEOUT,
    SERVER_HEAD_TIMEOUT,
    SERVER_MESSAGE_MAX,
)
from potrio.protocol.websocket import WebSocketCodec
from potrio.seam import REAL, Seam
from potrio.transport.framed import FramedTransport
from potrio.transport.http_head import HeadBuffer, receive_head

__all__ = ["HttpRequest", "accept"]

NO_BODY: Final = frozenset((HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED))


async def accept(
    stream: trio.abc.Stream,
    *,
    seam: Seam = REAL,
    head_timeout: float = SERVER_HEAD_TIMEOUT,
    body_max: int = HTTP_BODY_MAX,
) -> HttpRequest:
    """Read one request.

    Args:
        stream: a fresh connection; it belongs to the request from here on.
        seam: the door to clock and chance.
        head_timeout: seconds for head and body together.
        body_max: bytes of a body; a request to upgrade may have none.

    Returns:
        The request. Call exactly one of `HttpRequest.respond`, `HttpRequest.upgrade` and `HttpRequest.aclose` on it.

    Raises:
        ConnectionBroken: the client went away.
        RemoteProtocolError: it did not send a proper request in time (`LimitExceeded` where it sent too much); it has
            been told so where that was possible, and the stream is closed.

    Waits for the client, for the head timeout at most. Cancelling closes the stream.
    """
    reading = _Reading(stream, body_max)
    try:
        with trio.move_on_after(head_timeout):
            return await reading.request(seam)
        raise _Refusal(408, f"no complete HTTP request within {head_timeout:g} s")
    except _Refusal as refusal:
        error = refusal.error()
        await _respond(stream, reading.h11, refusal.status, str(error).encode() + b"\n")
        raise error from refusal.__cause__
    except BaseException:
        await _close(stream)
        raise


class HttpRequest:
    """A request and the connection it came on.

    Attributes:
        method: in capitals.
        target: as the client sent it, path and query.
        path: the target up to the query.
        query: decoded; of a repeated name the first value.
        headers: names in lower case, in the order of the wire.
        body: at most the limit; empty where there was none.
        wants_websocket: it asks for an upgrade to WebSocket; whether properly, `upgrade` finds out.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        seam: Seam,
        connection: h11.Connection,
        request: h11.Request,
        body: bytes,
        rest: bytes,
    ) -> None:
        self.method = request.method.decode("ascii").upper()
        self.target = request.target.decode("ascii")
        self.headers = tuple(
            (name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers
        )
        self.body = body
        self.path, _, query = self.target.partition("?")
        self.query: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=HTTP_HEADERS_MAX):
            self.query.setdefault(name, value)
        self.wants_websocket = _wants_websocket(request)
        self._stream = stream
        self._seam = seam
        self._h11 = connection
        self._request = request
        self._rest = rest
        self._answered = False

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None; the name may be in any case."""
        wanted = name.lower()
        return next((value for each, value in self.headers if each == wanted), None)

    async def respond(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "text/plain; charset=utf-8",
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Answer, and close the connection.

        Raises:
            LocalProtocolError: the request has been answered already.

        Waits while the client does not read, a bounded time; a client that has gone away is no error. Cancelling closes
        the connection.
        """
        self._answer_once()
        head_only = self.method == "HEAD"
        await _respond(self._stream, self._h11, status, body, content_type, headers, head_only)

    async def upgrade(
        self, *, message_max: int = SERVER_MESSAGE_MAX, fragments_max: int = FRAGMENTS_MAX
    ) -> FramedTransport:
        """Accept the upgrade to WebSocket.

        Args:
            message_max: bytes in one message of the client.
            fragments_max: frames in one message of the client.

        Returns:
            The transport, in the role of the server. Frames that came right behind the request are in it.

        Raises:
            RemoteProtocolError: the request is not a proper one; it has been refused, the connection is closed.
            ConnectionBroken: the client has gone away.
            LocalProtocolError: the request has been answered already.

        Waits while the client does not read, a bounded time. Cancelling closes the connection.
        """
        self._answer_once()
        try:
            response = self._handshake()
        except _Refusal as refusal:
            error = refusal.error()
            headers = (
                [("Sec-WebSocket-Version", "13")] if refusal.status == HTTPStatus.UPGRADE_REQUIRED else []
            )
            body = str(error).encode() + b"\n"
            await _respond(self._stream, self._h11, refusal.status, body, headers=headers)
            raise error from refusal.__cause__
        try:
            with trio.fail_after(RESPONSE_TIMEOUT):
                await self._stream.send_all(response)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            await _close(self._stream)
            raise ConnectionBroken("the client went away during the upgrade") from error
        except BaseException:
            await _close(self._stream)
            raise
        codec = WebSocketCodec(
            "server",
            mask_bytes=self._seam.mask_bytes,
            message_max=message_max,
            fragments_max=fragments_max,
        )
        return FramedTransport(self._stream, codec, self._seam, received=self._rest)

    async def aclose(self) -> None:
        """Close the connection without an answer. Waits for nothing; cancelling changes nothing."""
        self._answered = True
        await _close(self._stream)

    def _answer_once(self) -> None:
        if self._answered:
            raise LocalProtocolError("an HTTP request is answered once")
        self._answered = True

    def _handshake(self) -> bytes:
        """Let wsproto check the request; return its 101."""
        server = WSConnection(ConnectionType.SERVER)
        try:
            server.initiate_upgrade_connection(list(self._request.headers), self.target)
            list(server.events())
            return server.send(AcceptConnection())
        except WsprotoError as error:
            status = getattr(getattr(error, "event_hint", None), "status_code", HTTPStatus.BAD_REQUEST)
            raise _Refusal(status, f"this is not a WebSocket handshake: {error}") from error
        except (h11.ProtocolError, UnicodeError) as error:
            raise _Refusal(400, "this is not a WebSocket handshake") from error


class _Refusal(Exception):
    """A request that cannot be served, with the HTTP status that says why."""

    def __init__(self, status: int, reason: str, limit: LimitExceeded | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.limit = limit

    def error(self) -> RemoteProtocolError:
        """Return what the caller of this module sees."""
        return self.limit or RemoteProtocolError(str(self))


class _Reading:
    """The reading of one request: head by `HeadBuffer`, meaning and body by h11."""

    def __init__(self, stream: trio.abc.Stream, body_max: int) -> None:
        self.h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HTTP_HEAD_MAX)
        self._stream = stream
        self._body_max = body_max

    async def request(self, seam: Seam) -> HttpRequest:
        head = HeadBuffer("request")
        try:
            self.h11.receive_data(await receive_head(self._stream, head))
            request = self.h11.next_event()
            assert isinstance(request, h11.Request), "a complete head is a request"
            if _wants_websocket(request):
                _check_bodyless(request)
                return HttpRequest(self._stream, seam, self.h11, request, b"", head.rest)
            if head.rest:
                self.h11.receive_data(head.rest)
            body = await self._body()
            return HttpRequest(self._stream, seam, self.h11, request, body, b"")
        except LimitExceeded as error:
            raise _Refusal(431, str(error), error) from error
        except (RemoteProtocolError, h11.RemoteProtocolError) as error:
            status = getattr(error, "error_status_hint", HTTPStatus.BAD_REQUEST)
            # h11's words quote the request, which may hold a secret: they stay in the cause.
            raise _Refusal(status, "this is not a proper HTTP/1.1 request") from error
        except ValueError as error:  # of parse_qsl
            raise _Refusal(400, "the query of the request has too many fields") from error

    async def _body(self) -> bytes:
        if self.h11.they_are_waiting_for_100_continue:
            go_on = self.h11.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
            await self._send(go_on or b"")
        body = bytearray()
        while True:
            event = self.h11.next_event()
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._body_max:
                    limit = LimitExceeded("the body of an HTTP request", self._body_max)
                    raise _Refusal(413, str(limit), limit)
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            else:
                assert event is h11.NEED_DATA, "before the end of a request there is nothing else"
                self.h11.receive_data(bytes(await self._receive()))

    async def _receive(self) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(READ_MAX)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionBroken("the connection was lost in the body of a request") from error
        if not data:
            raise ConnectionBroken("the client closed the connection in the body of its request")
        return data

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionBroken("the client went away") from error


def _wants_websocket(request: h11.Request) -> bool:
    return request.method == b"GET" and any(
        name == b"upgrade" and b"websocket" in value.lower() for name, value in request.headers
    )


def _check_bodyless(request: h11.Request) -> None:
    for name, value in request.headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            raise _Refusal(400, "a request to upgrade has no body")


async def _respond(
    stream: trio.abc.Stream,
    connection: h11.Connection,
    status: int,
    body: bytes,
    content_type: str = "text/plain; charset=utf-8",
    headers: Sequence[tuple[str, str]] = (),
    head_only: bool = False,
) -> None:
    """Write a response if the client is still there, see it off, close the stream."""
    try:
        with trio.move_on_after(RESPONSE_TIMEOUT):
            response = _response(connection, status, body, content_type, headers, head_only=head_only)
            await stream.send_all(response)
            await _see_off(stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # The client has gone: nobody is left to be told.
    finally:
        await _close(stream)


def _response(
    connection: h11.Connection,
    status: int,
    body: bytes,
    content_type: str,
    headers: Sequence[tuple[str, str]],
    *,
    head_only: bool,
) -> bytes:
    fields = [("Cache-Control", "no-store"), ("Connection", "close"), *headers]
    if status not in NO_BODY:
        fields += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    response = h11.Response(status_code=status, headers=fields, reason=phrase)
    sent = connection.send(response) or b""
    if body and status not in NO_BODY and not head_only:
        sent += connection.send(h11.Data(data=body)) or b""
    return sent


async def _see_off(stream: trio.abc.Stream) -> None:
    """Wait until the client has closed its side: closing on unread bytes would take the response with it."""
    if not isinstance(stream, trio.abc.HalfCloseableStream):
        return
    with trio.move_on_after(CLOSE_TIMEOUT):
        await stream.send_eof()
        drained = 0
        while drained < CLOSE_DRAIN_MAX:
            data = await stream.receive_some(READ_MAX)
            drained += len(data)
            if not data:
                return


async def _close(stream: trio.abc.Stream) -> None:
    with trio.CancelScope(shield=True):
        await trio.aclose_forcefully(stream)
