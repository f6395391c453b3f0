"""The simulated network and disk: a `Seam` with weather, of whose connections and files faults can get hold."""

from __future__ import annotations

import errno
import math
import random
import sqlite3
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import trio

from loadsim.simulation.channel import Line, Weather
from loadsim.simulation.clock import SimClock
from loadsim.simulation.ends import ByteEnd, MessageEnd
from loadsim.simulation.history import History
from loadsim.simulation.plan import LATENCIES, Level
from potrio.errors import ConnectRefused, UpgradeRejected
from potrio.testing.network import MemoryListener, MemoryNetwork

__all__ = ["Door", "SimNetwork"]

T = TypeVar("T")


class Disk:
    """What goes wrong with files: `full` fails every write, `slow_s` holds every thread's work up, `fails_every` has
    each so many-th write end in an I/O error, in the middle of a transaction, too (0: none).
    """

    def __init__(self) -> None:
        self.full = False
        self.slow_s = 0.0
        self.fails_every = 0
        self.failures = 0
        self._writes = 0

    def error(self) -> str:
        """What the next write fails with; empty where it does not."""
        self._writes += 1
        if self.full:
            return "database or disk is full"
        return "disk I/O error" if self.fails_every and self._writes % self.fails_every == 0 else ""


class SimDatabase(sqlite3.Connection):
    """A database whose disk can be full or broken."""

    disk: Disk | None = None

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run a statement.

        Raises:
            sqlite3.Error: also where the simulated disk is full or broken, for what would write. An I/O error rolls
                the transaction back, as SQLite itself does.
        """
        if self.disk is not None and sql.lstrip()[:6] in ("COMMIT", "INSERT") and (why := self.disk.error()):
            self.disk.failures += 1
            if not self.disk.full and self.in_transaction:
                super().execute("ROLLBACK")
            raise sqlite3.OperationalError(why)
        return super().execute(sql, *parameters)


class Door(trio.abc.Stream):
    """The venue's end of a connection of messages, before anybody has spoken, in the shape of a stream."""

    def __init__(self, transport: MessageEnd) -> None:
        self.transport = transport
        self.opened = trio.Event()
        self.refused = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Bytes on a connection of messages are half a frame: a fault that ends in a cut."""
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """A checkpoint."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Nobody may ask for bytes here."""
        raise AssertionError("a connection of messages has no bytes")

    async def aclose(self) -> None:
        """Close the connection."""
        self.opened.set()
        await self.transport.aclose()


class SimNetwork(MemoryNetwork):
    """Connections in virtual time.

    Attributes:
        weather: latencies.
        lines: connections that are open, oldest first.
        unreachable: nobody can connect; ``accept_s``: how long connecting takes more.
        dialled: when (virtual seconds) each connection was tried.
        slept_s: how long the machine has slept, so far: its wall clock went on, its clock of deadlines did not.
    """

    def __init__(self, seed: int, clock: SimClock, history: History, *, level: Level, latency: str) -> None:
        super().__init__(seed)
        self._chance = random.Random(f"simulation/{seed}/network")
        self._level = level
        self._clock = clock
        self._history = history
        self.weather = Weather(*LATENCIES[latency], self._chance)
        self.lines: list[Line[Any]] = []
        self.lines_made = 0
        self.unreachable = False
        self.accept_s = 0.0
        self.dialled: list[float] = []
        self.slept_s = 0.0
        self._asleep: list[Line[Any]] | None = None
        self.disk = Disk()

    def now(self) -> float:
        """Virtual seconds; cheaper than to ask trio."""
        return self._clock.now

    async def wait_until(self, event: trio.Event, deadline: float) -> None:
        """Wait for an event, or until a time: a call of the clock, which costs less than to cancel the waiting."""
        if deadline < math.inf:
            self._clock.call_at(deadline, event.set)
        await event.wait()

    def wall(self) -> float:
        """The wall clock of the client's machine."""
        return self._epoch + self._clock.now + self.slept_s + self.wall_jump_s

    def utc(self) -> float:
        """The true time of this world, however the client's clock is set."""
        return self._epoch + self._clock.now + self.slept_s

    def fall_asleep(self) -> None:
        """Hold everything back until the machine wakes up, on connections still to come, too."""
        self._asleep = []
        for line in self.lines:
            self._hold_back(line)

    def wake_up(self) -> None:
        """Let everything go that was held back for the machine's sleep; what a fault holds back stays."""
        held, self._asleep = self._asleep or [], None
        for line in held:
            line.resume()

    def _hold_back(self, line: Line[Any]) -> None:
        if self._asleep is not None and not line.is_stalled:
            line.stall()
            self._asleep.append(line)

    def _line(self) -> Line[Any]:
        self.lines_made += 1
        line: Line[Any] = Line(self.lines_made, self._clock, self.weather, on_cut=self._forget_closed)
        self.lines = [other for other in self.lines if other.is_open]
        self.lines.append(line)
        self._hold_back(line)
        return line

    def _forget_closed(self) -> None:
        self.lines = [line for line in self.lines if line.is_open]

    @property
    def is_busy(self) -> bool:
        """Is anything on its way to the venue?"""
        return any(line.up.in_flight or line.up.ready for line in self.lines if line.is_open)

    async def _reach(self, port: int) -> MemoryListener:
        self.dialled.append(self._clock.now)
        await trio.sleep(self.weather.latency() + self.accept_s)
        listener = self._listeners.get(port)
        if listener is None or self.unreachable:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return listener

    async def connect_tcp(self, family: int, address: tuple[str | int, ...]) -> trio.abc.Stream:
        """Connect with bytes; a network of messages has `connect_messages`."""
        listener = await self._reach(int(address[1]))
        line = self._line()
        listener.connect(ByteEnd("<", line, line.down, line.up, self._history, self._chance))
        return ByteEnd(">", line, line.up, line.down, self._history, self._chance)

    async def connect_messages(self, port: int, target: str) -> MessageEnd:
        """Connect with messages: what dialling, TCP and the upgrade come to.

        Raises:
            ConnectRefused, UpgradeRejected: as the venue or a fault has it.
        """
        try:
            listener = await self._reach(port)
        except OSError as error:
            raise ConnectRefused(target, "Connection refused") from error
        line = self._line()
        ours = MessageEnd(">", line, line.up, line.down, self._history)
        door = Door(MessageEnd("<", line, line.down, line.up, self._history))
        listener.connect(door)
        try:
            await door.opened.wait()
            if door.refused:
                raise UpgradeRejected(target, f"the server answered {door.refused}")
            if line.up.ended:
                raise UpgradeRejected(target, "the connection was lost: reset")
            await trio.sleep(self.weather.latency())
        except BaseException:
            with trio.CancelScope(shield=True):
                await ours.aclose()
            raise
        return ours

    # --- the disk ---

    def open_database(self, path: Any) -> sqlite3.Connection:
        """Open a database of this network, on its disk."""
        name = f"file:sim-{self._number}-{str(path).encode().hex()}?mode=memory&cache=shared"
        if str(path) not in self._databases:
            kept = self._databases[str(path)] = sqlite3.connect(name, uri=True, check_same_thread=False)
            weakref.finalize(self, kept.close)
        opened = sqlite3.connect(
            name, uri=True, isolation_level=None, check_same_thread=False, factory=SimDatabase
        )
        opened.disk = self.disk
        return opened

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run it here, after the time that the disk takes."""
        with trio.CancelScope(shield=True):
            await trio.sleep(self.disk.slow_s)
        return function()
