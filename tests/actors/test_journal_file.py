"""The journal on disk: exact, grouped, locked, bounded, and never overwriting what it does not understand."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.journal_file import JournalFile
from potrio.actors.journal_record import OrderRecord
from potrio.errors import JournalBusy, JournalError
from potrio.protocol.messages.trading import Deal, Side
from potrio.seam import REAL, Seam

ME, OTHER = "public/4711-demo", "public/4712-demo"

money = st.integers(1, 10**15).map(lambda cents: Decimal(cents) / 100)
stamps = st.integers(0, 4_000_000_000)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
intents = st.builds(
    OrderIntent,
    request_id=st.sampled_from([f"r{n}" for n in range(6)]),
    asset=st.just("EURUSD_otc"),
    side=st.sampled_from(Side),
    amount=st.just(Decimal("10.10")),
    duration_s=st.just(60),
    is_demo=st.just(True),
    created_wall=st.just(1.7e9),
    expires_at=st.just(0.0),
)
deals = st.builds(
    Deal,
    id=st.sampled_from(["d1", "d2"]),
    open_timestamp=stamps,
    close_timestamp=stamps,
    amount=money,
    profit=money | money.map(lambda value: -value) | st.just(Decimal(0)),
    percent_profit=st.integers(0, 1000) | st.floats(0, 100),
    open_price=st.floats(1e-6, 1e6),
    close_price=st.none() | st.floats(1e-6, 1e6),
    command=st.integers(0, 1),
    asset=st.just("EURUSD_otc"),
    open_ms=st.none() | st.integers(0, 999),
    refund_time=st.sampled_from([msgspec.UNSET, None, "x"]),
    uid=st.none() | st.integers(0, 2**62),
    is_demo=st.none() | st.integers(0, 1),
    currency=st.none() | st.just("USD"),
    amount_usd=st.none() | money,
)
records = st.builds(
    OrderRecord,
    account=st.sampled_from([ME, OTHER]),
    intent=intents,
    sent_wall=st.none() | st.floats(0, 4e9),
    denied=st.none() | texts,
    refused=st.none() | texts,
    absences=st.integers(0, 3),
    deal=st.none() | deals,
    settled=st.booleans(),
    named=st.booleans(),
    anomalies=st.lists(texts, max_size=3).map(tuple),
)


def record(request_id: str = "r1", account: str = ME, **fields) -> OrderRecord:
    intent = OrderIntent(
        request_id=request_id,
        asset="EURUSD_otc",
        side=Side.PUT,
        amount=Decimal("10.10"),
        duration_s=fields.pop("duration_s", 60),
        is_demo=True,
        created_wall=fields.pop("created_wall", 1.5),
        expires_at=0.0,
    )
    return OrderRecord(account=account, intent=intent, **fields)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "orders.db"


def ids(file: JournalFile, account: str = ME) -> list[str]:
    return [found.intent.request_id for found in file.load(account)]


# --- what is written is what is read ---------------------------------------------------------------------------------


def fold(groups) -> dict[tuple[str, str], OrderRecord]:
    """The last record of each order, in the order in which they first came; the first terms are the ones."""
    known: dict[tuple[str, str], OrderRecord] = {}
    for group in groups:
        for each in group:
            key = (each.account, each.intent.request_id)
            if key not in known or known[key].intent == each.intent:
                known[key] = each
    return known


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(records, max_size=4), max_size=5), st.sampled_from(["process-crash", "power-loss"]))
def test_every_record_comes_back_exactly_and_each_account_has_its_own(tmp_path_factory, groups, durability):
    path = tmp_path_factory.mktemp("journal") / "orders.db"
    file = JournalFile.open(path, REAL, durability)
    for group in groups:
        file.append(group)
    file.close()
    file = JournalFile.open(path, REAL, durability)
    for account in (ME, OTHER):
        want = [each for (owner, _), each in fold(groups).items() if owner == account]
        assert file.load(account) == want
        assert [each.state for each in file.load(account)] == [each.state for each in want]
    file.close()


class Crash(BaseException):
    """The process ends here."""


class DyingDatabase(sqlite3.Connection):
    """Ends the process after so many statements: nothing runs after that, not even a rollback."""

    left = -1

    def execute(self, *arguments):
        if self.left == 0:
            raise Crash
        self.left -= 1
        return super().execute(*arguments)


class DyingDisk(Seam):
    """The real one, until it dies."""

    def open_database(self, path):
        super().open_database(path).close()
        self.database = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=DyingDatabase
        )
        return self.database


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(records, min_size=1, max_size=3), min_size=1, max_size=4), st.integers(0, 25))
def test_a_crash_leaves_the_groups_before_it_whole_and_nothing_of_the_one_it_hit(
    tmp_path_factory, groups, survives
):
    path = tmp_path_factory.mktemp("journal") / "orders.db"
    seam = DyingDisk()
    file = JournalFile.open(path, seam)
    seam.database.left = survives
    done = []
    try:
        for group in groups:
            file.append(group)
            done.append(group)
    except Crash:
        pass
    seam.database.left = -1
    file.close()  # what the system does for a process that has ended
    file = JournalFile.open(path, REAL)
    found = {(a, r.intent.request_id): r for a in (ME, OTHER) for r in file.load(a)}
    assert found == fold(done)
    file.close()


def test_the_file_is_for_its_owner_only_and_wal_is_on(path):
    file = JournalFile.open(path, REAL)
    file.append([record()])
    for each in path.parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
    assert {each.name for each in path.parent.iterdir()} >= {"orders.db", "orders.db-wal"}
    reader = sqlite3.connect(path)  # anyone may look while it is open
    assert reader.execute("SELECT request_id, amount, state FROM orders").fetchall() == [
        ("r1", "10.10", "new")
    ]
    reader.close()
    file.close()


@pytest.mark.parametrize(("durability", "level"), [("process-crash", 1), ("power-loss", 2)])
def test_durability_is_what_sqlite_is_told(path, durability, level):
    seam = DyingDisk()
    file = JournalFile.open(path, seam, durability)
    assert seam.database.execute("PRAGMA synchronous").fetchone() == (level,)
    file.close()


def test_an_id_that_an_older_order_has_is_not_taken_over(path):
    file = JournalFile.open(path, REAL)
    assert file.append([record("a", denied="no"), record("b")]) == set()
    assert file.append([record("a", created_wall=2.5), record("c")]) == {"a"}
    assert file.append([record("a", duration_s=5)]) == {"a"}
    assert [(r.intent.request_id, r.denied) for r in file.load(ME)] == [("a", "no"), ("b", None), ("c", None)]
    assert file.append([record("a", account=OTHER, created_wall=2.5)]) == set()
    file.close()


def test_ended_orders_are_pruned_beyond_the_bound_and_unfinished_ones_never(path):
    file = JournalFile.open(path, REAL, ended_max=10)
    file.append([record("live", sent_wall=1.0)])
    file.append([record(f"o{n}", OTHER, denied="x") for n in range(20)])
    for n in range(0, 3050, 50):
        file.append([record(f"e{n + k}", denied="x") for k in range(50)])
    assert len(ids(file)) <= 1 + 10 + 1000
    assert file.prune(ME) > 0
    assert ids(file) == ["live", *(f"e{n}" for n in range(3040, 3050))]
    assert len(ids(file, OTHER)) == 20
    file.close()
    assert path.stat().st_size < 60_000  # its room was given back


# --- one client at a time --------------------------------------------------------------------------------------------


def test_a_second_client_is_told_who_has_it(path):
    file = JournalFile.open(path, REAL)
    for _ in range(2):  # the refusal itself must not break the lock
        with pytest.raises(JournalBusy, match=f"process {os.getpid()}") as caught:
            JournalFile.open(path, REAL)
        assert caught.value.pid == os.getpid()
    alias = path.with_name("alias.db")
    alias.symlink_to(path)
    with pytest.raises(JournalBusy):
        JournalFile.open(alias, REAL)
    file.append([record()])
    file.close()
    JournalFile.open(path, REAL).close()


HOLD = """
import sys
from pathlib import Path
from potrio.actors.journal_file import JournalFile
from potrio.seam import REAL
file = JournalFile.open(Path(sys.argv[1]), REAL)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_kill_gives_the_lock_back(path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(JournalBusy) as caught:
            JournalFile.open(path, REAL)
        assert caught.value.pid == holder.pid
        holder.send_signal(signal.SIGKILL)
    JournalFile.open(path, REAL).close()


# --- what cannot be used is left as it is ----------------------------------------------------------------------------


def refused(path: Path, words: str, seam: Seam = REAL) -> None:
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(JournalError, match=words) as caught:
        JournalFile.open(path, seam)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"journal {path}: ")
    assert (path.read_bytes() if path.is_file() else None) == before
    REAL.lock_file(path)() if path.parent.is_dir() else None  # the lock was given back


