"""The one door to clocks, chance, identities, sockets and files: everything else asks a `Seam`.

Nothing else in potrio reads a clock, rolls a die or opens a socket or file (``tests/meta/test_tidy.py`` checks it),
so that a simulation that hands in another `Seam` owns all that could differ between two runs of one seed.
"""

from __future__ import annotations

import errno
import os
import random
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

import trio

from potrio.limits import JOURNAL_BUSY_TIMEOUT, TCP_USER_TIMEOUT_MS

if TYPE_CHECKING:
    import sqlite3

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]  # asked for before each use

__all__ = ["REAL", "FileLocked", "Seam", "tune"]

T = TypeVar("T")


class FileLocked(BlockingIOError):
    """Somebody else holds this lock; ``pid`` is their process, where the lock file says it."""

    def __init__(self, path: str, pid: int | None) -> None:
        super().__init__(errno.EAGAIN, "is locked", path)
        self.pid = pid


IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Of Linux; Python names it from 3.12 on."""


class Seam:
    """The real world. A simulation subclasses it and overrides every method."""

    # --- time ---

    def now(self) -> float:
        """Seconds on trio's clock: the clock of all deadlines. Only inside `trio.run`."""
        return trio.current_time()

    def wall(self) -> float:
        """Seconds since the Unix epoch: for labels and for measuring the venue's clock, never for a timer."""
        return time.time()

    async def wait_until(self, event: trio.Event, deadline: float) -> None:
        """Wait for an event, or until `now` is the deadline (`inf`: however long). Cancelling only stops the waiting.

        To be given a fresh event for each wait: where time is simulated, it is set when the deadline has come.
        """
        with trio.move_on_at(deadline):
            await event.wait()

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

    def take_socket(self, stream: trio.SocketStream) -> socket.socket:
        """Return the socket of a stream, non-blocking, for a poller. The stream is not to be used afterwards."""
        taken = stream.socket
        family, kind, proto = taken.family, taken.type, taken.proto
        sock = socket.socket(family, kind, proto, taken.detach())
        sock.setblocking(False)
        return sock

    def start_connect(
        self, family: int, address: tuple[str | int, ...], *, source: str | None = None
    ) -> socket.socket:
        """Begin a TCP connection without waiting; the socket is writable once it stands or has failed.

        Args:
            family: of the address.
            address: resolved.
            source: the address to come from; its port is chosen as late as the system can, so that one source has all
                ports for each destination.

        Raises:
            OSError: it failed at once, or no descriptor or port is left; nothing stays open.
        """
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source is not None:
                if sys.platform == "linux":
                    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((source, 0))
            failure = sock.connect_ex(address)
            if failure not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                raise OSError(failure, os.strerror(failure))
        except BaseException:
            sock.close()
            raise
        return sock

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

    def is_private(self, path: Path) -> bool:
        """Whether nobody but its owner may read a file, as far as this system tells such things.

        Raises:
            OSError: it is not there.
        """
        return os.name != "posix" or not path.stat().st_mode & 0o044

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

    def open_database(self, path: Path) -> sqlite3.Connection:
        """Open a SQLite file for reading and writing, in autocommit, for use by one thread at a time.

        A new file is readable by its owner only, and so is what SQLite puts beside it.

        Raises:
            OSError: the folder is not there or not writable, or the path is a folder.
            sqlite3.Error: SQLite cannot open it. Whether it is a database shows at the first statement.
        """
        import sqlite3  # loaded by those who keep a journal

        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder", str(path)) from None
        return sqlite3.connect(
            path, timeout=JOURNAL_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )

    def lock_file(self, path: Path) -> Callable[[], None]:
        """Take the lock that goes with a file, without waiting; returns what releases it. The end of the process does.

        The lock is on a file beside it (``.lock``), which stays: were it removed, two could hold "the" lock.

        Raises:
            FileLocked: another process, or another part of this one, holds it.
            OSError: the folder is not there or not writable, or the system has no such locks.
        """
        if fcntl is None:
            raise OSError(errno.ENOSYS, "this system has no flock()", str(path))
        real = Path(os.path.realpath(path))
        beside = real.with_name(f"{real.name}.lock")
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32)
            os.close(descriptor)
            raise FileLocked(str(path), int(holder) if holder.isdigit() else None) from None
        except BaseException:
            os.close(descriptor)
            raise
        try:  # who holds it is a courtesy: the lock is as good without it, on a full disk for instance
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        except OSError:
            pass
        return lambda: os.close(descriptor)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run what blocks (a commit to disk) in a thread, and wait for it.

        Not cancelled once it has begun: what is known of its outcome is never thrown away. Raises what it raises.
        """
        return await trio.to_thread.run_sync(function)

    def create_file(self, path: Path) -> BinaryIO:
        """Create a file that is written bit by bit (a recording), readable by its owner only. It blocks.

        Raises:
            OSError: it is there already, or cannot be written.
        """
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

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
