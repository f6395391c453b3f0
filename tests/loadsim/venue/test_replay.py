"""What was recorded replays identically: a second client receives, frame by frame, what the first did."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from loadsim.venue import VenueConfig, open_venue
from loadsim.venue.replay import serve_replay
from potrio import Config, open_client
from potrio.errors import ConfigError, PotrioError
from potrio.secrets import Secret
from potrio.testing.network import MemoryNetwork
from potrio.transport.at_speed import AtSpeed
from potrio.transport.recorder import Recorder
from potrio.transport.recording import Header, Recording, read_recording

TOKEN = "a0test0session0of0potrio0x"
SSID = '42["auth",{"session":"a0test0session0of0potrio0x","isDemo":1,"uid":4711,"platform":2}]'
ASSET = "EURUSD_otc"
PATH = Path("x")


class Disk(MemoryNetwork):
    """Files in memory."""

    def __init__(self):
        super().__init__(seed=5)
        self.files = {}

    def create_file(self, path):
        disk = self

        class File:
            def write(self, data):
                disk.files[str(path)] = disk.files.get(str(path), b"") + data

            def flush(self):
                pass

            close = flush

        return File()

    def read_file(self, path):
        return self.files[str(path)]

    async def in_thread(self, function):
        await trio.lowlevel.checkpoint()
        return function()


async def record_session(disk, url, path, *, seconds, max_retries=None, speed=1.0):
    """Read ticks for a while under a recorder; the ticks."""
    recorder = Recorder(path, Secret(TOKEN), seam=disk)
    ticks = []
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        seam = disk if speed == 1.0 else AtSpeed(disk, speed)
        config = Config(ssid=SSID, url=url, seam=seam, recorder=recorder, max_retries=max_retries)
        try:
            async with open_client(config) as client, client.ticks(ASSET) as stream:
                with trio.move_on_after(seconds):
                    async for tick in stream:
                        ticks.append(tick)
        except PotrioError:
            assert max_retries is not None, "only a recording ends by itself"
        nursery.cancel_scope.cancel()
    return ticks


@pytest.mark.parametrize("speed", [1.0, 20.0])
async def test_what_was_recorded_replays_identically(autojump_clock, speed):
    disk = Disk()
    async with open_venue(VenueConfig(seed=3, port=8080), seam=disk) as venue:
        first = await record_session(disk, venue.url, Path("first"), seconds=30)
    recording = read_recording(Path("first"), seam=disk)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_replay, recording, port=9090, speed=speed, seam=disk))
        began = trio.current_time()
        url = venue.url.replace("8080", "9090")
        second = await record_session(disk, url, Path("second"), seconds=60, max_retries=0, speed=speed)
        took = trio.current_time() - began
        nursery.cancel_scope.cancel()
    again = read_recording(Path("second"), seam=disk)
    before = [frame.message for frame in recording.of(1)]
    after = [frame.message for frame in again.of(1)]
    assert len(before) > 100
    assert len(after) == len(before)
    assert after == before
    assert len(first) > 40
    assert second == first
    if speed > 1:
        assert took < 30


async def test_what_cannot_be_played_is_refused(autojump_clock):
    disk = Disk()
    empty = Recording(Header(1, 0.0), ())
    with pytest.raises(ConfigError, match="nothing was received"):
        await serve_replay(empty, seam=disk)
    with pytest.raises(ConfigError, match="speed"):
        await serve_replay(empty, speed=0, seam=disk)
