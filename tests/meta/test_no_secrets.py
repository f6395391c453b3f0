"""The session token is nowhere but in the authentication frame: a marked one is used and looked for everywhere.

Clients, commands and venues run at the most talkative level; searched are their logs and outputs, the representations
of what a user can hold, and tracebacks with captured locals of every error a user can meet.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

import potrio

CANARY = "canary7f3a9d2e0session0x1q"
REFUSED = "canary7f3a9d2e0refused0x1q"
MARK = "canary7f3a9d2e0"
ASSET = "EURUSD_otc"
DEAD_URL = "ws://127.0.0.1:9/socket.io/?EIO=4&transport=websocket"


def ssid(session: str) -> str:
    """An SSID around a session."""
    return f'42["auth",{{"session":"{session}","isDemo":1,"uid":31337,"platform":2,"isFastHistory":true}}]'


SSID = ssid(CANARY)
"""Module globals are not captured with a frame's locals: what is found there was put there by the code under test."""

RUN_MODULE = (
    "import logging, runpy, sys; logging.basicConfig(level=logging.DEBUG); "
    "sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
TALKATIVE = [sys.executable, "-X", "dev", "-c", RUN_MODULE]
"""``python -m`` with every logger at DEBUG."""


class VenueProcess(NamedTuple):
    """A venue in its own process."""

    process: subprocess.Popen[str]
    url: str

    def stop(self) -> str:
        """Stop it; everything it printed."""
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=60)
        return output + errors


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[VenueProcess]:
    """A venue that refuses one session."""
    config = tmp_path / "venue.toml"
    config.write_text(f'[access]\nrejected_sessions = ["{REFUSED}"]\n')
    state = tmp_path / "state.json"
    arguments = ["loadsim", "venue", "--port", "0", "--config", str(config), "--state", str(state)]
    process = subprocess.Popen(
        [*TALKATIVE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("venue ready "), line + process.communicate(timeout=5)[1]
        yield VenueProcess(process, line.removeprefix("venue ready ").strip())
        state_text = state.read_text() if state.exists() else ""
        assert MARK not in state_text, "the state file"
    finally:
        process.kill()
        process.communicate()


class CrashInUserCode(Exception):
    """What the embedding program raises inside the block."""


def with_locals(error: BaseException) -> str:
    """A traceback as the most curious of reporters prints it, causes and groups included."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def test_the_search_finds_a_leak() -> None:
    def fail(token: str) -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong") as caught:
        fail(CANARY)

    assert MARK in with_locals(caught.value)


@pytest.mark.parametrize("transport", ["framed", "trio-websocket"])
async def test_a_whole_session(venue: VenueProcess, caplog: pytest.LogCaptureFixture, transport: str) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    try:
        with trio.fail_after(90):
            async with potrio.open_client(SSID, url=venue.url, transport=transport) as client:
                async with client.ticks(ASSET) as stream:
                    tick = await stream.receive()
                    shown += [repr(stream), repr(tick)]
                await client.candles(ASSET, "1m", count=5)
                order = await client.place(ASSET, potrio.Side.CALL, Decimal(1), duration=5)
                await order.opened()
                things = (
                    client,
                    order,
                    client.tree(),
                    client.statistics(),
                    client.history,
                    client.supervisor,
                )
                shown += [repr(thing) for thing in things]
                shown += [repr(vars(client)), str(client.orders), str(client.assets)[:10_000]]
                raise CrashInUserCode
    except CrashInUserCode as error:
        problem = error
    stopped = venue.stop()

    assert MARK not in with_locals(problem)
    assert MARK not in "\n".join(shown)
    assert MARK not in caplog.text
    assert all(MARK not in repr(vars(record)) for record in caplog.records)
    assert MARK not in stopped


async def test_a_rejected_session(venue: VenueProcess, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with trio.fail_after(60), pytest.raises(potrio.AuthError) as caught:
        async with potrio.open_client(ssid(REFUSED), url=venue.url):
            raise AssertionError("the client must not open")
    stopped = venue.stop()

    assert MARK not in with_locals(caught.value)
    assert MARK not in caplog.text
    assert MARK not in stopped


async def test_a_venue_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with trio.fail_after(60), pytest.raises(potrio.ConnectError) as caught:
        async with potrio.open_client(SSID, url=DEAD_URL):
            raise AssertionError("the client must not open")

    assert MARK not in with_locals(caught.value)
    assert MARK not in caplog.text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text[:-3],
        lambda text: text.replace('"uid"', '"uid'),
        lambda text: text.replace("31337", '"x"'),
        lambda text: text.replace('"isDemo":1,', ""),
        lambda text: text.replace("42[", "43["),
        lambda text: text + "x",
        lambda text: text.replace('"', "'"),
        lambda text: text.replace('"', '\\"'),
    ],
)
async def test_an_ssid_with_a_fault(spoil: object) -> None:
    """The text says what is wrong with it and does not repeat it."""
    assert callable(spoil)
    try:
        async with potrio.open_client(spoil(SSID), url=DEAD_URL):
            raise AssertionError("the client must not open")
    except (potrio.SsidError, potrio.ConnectError) as error:  # one or the other: some faults are mended
        problem = error

    assert MARK not in with_locals(problem)


def run(arguments: list[str], session: str, timeout: float = 40) -> str:
    """Run a command; everything it printed, and how it was called as other users of the machine can read it."""
    process = subprocess.Popen(
        [*TALKATIVE, "potrio", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "POCKETOPTION_SSID": ssid(session)},
    )
    called = Path(f"/proc/{process.pid}/cmdline")
    arguments_seen = called.read_text() if called.exists() else ""
    output, errors = process.communicate(timeout=timeout)
    assert output + errors, "a command that says nothing shows nothing"
    return arguments_seen + output + errors


def test_commands(venue: VenueProcess) -> None:
    said = [
        run(["ssid", "check"], CANARY),
        run(["balance", "--url", venue.url], CANARY),
        run(["balance", "--url", venue.url], REFUSED),
        run(["balance", "--url", DEAD_URL], CANARY),
        run(["balance", "--url", "ftp://x"], CANARY),
        run(["candles", ASSET, "--count", "3", "--json", "--url", venue.url], CANARY),
        run(["report", "--connect", "--url", venue.url], CANARY),
        run(["report", "--connect", "--json", "--url", venue.url], REFUSED),
    ]

    assert MARK not in "\n".join(said)
    assert "Traceback" not in "\n".join(said)
    assert MARK not in venue.stop()


def test_recordings_and_what_shows_settings_and_frames(venue: VenueProcess, tmp_path: Path) -> None:
    path, frames, log = tmp_path / "session.ndjson", tmp_path / "frames", tmp_path / "log"
    frames.write_text(f'{ssid(CANARY)}\n42["x",{{"session":"{CANARY}"}}]\n{ssid(CANARY)[:50]}\n')
    at = ["--url", venue.url]
    said = [
        run(["record", str(path), "--assets", ASSET, "--for", "2s", "--log-file", str(log), *at], CANARY),
        run(["config", "show", "--json", *at], CANARY),
        run(["decode", str(frames)], CANARY),
        run(["ssid", "import", str(frames), "--to", str(tmp_path / "ssid")], CANARY),
        run(["trade", ASSET, "call", "0", *at], CANARY),
    ]

    assert MARK not in "\n".join(said)
    assert path.stat().st_size > 1000
    assert MARK not in path.read_text()
    assert MARK not in log.read_text()
    assert MARK not in venue.stop()


async def test_a_callback_that_raises_what_it_knows(
    venue: VenueProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with potrio.open_client(SSID, url=venue.url) as client:
        done = trio.Event()

        def broken(payload: object) -> None:
            raise ValueError(f"the session is {CANARY}")

        client.on("connected", broken, on_error=lambda report: done.set())
        with trio.fail_after(60):
            await done.wait()

    assert "broken" in caplog.text
    assert MARK not in caplog.text
