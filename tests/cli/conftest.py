"""Commands in this process on a venue in a process of its own; and a venue in memory that can be killed and started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

from loadsim.venue import VenueConfig, open_venue
from potrio.cli import main
from potrio.testing.network import MemoryNetwork

UID = 424242
TOKEN = "c0commands0test0session0token"
REFUSED = "c0refused0test0session0token"
SSID = f'42["auth",{{"session":"{TOKEN}","isDemo":1,"uid":{UID},"platform":2}}]'
REFUSED_SSID = SSID.replace(TOKEN, REFUSED)
LIVE_SESSION = (
    'a:4:{s:10:\\"session_id\\";s:32:\\"0123456789abcdef0123456789abcdef\\";s:10:\\"ip_address\\";s:9:\\"127.0.0.1\\";'
    's:10:\\"user_agent\\";s:4:\\"test\\";s:13:\\"last_activity\\";i:1770000000;}fedcba9876543210fedcba9876543210'
)
LIVE_SSID = SSID.replace(TOKEN, LIVE_SESSION).replace('"isDemo":1', '"isDemo":0')
ASSET = "EURUSD_otc"


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def check_one_line(self, *words: str, code: int) -> None:
        """It failed with this code and one line on standard error that has these words in it."""
        assert self.code == code, self
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("potrio: ")
        for word in words:
            assert word in self.err


Command = Callable[..., Done]


def check_silence(*texts: str) -> None:
    """No token of a session and no traceback is in what a command printed."""
    for text in texts:
        assert TOKEN not in text
        assert REFUSED not in text
        assert "Traceback" not in text


@pytest.fixture(scope="session")
def venue_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a venue that rejects one session and takes all others."""
    settings = tmp_path_factory.mktemp("venue") / "venue.toml"
    settings.write_text(f'seed = 7\n[access]\nrejected_sessions = ["{REFUSED}"]\n')
    command = [sys.executable, "-m", "loadsim", "venue", "--config", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("venue ready "), line
        yield line.removeprefix("venue ready ").strip()
        process.terminate()
        process.wait(60)


@pytest.fixture
def potrio(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run the command ``potrio`` in this process: ``potrio("balance", "--url", url, ssid=...)``."""

    def command(*arguments: str, ssid: str | None = SSID) -> Done:
        monkeypatch.delenv("POCKETOPTION_SSID", raising=False)
        if ssid is not None:
            monkeypatch.setenv("POCKETOPTION_SSID", ssid)
        code = main.run(list(arguments))
        done = Done(code, *capfd.readouterr())
        check_silence(done.out, done.err)
        return done

    return command


# --- in memory, in virtual time --------------------------------------------------------------------------------------


class Disk(MemoryNetwork):
    """A network in memory with files in memory."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.files: dict[str, bytes] = {}

    def read_file(self, path: Path) -> bytes:
        try:
            return self.files[str(path)]
        except KeyError:
            raise FileNotFoundError(str(path)) from None

    def write_file(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        self.files[str(path)] = data


class MemoryVenue:
    """A venue in memory, with the switch that the demo's venue hangs on."""

    def __init__(self, nursery: trio.Nursery, disk: Disk) -> None:
        self.nursery = nursery
        self.disk = disk
        self.config = VenueConfig(seed=7, port=8080, state_file=Path("venue.json"))
        self.url = ""
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.venue: Any = None
        self.starts = 0

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        self.scope, self.ended = trio.CancelScope(), trio.Event()
        with self.scope:
            async with open_venue(self.config, seam=self.disk) as self.venue:
                self.url = self.venue.url
                self.starts += 1
                task_status.started()
                await trio.sleep_forever()
        self.ended.set()

    async def start(self) -> None:
        await self.nursery.start(self.run)

    async def kill(self) -> None:
        self.scope.cancel()
        await self.ended.wait()

    async def stats(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return self.venue.stats()


@pytest.fixture
def disk() -> Disk:
    return Disk(seed=5)


@pytest.fixture
async def memory_venue(autojump_clock, nursery, disk):
    venue = MemoryVenue(nursery, disk)
    await venue.start()
    yield venue
    venue.scope.cancel()
