"""The one door to clocks, chance, identities, sockets and files: everything else asks a `Seam`.

Nothing else in potrio reads a clock, rolls a die or opens a socket or file (``tests/meta/test_tidy.py`` checks it),
so that a simulation that hands in another `Seam` owns all that could differ between two runs of one seed.
"""

from __future__ import annotations

import os
import random
import socket
import ssl
import time
import uuid
from pathlib import Path

import trio

from potrio.limits import TCP_USER_TIMEOUT_MS

__all__ = ["REAL", "Seam", "tune"]


class Seam:
    """The real world. A simulation subclasses it and overrides every method."""

    # --- time ---

    def now(self) -> float:
        """Seconds on trio's clock: the clock of all deadlines. Only inside `trio.run`."""
        return trio.current_time()

    def wall(self) -> float:
        """Seconds since the Unix epoch: for labels and for measuring the venue's clock, never for a timer."""
        return time.time()

    # --- chance and identity ---

    def generator(self) -> random.Random:
        """A fresh generator, seeded from the system: for jitter, never for secrets."""
        return random.Random(os.urandom(16))

    def new_id(self) -> str:
        """A request id that no one else has: a UUID4 in text form."""
        return str(uuid.uuid4())

    def mask_bytes(self, count: int) -> bytes:
        """Unpredictable bytes for WebSocket masks and keys (RFC 6455 section 5.3)."""
        return os.urandom(count)

    # --- sockets ---

    async def resolve(self, host: str, port: int) -> list[tuple[int, tuple[str | int, ...]]]:
        """Look a host name up.

        Returns:
            ``(family, address)`` pairs, best first.

        Raises:
            OSError: there is no such name (`socket.gaierror`).

        Cancelling stops waiting; the resolver's thread ends by itself.
        """
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]  # (int, bytes): no IPv6

    async def connect_tcp(self, family: int, address: tuple[str | int, ...]) -> trio.abc.Stream:
        """Open a TCP connection to one resolved address.

        Cancelling closes the half-open socket.

        Raises:
            OSError: refused or not reachable.
        """
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            await sock.connect(address)
            return tune(trio.SocketStream(sock))
        except BaseException:
            sock.close()
            raise

    async def listen_tcp(self, host: str, port: int, *, backlog: int = 4096) -> list[trio.SocketListener]:
        """Listen for TCP connections; port 0 lets the system choose. Cancelling leaves nothing open.

        The accepted connections have the options of `tune`: they inherit them from the listening socket, which cannot
        fail as setting them on a connection can that its client has reset already.

        Raises:
            OSError: the address is taken or not ours.
        """
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
        for listener in listeners:
            _set_options(listener.socket)
        return listeners

    def wrap_tls(
        self, stream: trio.abc.Stream, context: ssl.SSLContext, server_hostname: str
    ) -> trio.SSLStream[trio.abc.Stream]:
        """Put TLS on a stream; the caller awaits ``do_handshake()``."""
        return trio.SSLStream(stream, context, server_hostname=server_hostname, https_compatible=True)

    # --- files and environment ---

    def read_file(self, path: Path) -> bytes:
        """Read a whole file. For small files only: it blocks.

        Raises:
            OSError: it is not there or not readable.
        """
        return path.read_bytes()

    def write_file(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        """Replace a file as a whole, durably: a reader, or a crash at any moment, sees the old content or the new.

        One writer for each file at a time: what is written goes through one name beside it, so that a kill in the
        middle of many writes leaves one such file at most, which the next write takes away.

        Raises:
            OSError: the disk is full or the folder not writable; the old file is untouched, unless it was the folder
                that could not be made durable.
        """
        beside = path.with_name(f".{path.name}.new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def environment(self) -> dict[str, str]:
        """The environment variables, as a copy."""
        return dict(os.environ)


def tune(stream: trio.SocketStream) -> trio.SocketStream:
    """Set the options every connection of ours wants: no delay, keep-alive, and a bound on unacknowledged bytes."""
    _set_options(stream)
    return stream


def _set_options(target: trio.SocketStream | trio.socket.SocketType) -> None:
    target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    target.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder outlive a loss of power (where the system lets folders be opened)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


REAL = Seam()
"""The seam of production: the default everywhere. It holds no state."""
