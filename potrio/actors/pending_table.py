"""The journal's table of pending orders: how a record becomes a row, and a row a record again."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import structs

from potrio.actors.journal_record import storable
from potrio.actors.pending_record import PendingRecord

__all__ = [
    "PENDING_LOAD",
    "PENDING_PRUNE",
    "PENDING_SCHEMA",
    "PENDING_UPSERT",
    "pending_record",
    "pending_row",
]

PENDING_SCHEMA: Final = """
CREATE TABLE pending (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order in which they were taken on
    account TEXT NOT NULL,
    request_id TEXT NOT NULL,
    asset TEXT NOT NULL,
    side TEXT NOT NULL,
    amount TEXT NOT NULL,        -- decimal, exact
    duration_s INTEGER NOT NULL,
    open_time TEXT NOT NULL,     -- on the venue's clock (zeros: it waits for a price)
    open_price REAL NOT NULL,
    created_wall REAL NOT NULL,  -- Unix seconds
    sent_wall REAL,              -- from then on the venue may have it
    ticket TEXT,                 -- the venue's name of it
    deal_id TEXT,                -- what it has become
    record TEXT NOT NULL,        -- all that is known, JSON
    state TEXT NOT NULL,         -- for readers: it follows from the record
    ended INTEGER NOT NULL,
    UNIQUE (account, request_id)
) STRICT;
CREATE INDEX pending_ended ON pending (account, ended, number);
"""

TERMS: Final = (
    "account", "request_id", "asset", "side", "amount", "duration_s", "open_time", "open_price", "created_wall",
)  # fmt: skip
FACTS: Final = ("sent_wall", "ticket", "deal_id", "record", "state", "ended")

# A row is replaced by a later one of the same order only. An id that an older, forgotten order has is not taken over.
PENDING_UPSERT: Final = (
    f"INSERT INTO pending ({', '.join((*TERMS, *FACTS))}) VALUES ({', '.join('?' * len((*TERMS, *FACTS)))}) "
    f"ON CONFLICT (account, request_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in FACTS)} "
    f"WHERE {' AND '.join(f'pending.{name} = excluded.{name}' for name in TERMS[2:])}"
)

PENDING_LOAD: Final = (
    "SELECT request_id, record FROM (SELECT * FROM pending WHERE account = ?1 AND ended = 0 UNION ALL "
    "SELECT * FROM (SELECT * FROM pending WHERE account = ?1 AND ended = 1 ORDER BY number DESC LIMIT ?2)) "
    "ORDER BY number"
)

PENDING_PRUNE: Final = (
    "DELETE FROM pending WHERE number IN "
    "(SELECT number FROM pending WHERE account = ? AND ended = 1 ORDER BY number DESC LIMIT -1 OFFSET ?)"
)


def pending_row(record: PendingRecord) -> tuple[Any, ...]:
    """The values of `PENDING_UPSERT`."""
    intent, state = record.intent, record.state
    return (
        record.account,
        intent.request_id,
        intent.asset,
        intent.side.value,
        str(intent.amount),
        intent.duration_s,
        intent.open_time,
        intent.open_price,
        intent.created_wall,
        record.sent_wall,
        record.ticket,
        record.deal_id,
        msgspec.json.encode(structs.replace(record, denied=storable(record.denied))).decode(),
        state.value,
        int(state.ended),
    )


def pending_record(text: str) -> PendingRecord:
    """What a row says.

    Raises:
        msgspec.MsgspecError: it makes no sense.
    """
    return msgspec.json.decode(text, type=PendingRecord)
