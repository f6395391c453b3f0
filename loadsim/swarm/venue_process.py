"""The embedded venue: a process of its own, told by a plan what it is to be like, which can be frozen."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from loadsim.venue.config import VenueConfig, convert
from potrio.cli.venue_process import VenueProcess
from potrio.seam import REAL, Seam

__all__ = ["DEFAULTS", "EmbeddedVenue", "open_embedded_venue", "settings_of", "toml_of"]

DEFAULTS: Final[dict[str, Any]] = {
    "connections_max": 100_000,
    "connections_per_host_max": 100_000,
    "unauthenticated_max": 100_000,
    "events_per_second_max": 1000.0,
    "market": {"history_ticks_s": 30, "candles_count": 20},
    "trading": {"concurrent_demo_max": 1000, "closed_kept": 20},
}
"""What a plan need not say: room for a swarm, and short answers, since each subscription is answered by history."""


def settings_of(venue: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The settings of a venue: the plan's (``[target.venue]``), the defaults for what it does not say.

    Raises:
        ConfigError: they are no settings of a venue.
    """
    found: dict[str, Any] = {"seed": seed, **DEFAULTS}
    for key, value in venue.items():
        known = found.get(key)
        found[key] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    convert(found, VenueConfig, "target.venue")
    return found


def toml_of(settings: Mapping[str, Any]) -> str:
    """Plain values as TOML, a line for each key."""
    return "".join(f"{key} = {inline(value)}\n" for key, value in settings.items())


def inline(value: Any) -> str:
    """A value in one line: strings, numbers and booleans are written as in JSON."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key} = {inline(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(inline(each) for each in value) + "]"
        case _:
            return json.dumps(value)


class EmbeddedVenue(VenueProcess):
    """A venue that runs as long as its block; see `open_embedded_venue`."""

    def __init__(self, config: Path) -> None:
        super().__init__(config, 0)

    def command(self, port: int) -> list[str]:
        """What is run."""
        command = [
            sys.executable,
            "-m",
            "loadsim",
            "venue",
            "--config",
            str(self._state),
            "--port",
            str(port),
        ]
        return [*command, "--until-eof"]

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None, "it has been started"
        return self._process.pid

    def freeze(self) -> None:
        """Let it stand still, as a machine that is out of breath: nothing is answered, nothing is closed."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None and self.returncode is None:
            os.kill(self.pid, signal.SIGCONT)


@asynccontextmanager
async def open_embedded_venue(
    venue: Mapping[str, Any], seed: int, seam: Seam = REAL
) -> AsyncGenerator[EmbeddedVenue, None]:
    """Start a venue; it ends with the block, also where it is frozen then.

    Raises:
        ConfigError: the settings are none.
        PotrioError: it did not come up.
    """
    text = toml_of(settings_of(venue, seed))
    with tempfile.TemporaryDirectory(prefix="loadsim-") as folder:
        config = Path(folder) / "venue.toml"
        seam.write_file(config, text.encode())
        running = EmbeddedVenue(config)
        try:
            await running.start()
            yield running
        finally:
            running.thaw()
            await running.stop()
