"""TLS between a line of a poller and its owner: `TlsLine` is the owner towards the socket, a `Line` towards its owner.

    line = connect_tls(poller, family, address, owner, context=context, host="demo.example", target=url)

The owner is told `LineOwner.connected` when the handshake has ended and the certificate and the host's name have been
verified as the context says; nothing of what was sent before has left until then. There is no time limit: the owner
keeps one, and closes the line. What there is besides the laws of lines:

1. A failed handshake ends the line with `TlsFailed`; OpenSSL's alert is sent.
2. The peer's close_notify is the end of what it says (`LineOwner.received_eof`); the other direction stays open. An end
   of TCP without one is `TlsTruncated`: an attacker may have cut the rest off. Damaged records are `ConnectionBroken`.
3. `close`, `end` and `send_eof` say close_notify. The peer's is not waited for.
4. One read of the socket is one call of the owner, however many records were in it; a record that is not whole stays
   in OpenSSL (16 KiB at most). Keys that change, tickets and renegotiation are OpenSSL's business and pass unseen.
5. What waits is counted as ciphertext, and is bounded as on a plain line.

A client costs some 20 KiB more than on a plain line (`tests/transport/test_poller_tls.py` measures it): OpenSSL's own
state, mostly the keys and the peer's certificate. Its buffers are released while nothing is under way.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from typing import Final

from potrio.errors import ConnectionBroken, ConnectionClosed, OutboundFull, TlsFailed, TlsTruncated
from potrio.limits import LINE_OUTBOUND_MAX
from potrio.transport.failure_words import failure_words
from potrio.transport.line import Line, LineOwner
from potrio.transport.poller import Poller

__all__ = ["TlsLine", "add_tls", "connect_tls"]

RECORD_MAX: Final = 16 * 1024
"""Plaintext of one record."""

OVERHEAD: Final = 64 * 1024
"""Room below the bound of a line for what TLS itself says: heads of records, answers to new keys, alerts."""


def connect_tls(
    poller: Poller,
    family: int,
    address: tuple[str | int, ...],
    owner: LineOwner,
    *,
    context: ssl.SSLContext,
    host: str,
    target: str,
    source: str | None = None,
    outbound_max: int = LINE_OUTBOUND_MAX,
) -> TlsLine:
    """Begin a connection and TLS on it: `Poller.connect`, with a certificate.

    Args:
        poller: whose line it is to be.
        family, address, source: as for `Poller.connect`.
        owner: is told `LineOwner.connected` after the handshake, or why there is none.
        context: says what is verified.
        host: the name, or address, that the certificate must be for.
        target: where this leads, for the texts of errors.
        outbound_max: bytes that may wait.

    Raises:
        OSError, ConnectionClosed: as for `Poller.connect`.
        TlsFailed: the context or the host's name cannot be used.
    """
    layer = TlsLine(owner, context, host=host, target=target, outbound_max=outbound_max)
    return layer.attach(
        poller.connect(family, address, layer, source=source, outbound_max=_room(outbound_max))
    )


def add_tls(
    poller: Poller,
    sock: socket.SocketType,
    owner: LineOwner,
    *,
    context: ssl.SSLContext,
    host: str | None,
    target: str,
    outbound_max: int = LINE_OUTBOUND_MAX,
) -> TlsLine:
    """Take over a connected socket (`Poller.add`) and begin TLS on it; as a server where ``host`` is None.

    Raises:
        OSError, ConnectionClosed: as for `Poller.add`.
        TlsFailed: the context or the host's name cannot be used; the socket is closed.
    """
    try:
        layer = TlsLine(owner, context, host=host, target=target, outbound_max=outbound_max)
    except TlsFailed:
        sock.close()
        raise
    line = poller.add(sock, layer, outbound_max=_room(outbound_max))
    layer.attach(line).connected(line)
    return layer


def _room(outbound_max: int) -> int:
    """The bound of a line whose plaintext is bounded: records add 85 bytes for each 16 KiB at most."""
    return outbound_max + outbound_max // 128 + OVERHEAD


class TlsLine(Line, LineOwner):
    """One connection with TLS; made by `connect_tls` and `add_tls`. No method of it waits."""

    __slots__ = (
        "_began",
        "_eof",
        "_error",
        "_inbound",
        "_line",
        "_outbound",
        "_outbound_max",
        "_owes_drained",
        "_owner",
        "_queue",
        "_queued",
        "_secured",
        "_shut",
        "_shuts",
        "_target",
        "_tls",
    )

    def __init__(
        self, owner: LineOwner, context: ssl.SSLContext, *, host: str | None, target: str, outbound_max: int
    ) -> None:
        self._owner = owner
        self._target = target
        self._outbound_max = outbound_max
        self._inbound = ssl.MemoryBIO()
        self._outbound = ssl.MemoryBIO()
        try:
            self._tls = context.wrap_bio(
                self._inbound, self._outbound, server_side=host is None, server_hostname=host
            )
        except (ssl.SSLError, ValueError) as error:  # as a name that is none
            raise TlsFailed(target, failure_words(error)) from error
        self._line: Line | None = None
        self._error: ConnectionClosed | None = None
        self._queue: deque[bytes | memoryview] = deque()
        """Plaintext that cannot be encrypted yet: before the end of the handshake, or of another within."""
        self._queued = 0
        self._began = self._secured = self._eof = False
        self._shuts = self._shut = False
        """Nothing more is to be sent; close_notify has been made."""
        self._owes_drained = False

    def __repr__(self) -> str:
        return f"<TlsLine {'closed' if self.is_closed else 'open' if self._secured else 'in its handshake'}>"

    def attach(self, line: Line) -> TlsLine:
        """Note the line this is the owner of; return self."""
        self._line = line
        return self

    @property
    def under(self) -> Line:
        """The line that carries the ciphertext."""
        assert self._line is not None, "attach() comes first"
        return self._line

    @property
    def is_securing(self) -> bool:
        """Whether the handshake is under way."""
        return self._began and not self._secured

    @property
    def error(self) -> ConnectionClosed | None:
        """Why nothing can be sent any more."""
        return self._error or self.under.error

    @property
    def is_closed(self) -> bool:
        """Whether the socket is closed."""
        return self.under.is_closed

    @property
    def waiting(self) -> int:
        """Bytes that have not been written yet: ciphertext, and what is to become of it."""
        return self.under.waiting + self._queued

    @property
    def socket(self) -> socket.SocketType:
        """The socket, for its options and addresses only."""
        return self.under.socket

    def send(self, data: bytes) -> bool:
        """Encrypt and write, or queue: `Line.send`."""
        if self.error is not None or self._shuts:
            raise self._send_error()
        waiting = self.waiting
        if waiting and waiting + len(data) > self._outbound_max:
            raise OutboundFull(f"{waiting} bytes wait already")
        if data:
            self._queue.append(data)
            self._queued += len(data)
            self._pump()
        if self.error is not None:
            raise self._send_error()
        if self.waiting:
            self._owes_drained = True
            return False
        return True

    def send_eof(self) -> None:
        """Say close_notify once all is written that waits. Nothing where the line has ended."""
        if not (self.is_closed or self._shuts):
            self._shuts = True
            self._pump()

    def forget_unsent(self) -> None:
        """Drop what waits: nothing sensible can be sent afterwards, close_notify neither."""
        self._queue.clear()
        self._queued = 0
        self._shut = True
        self.under.forget_unsent()

    def pause(self) -> None:
        """Read no more until `resume`: `Line.pause`."""
        self.under.pause()

    def resume(self) -> None:
        """Read on."""
        self.under.resume()

    def close(self) -> None:
        """Say close_notify, if that can be now, and close the socket, without telling the owner."""
        if not self.is_closed:
            self._error = self._error or ConnectionClosed("the connection has been closed on this side")
            self._say_goodbye()
            self.under.close()

    def end(self, error: Exception | None) -> None:
        """Say close_notify, if that can be now, close the socket, and tell the owner why."""
        if not self.is_closed:
            self._say_goodbye()
            self.under.end(error)

    def connected(self, line: Line) -> None:
        """Begin the handshake."""
        self._began = True
        self._shake_hands()

    def received(self, line: Line, data: bytes) -> None:
        """Decrypt what came; the owner gets what there is in one piece."""
        if self._eof:
            return  # behind close_notify there is nothing
        self._inbound.write(data)
        if not self._secured and not self._shake_hands():
            return
        plain, failure = self._decrypt()
        if self._outbound.pending or self._queue:
            self._pump()  # answers of TLS itself; and what waited for them
            if not self.waiting:
                self.drained(line)
        if plain:
            self._owner.received(self, plain)
        if self.is_closed:
            return
        failure = failure or self._error
        if failure is not None:
            self.end(failure)
        elif self._eof:
            self._owner.received_eof(self)

    def received_eof(self, line: Line) -> None:
        """The end of TCP: in order after close_notify only."""
        if self._eof:
            return  # the owner has been told, and may still send
        if self._secured:
            self.end(TlsTruncated("the connection ended without the end of TLS (close_notify)"))
        else:
            self.end(TlsFailed(self._target, "the server closed the connection during the TLS handshake"))

    def drained(self, line: Line) -> None:
        """The ciphertext has been written."""
        if self._owes_drained and not self._queue:
            self._owes_drained = False
            self._owner.drained(self)

    def closed(self, line: Line, error: Exception | None) -> None:
        """Pass the end on; in the handshake it is the handshake's."""
        self._queue.clear()
        self._queued = 0
        if not self._secured and isinstance(error, ConnectionBroken) and self._began:
            failed = TlsFailed(self._target, failure_words(error.__cause__ or error))
            failed.__cause__ = error
            error = failed
        if self._error is None and isinstance(error, ConnectionClosed):
            self._error = error
        self._owner.closed(self, error)

    def _shake_hands(self) -> bool:
        """Go on with the handshake; tell whether it has just ended and the line still lives."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush()  # the alert
            failed = TlsFailed(self._target, failure_words(error))
            failed.__cause__ = error
            self.under.end(failed)
            return False
        self._secured = True
        self._flush()
        if not self.is_closed:
            self._owner.connected(self)
        if not self.is_closed:
            self._pump()
            if not self.waiting:
                self.drained(self.under)
        return not self.is_closed

    def _decrypt(self) -> tuple[bytes, ConnectionClosed | None]:
        """Return all that can be read of what came, and what was wrong behind it."""
        pieces: list[bytes] = []
        failure: ConnectionClosed | None = None
        try:
            while not self._eof:
                piece = self._tls.read(RECORD_MAX)
                if piece:
                    pieces.append(piece)
                else:
                    self._eof = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._eof = True
        except ssl.SSLError as error:
            failure = ConnectionBroken(f"TLS failed: {failure_words(error)}")
            failure.__cause__ = error
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), failure

    def _pump(self) -> None:
        """Encrypt what is queued, and our end behind it, as far as OpenSSL takes it; hand it to the line."""
        if not self._secured:
            return
        queue = self._queue
        try:
            while queue:
                piece = queue[0]
                taken = self._tls.write(piece)
                self._queued -= taken
                if taken == len(piece):
                    queue.popleft()
                else:
                    queue[0] = memoryview(piece)[taken:]
        except ssl.SSLWantReadError:
            pass  # a handshake within: `received` goes on
        except ssl.SSLError as error:
            self._error = ConnectionBroken(f"TLS failed: {failure_words(error)}")
            self._error.__cause__ = error
            queue.clear()
            self._queued = 0
        if self._shuts and not queue and not self._shut:
            self._make_notify()
        self._flush()
        if self._shut and self._shuts:
            self.under.send_eof()

    def _make_notify(self) -> None:
        self._shut = True
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # It has been made, and the peer's is not waited for; or TLS has failed, and reading tells so.

    def _say_goodbye(self) -> None:
        """Close_notify, where all before it has been written and something may still be sent."""
        if self._secured and not self._shut and not self.waiting and self.under.error is None:
            self._make_notify()
            self._flush()

    def _flush(self) -> None:
        """Hand the ciphertext to the line."""
        if self._outbound.pending:
            data = self._outbound.read()
            try:
                self.under.send(data)
            except OutboundFull as error:  # the peer reads nothing, and lets us answer: keys, over and over
                self._error = ConnectionBroken("the peer does not read what TLS itself has to say")
                self._error.__cause__ = error
            except ConnectionClosed:
                pass  # The line has the error, and reading finds the end.

    def _send_error(self) -> ConnectionClosed:
        error = self.error
        if error is None:
            return ConnectionClosed("nothing can be sent after the end of our direction")
        fresh = type(error)(*error.args)
        fresh.__cause__ = error.__cause__
        return fresh
