"""A network inside the process: a `Seam` whose sockets are memory streams, so that whole systems run in virtual time.

Both sides are given the same `MemoryNetwork`: what one listens on, the other connects to. With
``trio.testing.MockClock(autojump_threshold=0)`` an hour of client and venue takes as long as its computing does.
"""

from __future__ import annotations

import errno
import itertools
import random
import sqlite3
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

import trio
import trio.testing

from potrio.seam import FileLocked, Seam

__all__ = ["MemoryListener", "MemoryNetwork"]

T = TypeVar("T")

BACKLOG_MAX = 4096
FIRST_PORT = 49152
NETWORKS = itertools.count(1)


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """One end of `MemoryNetwork`: hands out the streams of those who connect."""

    def __init__(self, network: MemoryNetwork, port: int) -> None:
        self.port = port
        self._network = network
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](BACKLOG_MAX)

    async def accept(self) -> trio.abc.Stream:
        """Wait for the next connection; cancelling loses none."""
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        """Stop listening: further connections are refused."""
        self._network.forget(self)
        self._send.close()
        self._receive.close()
        await trio.lowlevel.checkpoint()

    def connect(self, stream: trio.abc.Stream) -> None:
        """Put a stream into the backlog."""
        self._send.send_nowait(stream)


class MemoryNetwork(Seam):
    """A world of its own: ports, streams, a wall clock in step with trio's, and chance from a seed.

    Args:
        seed: of ids, masks and jitter.
        epoch: what the wall clock shows (Unix seconds) when trio's clock shows 0.
    """

    def __init__(self, seed: int = 0, epoch: float = 1_770_000_000.0) -> None:
        self._random = random.Random(seed)
        self._epoch = epoch
        self._listeners: dict[int, MemoryListener] = {}
        self._next_port = FIRST_PORT
        self._number = next(NETWORKS)  # SQLite names databases in memory by process
        self._databases: dict[str, sqlite3.Connection] = {}
        self._locks: set[str] = set()
        self.wall_jump_s = 0.0
        """Set it to make the wall clock wrong; deadlines do not care."""

    # --- time and chance ---

    def wall(self) -> float:
        """The wall clock, in step with trio's."""
        return self._epoch + trio.current_time() + self.wall_jump_s

    def generator(self) -> random.Random:
        """A generator of its own, from the seed."""
        return random.Random(self._random.getrandbits(64))

    def new_id(self) -> str:
        """Ids from the seed, in the form of a UUID."""
        digits = f"{self._random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def mask_bytes(self, count: int) -> bytes:
        """Masks from the seed."""
        return self._random.randbytes(count)

    # --- sockets ---

    async def resolve(self, host: str, port: int) -> list[tuple[int, tuple[str | int, ...]]]:
        """Every name is this machine. A checkpoint."""
        await trio.lowlevel.checkpoint()
        return [(0, (host, port))]

    async def connect_tcp(self, family: int, address: tuple[str | int, ...]) -> trio.abc.Stream:
        """Connect to a listener of this network. A checkpoint.

        Raises:
            OSError: nobody listens there.
        """
        await trio.lowlevel.checkpoint()
        listener = self._listeners.get(int(address[1]))
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        ours, theirs = trio.testing.memory_stream_pair()
        listener.connect(theirs)
        return ours

    async def listen_tcp(
        self, host: str, port: int, *, backlog: int = BACKLOG_MAX
    ) -> list[trio.SocketListener]:
        """Listen; port 0 takes a free one. A checkpoint.

        Raises:
            OSError: the port is taken.
        """
        await trio.lowlevel.checkpoint()
        if port == 0:
            port = self._next_port
            self._next_port += 1
        if port in self._listeners:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        listener = self._listeners[port] = MemoryListener(self, port)
        return cast("list[trio.SocketListener]", [listener])

    def start_connect(self, family: int, address: tuple[str | int, ...], *, source: str | None = None) -> Any:
        """No sockets: a poller needs real ones.

        Raises:
            OSError: always.
        """
        raise OSError(errno.EOPNOTSUPP, "a memory network has no sockets")

    def forget(self, listener: MemoryListener) -> None:
        """A listener has stopped."""
        self._listeners.pop(listener.port, None)

    # --- databases, in memory: they last as long as this network, whatever happens to those who use them ---

    def open_database(self, path: Any) -> sqlite3.Connection:
        """Open a database of this network; the same path is the same database."""
        name = f"file:memory-network-{self._number}-{str(path).encode().hex()}?mode=memory&cache=shared"
        if str(path) not in self._databases:
            kept = self._databases[str(path)] = sqlite3.connect(name, uri=True, check_same_thread=False)
            weakref.finalize(self, kept.close)  # it is what keeps the database alive
        return sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)

    def lock_file(self, path: Any) -> Callable[[], None]:
        """Take a lock of this network.

        Raises:
            FileLocked: somebody has it.
        """
        name = str(path)
        if name in self._locks:
            raise FileLocked(name, None)
        self._locks.add(name)
        return lambda: self._locks.discard(name)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run it here and now: a thread would be outside of virtual time. A checkpoint."""
        await trio.lowlevel.checkpoint()
        return function()

    # --- nothing of the real world ---

    def environment(self) -> dict[str, str]:
        """No variables."""
        return {}

    def read_file(self, path: Any) -> bytes:
        """No files.

        Raises:
            FileNotFoundError: always.
        """
        raise FileNotFoundError(errno.ENOENT, "a memory network has no files", str(path))

    def write_file(self, path: Any, data: bytes, *, mode: int = 0o600) -> None:
        """No files.

        Raises:
            OSError: always.
        """
        raise OSError(errno.EROFS, "a memory network has no files", str(path))
