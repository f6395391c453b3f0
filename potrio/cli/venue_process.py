"""The simulated venue as a process of its own, for the demo: started, asked for its counters, killed, started again."""

from __future__ import annotations

import http.client
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import trio

from potrio.errors import PotrioError

__all__ = ["PING_INTERVAL_MS", "ReplayProcess", "VenueProcess", "open_venue_process"]

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0
READY = "venue ready "
PING_INTERVAL_MS = 2_000
"""Short, so that a demo of seconds has heartbeats to compare; the public venue pings every 25 s."""


class VenueProcess:
    """One running venue. Its address stays the same over `restart`."""

    def __init__(self, state: Path, seed: int) -> None:
        self._state = state
        self._seed = seed
        self._process: trio.Process | None = None
        self.url = ""
        self.starts = 0

    @property
    def port(self) -> int:
        """The port it listens on."""
        port = urlsplit(self.url).port
        assert port is not None, "the venue announces a port"
        return port

    @property
    def returncode(self) -> int | None:
        """How the process ended; None while it runs, and before the first start."""
        return None if self._process is None else self._process.returncode

    def command(self, port: int) -> list[str]:
        """What is run."""
        command = [sys.executable, "-m", "loadsim", "venue", "--port", str(port)]
        command += ["--seed", str(self._seed), "--state", str(self._state)]
        return [*command, "--ping-interval-ms", str(PING_INTERVAL_MS), "--until-eof"]

    async def start(self) -> None:
        """Start it and wait until it serves; cancelling leaves a process for `stop`.

        Raises:
            PotrioError: it did not come up.
        """
        # The pipe to its standard input closes with us, however we end: then the venue ends too.
        self._process = await trio.lowlevel.open_process(
            self.command(self.port if self.url else 0), stdout=subprocess.PIPE, stdin=subprocess.PIPE
        )
        self.starts += 1
        with trio.move_on_after(START_TIMEOUT_S):
            self.url = await self._announced_url()
            return
        raise PotrioError(f"the venue did not start within {START_TIMEOUT_S:g} s")

    async def _announced_url(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        said = b""
        async for chunk in self._process.stdout:
            said += chunk
            line, newline, _ = said.partition(b"\n")
            if newline and line.startswith(READY.encode()):
                return line.decode().removeprefix(READY).strip()
        code = await self._process.wait()
        raise PotrioError(f"the venue ended with exit code {code} before it was ready")

    async def kill(self) -> None:
        """End it at once, as a power cut would; cancelling only stops the waiting for its end."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        await self._close_pipes()

    async def stop(self) -> None:
        """End it in good order, or by force after a few seconds; cancelling kills it."""
        if self._process is None or self._process.returncode is not None:
            return
        with trio.CancelScope(shield=True):
            self._process.terminate()
            with trio.move_on_after(STOP_TIMEOUT_S):
                await self._process.wait()
            if self._process.returncode is None:
                await self.kill()
            await self._close_pipes()

    async def _close_pipes(self) -> None:
        """Both ends of a dead process's pipes were ours to hold."""
        assert self._process is not None
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                await pipe.aclose()

    async def stats(self) -> dict[str, Any]:
        """Its own counters (``GET /stats``); cancelling abandons the request.

        Raises:
            PotrioError: it does not answer, or not with counters.
        """
        address = f"http://127.0.0.1:{self.port}/stats"
        try:
            body = await trio.to_thread.run_sync(fetch, address, abandon_on_cancel=True)
            counters: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            raise PotrioError(f"the venue does not tell its counters: {error}") from error
        return counters


class ReplayProcess(VenueProcess):
    """A process that plays a recording (``python -m loadsim replay``)."""

    def __init__(self, recording: Path, speed: float) -> None:
        super().__init__(recording, 0)
        self._speed = speed

    def command(self, port: int) -> list[str]:
        """What is run."""
        command = [sys.executable, "-m", "loadsim", "replay", str(self._state), "--speed", str(self._speed)]
        return [*command, "--port", str(port), "--until-eof"]


def fetch(address: str) -> bytes:
    """GET one page of this machine, past any proxy of the environment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=STOP_TIMEOUT_S) as response:
            body: bytes = response.read()
            return body
    except urllib.error.HTTPError as error:
        error.close()  # it is the answer, too, with the socket in it
        raise


@asynccontextmanager
async def open_venue_process(state: Path, seed: int) -> AsyncGenerator[VenueProcess, None]:
    """Start a venue and stop it on the way out, also when cancelled.

    Raises:
        PotrioError: it did not come up.
    """
    venue = VenueProcess(state, seed)
    try:
        await venue.start()
        yield venue
    finally:
        await venue.stop()