def test_no_database(path):
    path.write_bytes(b"the notes of a bot author, worth more than its journal\n" * 100)
    refused(path, "not a database")


def test_a_database_of_another_program(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE orders (mine)")
    database.commit()
    database.close()
    refused(path, "another program")


def test_a_newer_schema(path):
    JournalFile.open(path, REAL).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 3")
    database.close()
    refused(path, "has schema 3")


def test_a_damaged_file(path):
    file = JournalFile.open(path, REAL)
    file.append([record(f"r{n}", denied="x" * 200) for n in range(500)])
    file.close()
    data = bytearray(path.read_bytes())
    for at in range(4096 * 3, len(data), 4096):
        data[at : at + 300] = bytes(300)
    path.write_bytes(data)
    refused(path, "is damaged|malformed")


def test_a_row_that_makes_no_sense_is_named(path):
    file = JournalFile.open(path, REAL)
    file.append([record("r7")])
    file.close()
    database = sqlite3.connect(path)
    database.execute("UPDATE orders SET amount = 'ten'")
    database.commit()
    database.close()
    file = JournalFile.open(path, REAL)
    with pytest.raises(JournalError, match="order r7 makes no sense"):
        file.load(ME)
    file.close()


def test_no_folder_and_a_folder(tmp_path):
    refused(tmp_path / "none" / "orders.db", "No such file")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "is a folder")


