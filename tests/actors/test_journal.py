"""The journal actor: groups, answers, and a disk that is slow, full, or back again."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import trio

from potrio.actors import journal as journal_module
from potrio.actors.evidence import OrderIntent
from potrio.actors.journal import Append, Journaled, JournalFailed, JournalState, journal
from potrio.actors.journal_file import JournalFile
from potrio.actors.journal_record import OrderRecord
from potrio.actors.keys import JOURNAL, ORDER_BOOK
from potrio.limits import JOURNAL_RETRY_BASE, JOURNAL_RETRY_CAP
from potrio.protocol.messages.trading import Side
from potrio.supervision.mailbox_spec import unbounded
from potrio.supervision.spec import child
from potrio.testing.network import MemoryNetwork

from .conftest import EPOCH, crash, recording, running, settle

ME = "public/4711-demo"


class Disk(MemoryNetwork):
    """A disk in memory that can be slow, and full."""

    def __init__(self) -> None:
        super().__init__(epoch=EPOCH)
        self.takes_s = 0.0
        self.commits = 0

    async def in_thread(self, function):
        self.commits += 1
        await trio.sleep(self.takes_s)
        return function()

    def fill(self, is_full: bool = True) -> None:
        """Let no row be written, or any again."""
        outside = self.open_database(Path("orders.db"))
        if is_full:
            outside.execute(
                "CREATE TRIGGER full BEFORE INSERT ON orders BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
            )
        else:
            outside.execute("DROP TRIGGER full")
        outside.close()


def record(request_id: str, sent_wall: float | None = EPOCH, **facts) -> OrderRecord:
    intent = OrderIntent(
        request_id=request_id,
        asset="EURUSD_otc",
        side=Side.CALL,
        amount=Decimal(10),
        duration_s=60,
        is_demo=True,
        created_wall=EPOCH,
        expires_at=0.0,
    )
    return OrderRecord(account=ME, intent=intent, sent_wall=sent_wall, **facts)


class Stage:
    """A journal, and an order book that only listens."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.state = JournalState(JournalFile.open(Path("orders.db"), self.disk), ME)
        self.answers: list = []

    def children(self):
        return (
            child(journal, self.state, self.disk, id=JOURNAL, mailbox=unbounded()),
            recording(ORDER_BOOK, self.answers),
        )

    async def tell(self, *messages) -> None:
        for message in messages:
            self.sup.ref(JOURNAL).tell(message)
        await settle()

    def on_disk(self) -> dict[str, OrderRecord]:
        return {each.intent.request_id: each for each in self.state.file.load(ME)}


@pytest.fixture
async def stage(autojump_clock):
    stage = Stage()
    async with running(*stage.children()) as sup:
        stage.sup = sup
        yield stage
    stage.state.file.close()


async def test_only_what_is_waited_for_is_answered_once_it_is_on_disk(autojump_clock, stage):
    stage.disk.takes_s = 0.5
    await stage.tell(Append(record("a"), 1), Append(record("b")))
    assert (stage.answers, stage.on_disk()) == ([], {})
    await trio.sleep(0.6)
    await settle()
    assert stage.answers == [Journaled("a", 1)]
    assert stage.on_disk() == {"a": record("a"), "b": record("b")}
    assert (stage.state.appended, stage.state.commits, stage.state.unsaved) == (2, 1, {})


async def test_all_that_comes_during_a_commit_goes_into_the_next_one(autojump_clock, stage):
    stage.disk.takes_s = 0.5
    await stage.tell(Append(record("a"), 1))
    for n in range(50):
        await stage.tell(Append(record(f"b{n}"), n + 2))
    await trio.sleep(1.1)
    await settle()
    assert len(stage.answers) == 51
    assert stage.disk.commits == stage.state.commits == 2


async def test_the_last_record_of_an_order_is_the_one_that_is_kept(autojump_clock, stage):
    await stage.tell(Append(record("a"), 1), Append(record("a", refused="no")), Append(record("b")))
    assert stage.on_disk() == {"a": record("a", refused="no"), "b": record("b")}
    assert stage.answers == [Journaled("a", 1)]


async def test_a_full_disk_fails_those_who_wait_and_tries_again_what_was_sent(autojump_clock, stage):
    await stage.tell(Append(record("sent"), 1))
    stage.disk.fill()
    await stage.tell(Append(record("sent", refused="no")), Append(record("new"), 2))
    failed = stage.answers[-1]
    assert isinstance(failed, JournalFailed)
    assert failed.reason == "JournalError: journal orders.db: cannot be written: disk is full"
    assert (failed.request_id, failed.number) == ("new", 2)
    assert list(stage.state.unsaved) == ["sent"]
    await trio.sleep(10 * JOURNAL_RETRY_CAP)
    assert 5 < stage.state.failures < 20  # it is tried again, and less and less often
    stage.disk.fill(False)
    await trio.sleep(JOURNAL_RETRY_CAP + 1)
    assert stage.on_disk() == {"sent": record("sent", refused="no")}
    assert (stage.state.unsaved, stage.state.last_error) == ({}, None)
    await stage.tell(Append(record("later"), 3))
    assert stage.answers[-1] == Journaled("later", 3)


async def test_a_later_order_brings_the_facts_of_before_with_it(autojump_clock, stage):
    stage.disk.fill()
    await stage.tell(Append(record("sent", refused="no")))
    stage.disk.fill(False)
    await stage.tell(Append(record("new"), 1))
    assert set(stage.on_disk()) == {"sent", "new"}
    assert trio.current_time() < JOURNAL_RETRY_BASE


async def test_an_id_of_an_older_order_is_refused_by_name(autojump_clock, stage):
    old = record("a")
    await stage.tell(Append(old, 1))
    other = msgspec.structs.replace(old, intent=msgspec.structs.replace(old.intent, created_wall=EPOCH + 9))
    await stage.tell(Append(other, 2), Append(record("b"), 3))
    assert stage.answers[1:] == [
        JournalFailed("a", 2, "request id a is taken by an older order in the journal"),
        Journaled("b", 3),
    ]


async def test_what_is_left_is_written_when_it_is_stopped(autojump_clock):
    stage = Stage()
    stage.disk.takes_s = 0.5
    async with running(*stage.children()) as sup:
        stage.sup = sup
        await stage.tell(Append(record("a")))
        await stage.tell(Append(record("b")), Append(record("c")))
    assert set(stage.on_disk()) == {"a", "b", "c"}
    stage.state.file.close()


async def test_a_crash_loses_nothing(autojump_clock, stage):
    stage.disk.fill()
    await stage.tell(Append(record("a")))
    stage.disk.fill(False)
    await crash(stage.sup, JOURNAL)
    assert set(stage.on_disk()) == {"a"}


async def test_facts_are_bounded_and_what_was_sent_is_never_given_up(autojump_clock, stage, monkeypatch):
    monkeypatch.setattr(journal_module, "ORDERS_KEPT_MAX", 5)
    stage.disk.fill()
    await stage.tell(*(Append(record(f"s{n}")) for n in range(3)))
    await stage.tell(*(Append(record(f"d{n}", None, denied="full")) for n in range(20)))
    assert list(stage.state.unsaved) == ["s0", "s1", "s2", "d18", "d19"]
    assert stage.state.forgotten == 18
