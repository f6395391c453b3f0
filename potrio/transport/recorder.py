"""A recorder: a transport that writes down every frame on its way, through a bounded queue and a thread, redacted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import trio

from potrio.errors import ConfigError
from potrio.protocol.frames import Message
from potrio.seam import REAL, Seam
from potrio.secrets import Secret
from potrio.transport.base import Transport, TransportStatistics
from potrio.transport.recording import FORMAT, Direction, Header, frame_line, safe_message

__all__ = ["RECORDER_CAPACITY", "RecordedTransport", "Recorder", "RecorderStatistics"]

RECORDER_CAPACITY: Final = 10_000
"""Frames waiting to be written; a slow disk makes the recorder lose some, and say so, never the client wait."""

FLUSH_EVERY_S: Final = 0.25
FLUSH_FRAMES: Final = 500

Waiting = tuple[float, int, Direction, Message | None]


class RecorderStatistics(msgspec.Struct, frozen=True):
    """What a recorder did: frames written, and frames lost because the disk was too slow."""

    written: int
    lost: int
    waiting: int


class Recorder:
    """Writes one file, for any number of connections one after another or at once.

    Run `run` in a task; `wrap` puts a transport under observation. The file is readable by its owner only. The token
    is taken out in the thread that writes; nothing else of the process has to wait for the disk.

    Args:
        path: a new file.
        secret: the session token, to be taken out of every frame.
        seam: the door to clock and disk.
    """

    def __init__(
        self, path: Path, secret: Secret, *, seam: Seam = REAL, capacity: int = RECORDER_CAPACITY
    ) -> None:
        self._path = path
        self._secrets = [secret]
        self._seam = seam
        self._capacity = capacity
        self._queue: deque[Waiting] = deque()
        self._lost = 0  # since the last line
        self._lost_in_all = 0
        self._written = 0
        self._connections = 0
        self._began: float | None = None
        self._wake = trio.Event()
        self._ended = False
        self._file: BinaryIO | None = None

    def hide(self, secret: Secret) -> None:
        """Take this one out as well, from the frames on that are not written yet: a fresh token."""
        self._secrets.append(secret)

    def wrap(self, transport: Transport) -> RecordedTransport:
        """The same transport, written down as another connection."""
        self._connections += 1
        self.add(self._connections, "open")
        return RecordedTransport(transport, self, self._connections)

    def add(
        self, connection: int, direction: Direction, messages: Sequence[Message | None] = (None,)
    ) -> None:
        """Take frames; never waits. Where too many wait already they are counted as lost."""
        if self._ended:
            return
        now = self._seam.now()
        if self._began is None:
            self._began = now
        room = self._capacity - len(self._queue)
        at = now - self._began
        self._queue.extend((at, connection, direction, message) for message in messages[: max(room, 0)])
        missing = len(messages) - max(room, 0)
        if missing > 0:
            self._lost += missing
            self._lost_in_all += missing
        if len(self._queue) >= FLUSH_FRAMES:
            self._wake.set()

    def create(self) -> BinaryIO:
        """Create the file, unless that has been done; `run` does it by itself.

        Raises:
            ConfigError: it is there already, or cannot be written.
        """
        if self._file is None:
            try:
                self._file = self._seam.create_file(self._path)
            except OSError as error:
                problem = error.strerror or "cannot be written"
            else:
                return self._file
            raise ConfigError(str(self._path), problem)
        return self._file

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; what waits is written on the way out.

        Raises:
            ConfigError: the file is there already, or cannot be written (the disk is full).
        """
        file = self.create()
        try:
            if self._began is None:
                self._began = self._seam.now()
            header = msgspec.json.encode(Header(FORMAT, self._seam.wall())) + b"\n"
            await self._write(file, [], header)
            task_status.started()
            while True:
                with trio.move_on_after(FLUSH_EVERY_S):
                    await self._wake.wait()
                self._wake = trio.Event()
                await self._flush(file)
        finally:
            self._ended = True
            with trio.CancelScope(shield=True):
                try:
                    await self._flush(file)
                finally:
                    await self._seam.in_thread(file.close)

    def statistics(self) -> RecorderStatistics:
        """The counters now."""
        return RecorderStatistics(self._written, self._lost_in_all, len(self._queue))

    # --- private ---

    async def _flush(self, file: BinaryIO) -> None:
        if not self._queue and not self._lost:
            return
        batch, self._queue = list(self._queue), deque()
        tail = b""
        if self._lost:
            assert self._began is not None, "frames were added"
            tail = frame_line(
                batch[-1][0] if batch else 0.0, max(self._connections, 1), "lost", None, self._lost
            )
            self._lost = 0
        await self._write(file, batch, tail)
        self._written += len(batch)

    async def _write(self, file: BinaryIO, batch: list[Waiting], tail: bytes) -> None:
        secrets = tuple(self._secrets)

        def safe(message: Message, direction: Direction) -> Message:
            message = safe_message(message, *secrets, sent=direction == "out")
            return message

        def work() -> None:
            lines = [
                frame_line(
                    at,
                    connection,
                    direction,
                    None if message is None else safe(message, direction),
                )
                for at, connection, direction, message in batch
            ]
            file.write(b"".join([*lines, tail]))
            file.flush()

        try:
            await self._seam.in_thread(work)
        except OSError as error:
            problem = error.strerror or "cannot be written"
        else:
            return
        raise ConfigError(str(self._path), problem)


class RecordedTransport:
    """A `Transport` under observation: the same laws, the same results."""

    def __init__(self, transport: Transport, recorder: Recorder, number: int) -> None:
        self._transport = transport
        self._recorder = recorder
        self._number = number
        self._open = True

    async def receive(self) -> list[Message]:
        """See `Transport.receive`; what was received is taken down.

        Waits, cancels and raises as the transport does.
        """
        messages = await self._transport.receive()
        self._recorder.add(self._number, "in", messages)
        return messages

    async def send(self, messages: Sequence[Message]) -> None:
        """See `Transport.send`; what is to be sent is taken down first, so that no answer comes before its question.

        Waits, cancels and raises as the transport does.
        """
        self._recorder.add(self._number, "out", messages)
        await self._transport.send(messages)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """See `Transport.aclose`; waits and cancels as that does.

        Raises:
            LocalProtocolError: the code may not be sent.
        """
        try:
            await self._transport.aclose(code, reason)
        finally:
            self.closed()

    def closed(self) -> None:
        """Take down the end, once."""
        if self._open:
            self._open = False
            self._recorder.add(self._number, "end")

    def statistics(self) -> TransportStatistics:
        """See `Transport.statistics`."""
        return self._transport.statistics()
