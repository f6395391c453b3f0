"""The journal's table of pending orders: rows are exact, readable, and one per order."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest
from hypothesis import given

from potrio.actors.journal_file import JournalFile
from potrio.actors.pending_record import PendingRecord
from potrio.actors.pending_table import (
    PENDING_LOAD,
    PENDING_PRUNE,
    PENDING_SCHEMA,
    PENDING_UPSERT,
    pending_record,
    pending_row,
)
from potrio.errors import JournalError
from potrio.seam import REAL

from .pending_stage import intent
from .test_journal_file import OTHER, record
from .test_pending_record import ME, pending_records


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orders.db"


@pytest.fixture
def table():
    with sqlite3.connect(":memory:", isolation_level=None) as database:
        database.executescript(PENDING_SCHEMA)
        yield database
    database.close()


def put(database: sqlite3.Connection, *records: PendingRecord) -> list[int]:
    return [database.execute(PENDING_UPSERT, pending_row(record)).rowcount for record in records]


def kept(database: sqlite3.Connection, account: str = ME, bound: int = 100) -> list[PendingRecord]:
    return [pending_record(text) for _, text in database.execute(PENDING_LOAD, (account, bound))]


def of(number: int = 1, account: str = ME, **facts) -> PendingRecord:
    return PendingRecord(account=account, intent=intent(number, expires_at=0.0), **facts)


@given(pending_records)
def test_a_row_is_the_record(record: PendingRecord) -> None:
    row = pending_row(record)
    assert pending_record(row[12]) == record
    assert (row[0], row[1], row[4]) == (
        record.account,
        record.intent.request_id,
        str(record.intent.amount),
    )


def test_a_later_record_replaces_an_earlier_one_and_only_of_the_same_order(table) -> None:
    older = msgspec.structs.replace(of(), intent=intent(1, created_wall=1.0, expires_at=0.0), ticket="older")
    assert put(table, of(), of(sent_wall=2.0), of(ticket="t1"), older) == [1, 1, 1, 0]
    assert kept(table) == [of(ticket="t1")]


@pytest.mark.parametrize("terms", [{"amount": 11}, {"opens_in": 61}, {"opens_in": None}, {"duration_s": 6}])
def test_other_terms_are_another_order(table, terms) -> None:
    other = PendingRecord(account=ME, intent=intent(1, **terms, expires_at=0.0))
    assert put(table, of(), other) == [1, 0]


def test_all_that_have_not_ended_come_back_and_the_last_of_the_others(table) -> None:
    ended = [of(number, denied="x") for number in range(2, 9)]
    put(table, of(1, ticket="t1"), *ended)
    assert kept(table, bound=2) == [of(1, ticket="t1"), *ended[-2:]]
    table.execute(PENDING_PRUNE, (ME, 3))
    assert kept(table) == [of(1, ticket="t1"), *ended[-3:]]


def test_a_reason_with_a_path_that_is_no_text_spoils_nothing(table) -> None:
    put(table, of(denied="disk \udcff"))
    assert kept(table) == [of(denied="disk ?")]


def test_what_makes_no_sense_is_an_error() -> None:
    with pytest.raises(msgspec.MsgspecError):
        pending_record('{"account": 5}')


# --- in a journal --------------------------------------------------------------------------------------------------


def test_pending_orders_are_beside_the_others_under_whatever_id(path):
    file = JournalFile.open(path, REAL)
    twin = record("p1")
    assert file.append([twin, of(ticket="t1"), of(account=OTHER)]) == set()
    file.close()
    file = JournalFile.open(path, REAL)
    assert (file.load(ME), file.load_pending(ME)) == ([twin], [of(ticket="t1")])
    assert (file.load(OTHER), file.load_pending(OTHER)) == ([], [of(account=OTHER)])
    older = msgspec.structs.replace(of(), intent=intent(1, created_wall=1.0, expires_at=0.0))
    assert file.append([older]) == {older.key}, "its id is taken"
    file.close()


def test_ended_pending_orders_are_forgotten_too(path):
    file = JournalFile.open(path, REAL, ended_max=2)
    file.append([of(number, denied="x") for number in range(1, 6)])
    assert file.prune(ME) == 3
    assert [each.intent.request_id for each in file.load_pending(ME)] == ["p4", "p5"]
    file.close()


def test_a_file_of_the_version_before_gets_their_table(path):
    file = JournalFile.open(path, REAL)
    file.append([record()])
    file.close()
    database = sqlite3.connect(path, isolation_level=None)  # as version 1 left it
    database.executescript("DROP TABLE pending; PRAGMA user_version = 1")
    database.close()
    file = JournalFile.open(path, REAL)
    assert file.load(ME) == [record()]
    assert file.append([of()]) == set()
    file.close()
    file = JournalFile.open(path, REAL)
    assert (file.load(ME), file.load_pending(ME)) == ([record()], [of()])
    file.close()


def test_a_row_of_a_pending_order_that_makes_no_sense(path):
    file = JournalFile.open(path, REAL)
    file.append([of()])
    file.close()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE pending SET record = '{}'")
    database.close()
    file = JournalFile.open(path, REAL)
    with pytest.raises(JournalError, match="the row of pending order p1 makes no sense"):
        file.load_pending(ME)
    file.close()
