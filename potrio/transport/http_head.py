"""One HTTP/1.1 head, bounded: collects bytes until the empty line and keeps what came after it.

Both sides of the upgrade use it. What it lets through is complete and small; what it means is h11's business.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import trio

from potrio.errors import ConnectionBroken, LimitExceeded, RemoteProtocolError
from potrio.limits import HTTP_HEAD_MAX, HTTP_HEADERS_MAX

__all__ = ["HeadBuffer", "receive_head"]

EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
"""The end of a head; a bare LF is accepted, as h11 accepts it."""

RESPONSE_START: Final = b"HTTP/1."
REQUEST_START: Final = re.compile(rb"[A-Za-z]")


class HeadBuffer:
    """Sans-I/O: feed it with `receive_data` until it returns the head; ``rest`` is what followed.

    Args:
        kind: ``"request"`` or ``"response"``: what the peer sends. Bytes that cannot start one are refused at
            once.
    """

    def __init__(
        self,
        kind: Literal["request", "response"],
        *,
        head_max: int = HTTP_HEAD_MAX,
        headers_max: int = HTTP_HEADERS_MAX,
    ) -> None:
        self.rest = b""
        self._kind = kind
        self._head_max = head_max
        self._lines_max = headers_max + 1  # the first line is not a header
        self._buffer = bytearray()
        self._lines = 0

    def receive_data(self, data: bytes | bytearray) -> bytes | None:
        """Take bytes from the peer.

        Returns:
            The head with its empty line, once it is complete; None until then.

        Raises:
            LimitExceeded: too many bytes or lines.
            RemoteProtocolError: this is not HTTP.
        """
        searched = max(0, len(self._buffer) - 2)
        self._buffer += data
        self._check_start()
        found = EMPTY_LINE.search(self._buffer, searched)
        size = found.end() if found else len(self._buffer)
        if size > self._head_max:
            raise LimitExceeded("the HTTP head (bytes)", self._head_max)
        # The empty line ends in one more LF that is not a line's.
        self._lines = self._buffer.count(b"\n", 0, size) - 1 if found else self._lines + data.count(b"\n")
        if self._lines > self._lines_max:
            raise LimitExceeded("the HTTP head (header lines)", self._lines_max - 1)
        if found is None:
            return None
        head = bytes(self._buffer[:size])
        self.rest = bytes(self._buffer[size:])
        self._buffer.clear()
        return head

    def _check_start(self) -> None:
        if self._kind == "response":
            fine = RESPONSE_START.startswith(self._buffer[: len(RESPONSE_START)])
        else:
            fine = REQUEST_START.match(self._buffer) is not None or not self._buffer
        if not fine:
            raise RemoteProtocolError(f"the peer does not send an HTTP {self._kind}")


async def receive_head(stream: trio.abc.ReceiveStream, head: HeadBuffer) -> bytes:
    """Read from a stream until the head is complete; what followed it is in ``head.rest``.

    Raises:
        ConnectionBroken: the peer closed the connection first, or it was lost.
        LimitExceeded: too many bytes or lines.
        RemoteProtocolError: this is not HTTP.

    Waits for the peer without a limit of its own: the caller holds the deadline. Cancelling leaves the stream
    open.
    """
    while True:
        try:
            data = await stream.receive_some(HTTP_HEAD_MAX)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionBroken(
                f"the connection was lost: {error.__cause__ or type(error).__name__}"
            ) from error
        if not data:
            raise ConnectionBroken("the peer closed the connection before the end of its HTTP head")
        complete = head.receive_data(data)
        if complete is not None:
            return complete
