"""The journal of a client: opened before the client starts, its orders taken up again, closed after everything else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio

from potrio.actors.book import Book
from potrio.actors.journal import JournalState
from potrio.actors.journal_record import OrderRecord, account_name
from potrio.actors.order_journal import restore
from potrio.actors.pending_record import PendingRecord
from potrio.client.config import Config
from potrio.client.core import ClientCore
from potrio.logs import potrio_logger
from potrio.protocol.ssid import Ssid

if TYPE_CHECKING:
    from potrio.actors.journal_file import JournalFile

__all__ = ["JournalCalls", "JournalStatistics", "opened_journal"]

log = potrio_logger("journal")


class JournalStatistics(msgspec.Struct, frozen=True):
    """What a journal has done since the client was opened.

    Attributes:
        records: written, in so many ``commits``; ``failures``: commits that failed.
        unsaved: orders of which something is known that is not on disk yet.
        last_error: why the last commit failed; None once one has succeeded again.
    """

    path: str
    records: int
    commits: int
    failures: int
    unsaved: int
    last_error: str | None


class JournalCalls(ClientCore):
    """What a client says of its journal; a part of `Client`."""

    @property
    def journal(self) -> JournalStatistics | None:
        """How the journal is doing; None where none is kept."""
        state = self._shared.journal
        if state is None:
            return None
        return JournalStatistics(
            path=str(state.file.path),
            records=state.appended,
            commits=state.commits,
            failures=state.failures,
            unsaved=len(state.unsaved),
            last_error=None if state.last_error is None else str(state.last_error),
        )


@asynccontextmanager
async def opened_journal(config: Config, ssid: Ssid, book: Book) -> AsyncGenerator[JournalState | None, None]:
    """Open the configured journal and put the account's orders into the book; without one this does nothing.

    Cancelling waits for the disk: a journal is either open, and then closed again, or not.

    Raises:
        JournalBusy: another client writes it.
        JournalError: it cannot be used; nothing in it was changed.
    """
    if config.journal is None:
        yield None
        return
    seam, account = config.seam, account_name(ssid, config.url)
    file, orders, pending = await seam.in_thread(partial(read, config, account))
    try:
        restore(book, orders, pending, now=seam.now(), wall=seam.wall())
        state = JournalState(file, account, [*orders, *pending])
        try:
            yield state
        finally:
            if state.unsaved:
                count, why = len(state.unsaved), state.last_error
                log.warning("the journal lacks the last that is known of %d orders: %s", count, why)
    finally:
        with trio.CancelScope(shield=True):
            await seam.in_thread(file.close)


def read(config: Config, account: str) -> tuple[JournalFile, list[OrderRecord], list[PendingRecord]]:
    """Open the file, forget what is too old, read the rest. It blocks."""
    from potrio.actors.journal_file import JournalFile  # SQLite is loaded by those who keep a journal

    assert config.journal is not None
    file = JournalFile.open(Path(config.journal), config.seam, config.durability)
    try:
        file.prune(account)
        return file, file.load(account), file.load_pending(account)
    except BaseException:
        file.close()
        raise
