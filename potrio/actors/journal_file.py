"""The journal on disk: one SQLite file of orders, written in groups, by one client at a time. It blocks: for a thread.

What `append` has returned from is on disk: safe from a crash of the process, and with ``durability="power-loss"`` from
a loss of power. A file that is not understood is left as it is. The table can be read while a client runs::

    sqlite3 orders.db 'select request_id, state, asset, side, amount, profit from orders order by number'
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from potrio.actors.evidence import OrderIntent
from potrio.actors.journal_record import DURABILITIES, Durability, OrderRecord, storable
from potrio.actors.pending_record import PendingRecord
from potrio.actors.pending_table import (
    PENDING_LOAD,
    PENDING_PRUNE,
    PENDING_SCHEMA,
    PENDING_UPSERT,
    pending_record,
    pending_row,
)
from potrio.errors import JournalBusy, JournalError
from potrio.limits import JOURNAL_ORDERS_MAX, ORDERS_KEPT_MAX
from potrio.protocol.messages.trading import Deal, Side
from potrio.seam import FileLocked, Seam

__all__ = ["JournalFile"]

APPLICATION_ID: Final = 0x504F5452
VERSION: Final = 2
"""Files of version 1 lack the table of pending orders: it is added as they are opened."""

PRUNE_EVERY: Final = 1000
"""Appended records between two looks for orders that are old enough to be forgotten."""

SCHEMA: Final = """
CREATE TABLE orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order in which they were taken on
    account TEXT NOT NULL,
    request_id TEXT NOT NULL,
    asset TEXT NOT NULL,
    side TEXT NOT NULL,
    amount TEXT NOT NULL,        -- decimal, exact
    duration_s INTEGER NOT NULL,
    is_demo INTEGER NOT NULL,
    created_wall REAL NOT NULL,  -- Unix seconds
    sent_wall REAL,              -- from then on the venue may have it
    denied TEXT,
    refused TEXT,
    absences INTEGER NOT NULL,
    deal_id TEXT,
    profit TEXT,                 -- decimal, exact, once the deal is settled
    deal TEXT,                   -- the whole deal, JSON
    settled INTEGER NOT NULL,
    named INTEGER NOT NULL,
    anomalies TEXT NOT NULL,     -- JSON
    state TEXT NOT NULL,         -- for readers: it follows from the rest
    ended INTEGER NOT NULL,
    UNIQUE (account, request_id)
) STRICT;
CREATE INDEX orders_ended ON orders (account, ended, number);
"""

COLUMNS: Final = (
    "account, request_id, asset, side, amount, duration_s, is_demo, created_wall, sent_wall, denied, refused, "
    "absences, deal_id, profit, deal, settled, named, anomalies, state, ended"
)
FACTS: Final = COLUMNS.split(", ")[8:]

# A row is replaced by a later one of the same order only. An id that an older, forgotten order has is not taken over.
UPSERT: Final = (
    f"INSERT INTO orders ({COLUMNS}) VALUES ({', '.join('?' * len(COLUMNS.split(', ')))}) "
    f"ON CONFLICT (account, request_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in FACTS)} "
    "WHERE created_wall = excluded.created_wall AND asset = excluded.asset AND side = excluded.side "
    "AND amount = excluded.amount AND duration_s = excluded.duration_s AND is_demo = excluded.is_demo"
)

LOAD: Final = (
    f"SELECT {COLUMNS} FROM (SELECT * FROM orders WHERE account = ?1 AND ended = 0 UNION ALL "
    "SELECT * FROM (SELECT * FROM orders WHERE account = ?1 AND ended = 1 ORDER BY number DESC LIMIT ?2)) "
    "ORDER BY number"
)

PRUNE: Final = (
    "DELETE FROM orders WHERE number IN "
    "(SELECT number FROM orders WHERE account = ? AND ended = 1 ORDER BY number DESC LIMIT -1 OFFSET ?)"
)


class JournalFile:
    """An open journal. Made by `open`; not safe for two threads at once.

    Args:
        path: for error texts.
        database: SQLite's connection.
        release: gives the lock back.
        ended_max: ended orders of one account that are kept.
    """

    def __init__(
        self,
        path: Path,
        database: sqlite3.Connection,
        release: Callable[[], None],
        ended_max: int = JOURNAL_ORDERS_MAX,
    ) -> None:
        self.path = path
        self._database = database
        self._release = release
        self._ended_max = ended_max
        self._appended = 0

    @classmethod
    def open(
        cls,
        path: Path,
        seam: Seam,
        durability: Durability = "process-crash",
        *,
        ended_max: int = JOURNAL_ORDERS_MAX,
    ) -> JournalFile:
        """Open a journal, or begin one where there is no file.

        Raises:
            JournalBusy: another client has it open.
            JournalError: it cannot be opened or written, is damaged, is no journal, or a newer version's. It is
                left as it was.
        """
        try:
            release = seam.lock_file(path)
        except FileLocked as error:
            raise JournalBusy(str(path), error.pid) from None
        except OSError as error:
            raise JournalError(str(path), f"cannot be locked: {error.strerror or error}") from error
        try:
            try:
                database = seam.open_database(path)
            except OSError as error:
                raise JournalError(str(path), f"cannot be opened: {error.strerror or error}") from error
            except sqlite3.Error as error:
                raise JournalError(str(path), f"cannot be opened: {error}") from error
            try:
                _prepare(str(path), database, DURABILITIES[durability])
            except BaseException:
                database.close()
                raise
        except BaseException:
            release()
            raise
        return cls(path, database, release, ended_max)

    def load(self, account: str) -> list[OrderRecord]:
        """Return the orders of an account, oldest first: all that have not ended, and the last of those that have.

        Raises:
            JournalError: the file cannot be read, or a row of it makes no sense.
        """
        return [self._record(row) for row in self._rows(LOAD, account)]

    def load_pending(self, account: str) -> list[PendingRecord]:
        """Return the pending orders of an account, and raise, as `load` does."""
        found = []
        for name, text in self._rows(PENDING_LOAD, account):
            try:
                found.append(pending_record(text))
            except msgspec.MsgspecError as error:
                why = f"the row of pending order {name} makes no sense: {error}"
                raise JournalError(str(self.path), why) from error
        return found

    def _rows(self, query: str, account: str) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, (account, ORDERS_KEPT_MAX)).fetchall()
        except sqlite3.Error as error:
            raise JournalError(str(self.path), f"cannot be read: {error}") from error

    def append(self, records: Iterable[OrderRecord | PendingRecord]) -> set[str]:
        """Write records in one transaction: all of them, or none. On disk when it returns.

        Returns:
            The keys of those whose id an older order keeps: these records were not written.

        Raises:
            JournalError: nothing was written (the disk is full, read-only or broken; the file is locked by a reader).
        """
        database, taken = self._database, set()
        try:
            database.execute("BEGIN IMMEDIATE")
            accounts = set()
            for record in records:
                self._appended += 1
                if isinstance(record, PendingRecord):
                    done = database.execute(PENDING_UPSERT, pending_row(record))
                else:
                    done = database.execute(UPSERT, _row(record))
                if done.rowcount == 0:
                    taken.add(record.key)
                accounts.add(record.account)
            if self._appended >= PRUNE_EVERY:
                self._appended = 0
                for account in accounts:
                    self._prune(account)
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise JournalError(str(self.path), f"cannot be written: {error}") from error
        return taken

    def prune(self, account: str) -> int:
        """Forget the oldest ended orders of an account beyond the bound, give their room back; returns how many.

        Raises:
            JournalError: the file cannot be written.
        """
        try:
            count = self._prune(account)
            self._database.executescript("PRAGMA incremental_vacuum")  # execute() would free one page only
        except sqlite3.Error as error:
            raise JournalError(str(self.path), f"cannot be written: {error}") from error
        return count

    def _prune(self, account: str) -> int:
        bounds = account, self._ended_max
        return sum(self._database.execute(query, bounds).rowcount for query in (PRUNE, PENDING_PRUNE))

    def close(self) -> None:
        """Close the file and give the lock back. What was appended is on disk already."""
        try:
            self._database.close()
        except sqlite3.Error as error:
            raise JournalError(str(self.path), f"cannot be closed: {error}") from error
        finally:
            self._release()

    def _roll_back(self) -> None:
        try:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # a transaction that cannot even be ended is not committed: the next one reports it

    def _record(self, row: tuple[Any, ...]) -> OrderRecord:
        values = dict(zip(COLUMNS.split(", "), row, strict=True))
        try:
            return OrderRecord(
                account=values["account"],
                intent=OrderIntent(
                    request_id=values["request_id"],
                    asset=values["asset"],
                    side=Side(values["side"]),
                    amount=Decimal(values["amount"]),
                    duration_s=values["duration_s"],
                    is_demo=bool(values["is_demo"]),
                    created_wall=values["created_wall"],
                    expires_at=0.0,
                ),
                sent_wall=values["sent_wall"],
                denied=values["denied"],
                refused=values["refused"],
                absences=values["absences"],
                deal=None if values["deal"] is None else msgspec.json.decode(values["deal"], type=Deal),
                settled=bool(values["settled"]),
                named=bool(values["named"]),
                anomalies=tuple(msgspec.json.decode(values["anomalies"], type=list[str])),
            )
        except (ValueError, ArithmeticError, msgspec.MsgspecError) as error:
            name = values["request_id"]
            raise JournalError(str(self.path), f"the row of order {name} makes no sense: {error}") from error


def _row(record: OrderRecord) -> tuple[Any, ...]:
    intent, deal, state = record.intent, record.deal, record.state
    return (
        record.account,
        intent.request_id,
        intent.asset,
        intent.side.value,
        str(intent.amount),
        intent.duration_s,
        int(intent.is_demo),
        intent.created_wall,
        record.sent_wall,
        storable(record.denied),
        storable(record.refused),
        record.absences,
        None if deal is None else deal.id,
        None if deal is None or not record.settled else str(deal.profit),
        None if deal is None else msgspec.json.encode(deal).decode(),
        int(record.settled),
        int(record.named),
        json.dumps(record.anomalies),
        state.value,
        int(state.ended),
    )


def _prepare(path: str, database: sqlite3.Connection, synchronous: str) -> None:
    """Look at the file before anything is written to it; begin a journal in an empty one."""

    def pragma(text: str) -> Any:
        row = database.execute(f"PRAGMA {text}").fetchone()
        return None if row is None else row[0]

    try:
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application, version = pragma("application_id"), pragma("user_version")
        is_new = (tables, application, version) == (0, 0, 0)
        if not is_new and application != APPLICATION_ID:
            raise JournalError(path, "is a database of another program")
        if not is_new and version not in (1, VERSION):
            raise JournalError(path, f"has schema {version}, and this version of potrio knows {VERSION}")
        fault = pragma("quick_check")
        if fault != "ok":
            raise JournalError(path, f"is damaged: {str(fault).splitlines()[-1]}")
        if is_new:
            pragma("auto_vacuum = INCREMENTAL")
        mode = pragma("journal_mode = WAL")
        if mode not in ("wal", "memory"):
            raise JournalError(path, f"its file system cannot do write-ahead logging, only {mode!r}")
        pragma(f"synchronous = {synchronous}")
        database.execute("BEGIN IMMEDIATE")
        if is_new:
            for statement in SCHEMA.split(";"):
                database.execute(statement)
            pragma(f"application_id = {APPLICATION_ID}")
        if version < VERSION:
            for statement in PENDING_SCHEMA.split(";"):
                database.execute(statement)
        # Also where it changes nothing: a file that cannot be written shows now, not at the first order.
        pragma(f"user_version = {VERSION}")
        database.execute("COMMIT")
    except sqlite3.Error as error:
        raise JournalError(path, f"cannot be used: {error}") from error