class ReadOnly(Seam):
    """A file that may be read only, as SQLite opens it (root may write to any)."""

    def open_database(self, path):
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)


def test_a_read_only_file(path):
    file = JournalFile.open(path, REAL)
    file.append([record()])
    file.close()
    refused(path, "readonly", ReadOnly())


def test_an_empty_file_is_a_journal_that_was_not_begun(path):
    path.write_bytes(b"")
    file = JournalFile.open(path, REAL)
    file.append([record()])
    file.close()


# --- a disk that fails later -----------------------------------------------------------------------------------------


def test_a_full_disk_writes_nothing_of_the_group_and_a_freed_one_goes_on(path):
    seam = DyingDisk()
    file = JournalFile.open(path, seam)
    file.append([record("kept")])
    pages = seam.database.execute("PRAGMA page_count").fetchone()[0]
    seam.database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="disk is full"):
        file.append([record(f"r{n}", denied="x" * 500) for n in range(50)])
    assert ids(file) == ["kept"]
    seam.database.execute("PRAGMA max_page_count = 1000000")
    file.append([record("later")])
    assert ids(file) == ["kept", "later"]
    file.close()


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_journal_file import JournalError, JournalFile, REAL, ids, record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = JournalFile.open(Path(sys.argv[1]), REAL)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
written = 0
try:
    for written in range(1000):
        file.append([record(f"r{written}", denied="x" * 500)])
except JournalError as error:
    print("failed", str(error).count("\\n"))
assert ids(file) == [f"r{n}" for n in range(written)], (written, ids(file)[-3:])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.append([record("after")])
file.close()
print(written)
"""


def test_what_the_system_refuses_to_write_is_an_error_and_what_was_written_stays(path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failed, written = done.stdout.splitlines()
    assert failed == "failed 0"
    file = JournalFile.open(path, REAL)
    assert ids(file) == [*(f"r{n}" for n in range(int(written))), "after"]
    file.close()


def test_a_reader_does_not_hold_up_the_writer_and_a_writer_from_outside_is_an_error(path):
    seam = DyingDisk()
    file = JournalFile.open(path, seam)
    seam.database.execute("PRAGMA busy_timeout = 1")
    outside = sqlite3.connect(path, isolation_level=None)
    outside.execute("BEGIN")
    outside.execute("SELECT * FROM orders").fetchall()
    file.append([record("a")])
    outside.execute("ROLLBACK")
    outside.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="locked"):
        file.append([record("b")])
    outside.execute("ROLLBACK")
    file.append([record("b")])
    assert ids(file) == ["a", "b"]
    assert [each.state for each in file.load(ME)] == [OrderState.NEW] * 2
    outside.close()
    file.close()


def test_text_that_is_no_utf8_spoils_no_group(path):
    file = JournalFile.open(path, REAL)
    file.append([record("a", denied="no space at \udcff"), record("b")])
    assert [each.denied for each in file.load(ME)] == ["no space at ?", None]
    file.close()
