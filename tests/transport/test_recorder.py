"""A recorder changes nothing, never waits for the disk, loses nothing silently, and keeps no token."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest
import trio

from potrio.errors import ConfigError, ConnectionClosed
from potrio.secrets import Secret
from potrio.testing.network import MemoryNetwork
from potrio.transport.memory import memory_transport_pair
from potrio.transport.recorder import Recorder
from potrio.transport.recording import MASKED_AUTH, read_recording

TOKEN = "a0test0session0of0potrio0x"
PATH = Path("session.ndjson")


class File(io.BytesIO):
    """A file that can be read after it is closed, and can fail."""

    def __init__(self, disk):
        super().__init__()
        self.disk = disk

    def write(self, data):
        if self.disk.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.disk.data += data
        return len(data)


class Disk(MemoryNetwork):
    """One file in memory."""

    data = b""
    full = False

    def create_file(self, path):
        if self.data:
            raise FileExistsError(errno.EEXIST, "File exists")
        return File(self)

    def read_file(self, path):
        return self.data

    async def in_thread(self, function):
        await trio.lowlevel.checkpoint()
        return function()


async def test_a_question_comes_before_its_answer_also_where_that_is_read_first(autojump_clock):
    disk = Disk()
    recorder = Recorder(PATH, Secret(TOKEN), seam=disk)
    ours, theirs = memory_transport_pair()

    async def send_and_be_held_up(messages, send=ours.send):
        await send(messages)
        await trio.sleep(1)  # the processor is somebody else's

    ours.send = send_and_be_held_up
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        recorded = recorder.wrap(ours)
        nursery.start_soon(recorded.send, ["question"])
        assert await theirs.receive() == ["question"]
        await theirs.send(["answer"])
        assert await recorded.receive() == ["answer"]
        await trio.sleep(2)
        await recorded.aclose()
        nursery.cancel_scope.cancel()
    frames = read_recording(PATH, seam=disk).frames
    assert [frame.text for frame in frames if frame.text] == ["question", "answer"]


async def test_frames_pass_unchanged_and_are_written_in_order(autojump_clock):
    disk = Disk()
    recorder = Recorder(PATH, Secret(TOKEN), seam=disk)
    ours, theirs = memory_transport_pair()
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        recorded = recorder.wrap(ours)
        await recorded.send([f'42["auth",{{"session":"{TOKEN}"}}]', "3"])
        assert (await theirs.receive())[0] == f'42["auth",{{"session":"{TOKEN}"}}]'
        await trio.sleep(2)
        await theirs.send(["2", b"\x01\x02"])
        assert await recorded.receive() == ["2", b"\x01\x02"]
        assert recorded.statistics() == ours.statistics()
        await recorded.aclose()
        recorded.closed()
        with pytest.raises(ConnectionClosed):
            await recorded.receive()
        nursery.cancel_scope.cancel()
    frames = read_recording(PATH, seam=disk).frames
    assert [(frame.d, frame.text or frame.data) for frame in frames] == [
        ("open", None),
        ("out", MASKED_AUTH),
        ("out", "3"),
        ("in", "2"),
        ("in", "AQI="),
        ("end", None),
    ]
    assert frames[3].t == pytest.approx(2.0)
    assert TOKEN.encode() not in disk.data
    assert recorder.statistics().written == 6


async def test_a_slow_disk_costs_frames_that_are_counted_and_no_time(autojump_clock):
    disk = Disk()
    recorder = Recorder(PATH, Secret(TOKEN), seam=disk, capacity=10)
    recorder.add(1, "in", [str(number) for number in range(25)])
    assert (recorder.statistics().waiting, recorder.statistics().lost) == (10, 15)
    with trio.move_on_after(1):
        await recorder.run()
    frames = read_recording(PATH, seam=disk).frames
    assert len(frames) == 11
    assert (frames[-1].d, frames[-1].n) == ("lost", 15)


async def test_a_full_disk_is_a_typed_end(autojump_clock):
    disk = Disk()
    disk.full = True
    with pytest.raises(ConfigError, match=r"session\.ndjson: No space left"):
        await Recorder(PATH, Secret(TOKEN), seam=disk).run()


async def test_no_file_is_overwritten(autojump_clock):
    disk = Disk()
    disk.data = b"precious"
    with pytest.raises(ConfigError, match="File exists"):
        await Recorder(PATH, Secret(TOKEN), seam=disk).run()
    assert disk.data == b"precious"


def test_on_a_real_disk_only_its_owner_can_read_it(tmp_path):
    recorder = Recorder(tmp_path / "x", Secret(TOKEN))
    recorder.create().close()
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
