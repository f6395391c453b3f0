"""`potrio record` and `potrio replay`: take down every frame of a session, without the token, and play it again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import click
import msgspec
import trio

from potrio.actor_errors import ActorError
from potrio.actors.stream import Gap
from potrio.cli.interrupt import run_until_interrupted
from potrio.cli.show import to_json
from potrio.cli.target import Target, target_options
from potrio.cli.venue_process import ReplayProcess
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.errors import ClientFailed
from potrio.seam import REAL
from potrio.supervision.opening import open_supervisor
from potrio.supervision.spec import service, supervisor
from potrio.transport.at_speed import AtSpeed
from potrio.transport.recorder import Recorder
from potrio.transport.recording import Frame, read_recording

__all__ = ["record", "replay"]

DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
UNITS = {None: 1, "s": 1, "m": 60, "h": 3600}
NOBODY = '42["auth",{"session":"replayed0session0of0nobody","isDemo":1,"uid":1,"platform":2}]'


def seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Read ``60s``, ``5m``, ``1h`` or a number of seconds."""
    if value is None:
        return None
    found = DURATION.fullmatch(value.strip())
    if found is None or float(found[1]) <= 0:
        raise click.BadParameter("a duration is a number above 0 with s, m or h behind it, as 60s or 5m")
    return float(found[1]) * UNITS[found[2]]


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--assets", help="Ticks of these, with commas between them.")
@click.option(
    "--for", "duration", callback=seconds, help="How long: 60s, 5m, 1h (default: until interrupted)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
@target_options
def record(target: Target, path: Path, assets: str | None, duration: float | None, as_json: bool) -> None:
    """Record every frame of a session into FILE, a new one; the token and the frame that logs in are not in it.

    Example: potrio record session.ndjson --assets EURUSD_otc --for 60s
    """
    config = target.config()
    names = [name.strip() for name in (assets or "").split(",") if name.strip()]
    recorder = Recorder(path, config.parsed_ssid().session)
    recorder.create()

    async def main() -> None:
        tree = supervisor(service(recorder.run, id="recorder"), id="recording")
        async with open_supervisor(tree):
            await watch(config_with(config, recorder), names, duration)

    try:
        run_until_interrupted(main)
    finally:
        done = recorder.statistics()
        facts = {"file": str(path), "frames": done.written, "lost": done.lost}
        click.echo(
            to_json(facts) if as_json else f"{path}: {done.written} frames, {done.lost} lost", err=not as_json
        )


def config_with(config: Config, recorder: Recorder) -> Config:
    """The same configuration, recorded."""
    return msgspec.structs.replace(config, recorder=recorder)


async def watch(config: Config, names: list[str], duration: float | None) -> None:
    """Stay connected for so long, with these streams open."""
    async with open_client(config) as client, AsyncExitStack() as stack:
        if names:
            await stack.enter_async_context(client.ticks(*names))
        with trio.move_on_after(float("inf") if duration is None else duration):
            await trio.sleep_forever()


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Times real time.",
)
@click.option("--assets", help="Show the ticks of these only, with commas between them (default: of all).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def replay(path: Path, speed: float, assets: str | None, as_json: bool) -> None:
    """Play the recording FILE to a client and print the ticks that it gets.

    Others can be served as well: python -m loadsim replay FILE.

    Example: potrio replay session.ndjson --speed 10
    """
    recording = read_recording(path)
    names = {name.strip() for name in (assets or "").split(",") if name.strip()} or subscribed(
        recording.frames
    )

    async def main() -> None:
        venue = ReplayProcess(path, speed)
        try:
            await venue.start()
            seam = AtSpeed(REAL, speed)
            config = Config(ssid=NOBODY, url=venue.url, max_retries=0, seam=seam)
            async with open_client(config) as client:
                await show_ticks(client, sorted(names), as_json)
        except (ClientFailed, ActorError):
            pass  # the recording is over: the link is gone and is not to come back
        finally:
            await venue.stop()

    run_until_interrupted(main)


def subscribed(frames: Iterable[Frame]) -> set[str]:
    """The assets whose streams were asked for in a recording."""
    found: set[str] = set()
    for frame in frames:
        if frame.d == "out" and frame.text and '"changeSymbol"' in frame.text:
            found |= set(re.findall(r'"asset"\s*:\s*"([^"]+)"', frame.text))
    return found


async def show_ticks(client: Client, names: list[str], as_json: bool) -> None:
    """Print what the client is told until the recording is over."""
    if not names:
        await client.wait_change()
        return
    async with client.ticks(*names) as stream:
        async for item in stream:
            if client.statistics().reconnects:
                return
            if isinstance(item, Gap):
                continue
            line = {"asset": item.asset, "time": item.timestamp, "price": item.price}
            click.echo(to_json(line) if as_json else f"{item.time.isoformat()}  {item.asset}  {item.price}")
