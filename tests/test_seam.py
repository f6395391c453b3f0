"""The real seam: clocks go forward, chance is fresh, sockets connect and leak nothing, files are replaced whole."""

from __future__ import annotations

import errno
import math
import os
import socket
import ssl
import stat
import threading
import time
import uuid
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from potrio.limits import TCP_USER_TIMEOUT_MS
from potrio.seam import REAL, FileLocked, Seam, tune


async def test_now_is_trios_clock() -> None:
    before = trio.current_time()
    assert before <= REAL.now() <= trio.current_time()


async def test_a_wait_ends_with_its_event_or_at_its_deadline(autojump_clock: MockClock) -> None:
    event = trio.Event()
    await REAL.wait_until(event, 3.0)
    assert (REAL.now(), event.is_set()) == (3.0, False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(REAL.wait_until, event, math.inf)
        await trio.sleep(4)
        event.set()
    assert REAL.now() == 7.0


def test_wall_is_unix_time() -> None:
    before = time.time()
    assert before - 1 <= REAL.wall() <= time.time() + 1


def test_generators_differ() -> None:
    assert REAL.generator().random() != REAL.generator().random()


def test_ids_are_uuids_and_differ() -> None:
    first, second = REAL.new_id(), REAL.new_id()

    assert first != second
    assert str(uuid.UUID(first)) == first
    assert uuid.UUID(first).version == 4


@pytest.mark.parametrize("count", [0, 4, 16])
def test_mask_bytes_has_the_length(count: int) -> None:
    assert len(REAL.mask_bytes(count)) == count


def test_mask_bytes_differ() -> None:
    assert REAL.mask_bytes(16) != REAL.mask_bytes(16)


async def test_resolve_loopback() -> None:
    found = await REAL.resolve("127.0.0.1", 80)

    assert (socket.AF_INET, ("127.0.0.1", 80)) in found


async def test_resolve_a_name_that_is_not_one() -> None:
    with pytest.raises(OSError):
        await REAL.resolve("no-such-host.invalid", 80)


async def test_listen_connect_and_talk() -> None:
    (listener,) = await REAL.listen_tcp("127.0.0.1", 0)
    async with listener:
        port = listener.socket.getsockname()[1]
        client = await REAL.connect_tcp(socket.AF_INET, ("127.0.0.1", port))
        server = await listener.accept()
        async with client, server:
            await client.send_all(b"hello")
            assert await server.receive_some(100) == b"hello"


async def test_connections_are_tuned() -> None:
    (listener,) = await REAL.listen_tcp("127.0.0.1", 0)
    async with listener:
        port = listener.socket.getsockname()[1]
        client = await REAL.connect_tcp(socket.AF_INET, ("127.0.0.1", port))
        async with client:
            assert isinstance(client, trio.SocketStream)
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert tune(client) is client


async def test_accepted_connections_are_tuned_too() -> None:
    (listener,) = await REAL.listen_tcp("127.0.0.1", 0)
    async with listener:
        address = ("127.0.0.1", listener.socket.getsockname()[1])
        client = await REAL.connect_tcp(socket.AF_INET, address)
        async with client, await listener.accept() as server:
            assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert server.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                timeout_ms = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert timeout_ms == TCP_USER_TIMEOUT_MS


def descriptors() -> int:
    """How many files this process has open; 0 where the system does not say."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def test_connect_to_a_closed_port_is_refused_and_leaves_no_socket_open() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    before = descriptors()

    with pytest.raises(OSError) as caught:
        await REAL.connect_tcp(socket.AF_INET, ("127.0.0.1", port))

    assert caught.value.errno == errno.ECONNREFUSED
    assert descriptors() == before


async def test_listen_on_a_taken_port() -> None:
    (listener,) = await REAL.listen_tcp("127.0.0.1", 0)
    async with listener:
        with pytest.raises(OSError):
            await REAL.listen_tcp("127.0.0.1", listener.socket.getsockname()[1])


async def test_wrap_tls_checks_the_host_name() -> None:
    ours, _ = trio.testing.memory_stream_pair()

    stream = REAL.wrap_tls(ours, ssl.create_default_context(), "venue.example")

    assert isinstance(stream, trio.SSLStream)
    assert stream.server_hostname == "venue.example"


def test_write_file_replaces_it_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    REAL.write_file(path, b"one")
    REAL.write_file(path, b"two")

    assert REAL.read_file(path) == b"two"
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_write_file_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    REAL.write_file(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        REAL.write_file(path, b"new")

    assert REAL.read_file(path) == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_write_file_is_durable_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on disk before it gets its name, and the name before `write_file` returns."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_replace(source: Path, target: Path) -> None:
        done.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    before = descriptors()

    REAL.write_file(tmp_path / "state.json", b"new")

    assert done == ["file", "name", "folder"]
    assert descriptors() == before


def test_write_file_clears_up_after_a_kill_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"

    def killed(source: Path, target: Path) -> None:
        raise SystemExit  # and nobody there to unlink what was written

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        patch.setattr(os, "getpid", lambda: 1)  # the next writer is another process
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            REAL.write_file(path, b"one" * 1000)
    assert len(list(tmp_path.iterdir())) == 1, "a leftover"

    for data in (b"two", b"three"):
        REAL.write_file(path, data)

    assert REAL.read_file(path) == b"three"
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_read_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        REAL.read_file(tmp_path / "nothing")


def test_a_new_database_is_for_its_owner_only_and_an_old_one_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    database = REAL.open_database(path)
    database.execute("CREATE TABLE things (name)")
    database.execute("INSERT INTO things VALUES ('one')")  # autocommit: nothing is left to be committed
    database.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    database = REAL.open_database(path)
    assert database.execute("SELECT name FROM things").fetchall() == [("one",)]
    database.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_database_needs_a_folder_and_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        REAL.open_database(tmp_path / "none" / "orders.db")
    with pytest.raises(IsADirectoryError):
        REAL.open_database(tmp_path)


def test_a_lock_has_one_holder_and_says_who(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    release = REAL.lock_file(path)
    with pytest.raises(FileLocked) as caught:
        REAL.lock_file(path)
    assert caught.value.pid == os.getpid()
    release()
    REAL.lock_file(path)()
    assert [each.name for each in tmp_path.iterdir()] == ["orders.db.lock"]
    (tmp_path / "orders.db.lock").write_text("nonsense")
    release = REAL.lock_file(path)
    (tmp_path / "orders.db.lock").write_text("nonsense")
    with pytest.raises(FileLocked) as caught:
        REAL.lock_file(path)
    assert caught.value.pid is None
    release()


async def test_in_thread_runs_elsewhere_and_hands_back_what_comes_of_it() -> None:
    assert await REAL.in_thread(threading.get_ident) != threading.get_ident()

    def fail() -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        await REAL.in_thread(fail)


async def test_in_thread_is_waited_for_also_when_it_is_cancelled() -> None:
    done = []
    with trio.move_on_after(0.01) as scope:
        await REAL.in_thread(lambda: (time.sleep(0.05), done.append(1)))
    assert done == [1]
    assert scope.cancel_called


def test_environment_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POTRIO_SEAM_TEST", "1")

    environment = REAL.environment()
    environment["POTRIO_SEAM_TEST"] = "2"

    assert os.environ["POTRIO_SEAM_TEST"] == "1"
    assert REAL.environment()["POTRIO_SEAM_TEST"] == "1"


def test_a_simulation_may_replace_every_method() -> None:
    """Nothing is called behind a subclass's back: the class has no hidden state."""

    class Fake(Seam):
        def wall(self) -> float:
            return 7.0

    assert Fake().wall() == 7.0
    assert vars(REAL) == {}
