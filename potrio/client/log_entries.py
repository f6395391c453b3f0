"""What potrio logs, to read in the program itself: `open_log` gives an asynchronous iterator over `LogEntry`."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
import trio

from potrio.errors import ConfigError
from potrio.logs import FIELDS, LEVELS, ROOT, RedactingFilter, talking

__all__ = ["LogEntries", "LogEntry", "open_log"]

LOG_CAPACITY: Final = 1000
_FORMATTER: Final = logging.Formatter()


class LogEntry(msgspec.Struct, frozen=True):
    """One record of potrio's loggers, without tokens.

    Attributes:
        time: Unix seconds, by the system's clock.
        fields: what it has of `potrio.logs.FIELDS`: ``kind``, ``epoch``, ``path``, ``topic``, ``handler``, ``seconds``.
        traceback: where there is an error.
    """

    time: float
    level: str
    logger: str
    message: str
    fields: dict[str, str | int | float]
    traceback: str | None = None


class LogEntries:
    """An asynchronous iterator over what is logged; past its capacity the oldest entries are dropped and counted.

    Records come from every thread of the process; entries are read in the trio run that opened it.
    """

    def __init__(self, capacity: int) -> None:
        self._entries: deque[LogEntry] = deque()
        self._capacity = capacity
        self._token = trio.lowlevel.current_trio_token()
        self._came = trio.Event()
        self._closed = False
        self.dropped = 0

    def __aiter__(self) -> LogEntries:
        return self

    async def __anext__(self) -> LogEntry:
        """Wait for the next entry; cancelling loses none. Ends after the last one when the log has been closed."""
        await trio.lowlevel.checkpoint()  # one that reads a full log lets others run
        while True:
            with suppress(IndexError):  # none, or another thread has just dropped it
                return self._entries.popleft()
            if self._closed:
                raise StopAsyncIteration
            await self._came.wait()

    def push(self, entry: LogEntry) -> None:
        """Add one; of whichever thread, one at a time."""
        if len(self._entries) >= self._capacity:
            with suppress(IndexError):  # read in this moment
                self._entries.popleft()
                self.dropped += 1
        self._entries.append(entry)
        self._poke()

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._poke()

    def _poke(self) -> None:
        with suppress(trio.RunFinishedError):  # nobody can read any more
            self._token.run_sync_soon(self._wake, idempotent=True)

    def _wake(self) -> None:
        came, self._came = self._came, trio.Event()
        came.set()


class _Handler(logging.Handler):
    """Makes entries of records; `logging` lets one thread at a time in."""

    def __init__(self, entries: LogEntries, level: int) -> None:
        super().__init__(level)
        self.entries = entries
        self.addFilter(RedactingFilter("potrio"))  # for loggers below ours that somebody else has made

    def emit(self, record: logging.LogRecord) -> None:
        """Take it as it is now: a record may hold what changes, or what should not be kept."""
        try:
            self.entries.push(entry_of(record))
        except Exception:  # noqa: BLE001  # the rule for handlers: a record that cannot be written hurts nobody
            self.handleError(record)


def entry_of(record: logging.LogRecord) -> LogEntry:
    """The entry for a record that has been redacted."""
    values = {name: getattr(record, name, None) for name in FIELDS}
    text = record.exc_text
    if text is None and record.exc_info and record.exc_info[0] is not None:
        text = _FORMATTER.formatException(record.exc_info)
    return LogEntry(
        record.created,
        record.levelname,
        record.name,
        record.getMessage(),
        {name: value for name, value in values.items() if isinstance(value, str | int | float)},
        text,
    )


@contextmanager
def open_log(level: str = "INFO", *, capacity: int = LOG_CAPACITY) -> Iterator[LogEntries]:
    """Read what potrio logs while the block runs, of all clients of the process; never waits.

    Where its loggers are quieter than ``level`` they speak up meanwhile, to the host's handlers too; these and the
    root logger are not touched.

    Args:
        level: the least one that is of interest.
        capacity: entries that may wait to be read; past it the oldest are dropped, and counted in ``dropped``.

    Raises:
        ConfigError: an argument cannot be used.
    """
    if level.upper() not in LEVELS:
        raise ConfigError("level", f"must be one of {', '.join(LEVELS)}, not {level!r}")
    if capacity < 1:
        raise ConfigError("capacity", f"must be at least 1, not {capacity}")
    number = logging.getLevelNamesMapping()[level.upper()]
    entries = LogEntries(capacity)
    handler = _Handler(entries, number)
    ROOT.addHandler(handler)
    try:
        with talking(level.upper() if ROOT.getEffectiveLevel() > number else None):
            yield entries
    finally:
        ROOT.removeHandler(handler)
        entries.close()
