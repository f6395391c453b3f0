"""`potrio demo`: the main job from end to end, against a simulated venue in a process of its own.

Balance, assets, history, live ticks, three orders at once; then the venue is killed in the middle of an open order
and started again. At the end our counters stand beside the venue's own; the exit code is 0 only if all agree.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import trio

from potrio.cli.interrupt import run_until_interrupted
from potrio.cli.show import Screen, to_json
from potrio.cli.story import Story
from potrio.cli.tree import client_outline
from potrio.cli.venue_process import open_venue_process
from potrio.client.config import Config
from potrio.errors import PotrioError
from potrio.transport.base import TransportKind

__all__ = ["demo"]

UID = 12345678
SSID = f'42["auth",{{"session":"demo0session0of0potrio0x1","isDemo":1,"uid":{UID},"platform":2}}]'
DEADLINE_S = 60.0
"""It takes about 12 s, and 1 s more for each crash; past this something hangs."""
ACTORS = ("connection", "pinger", "router", "order_book", "history", "monitor")


@click.command()
@click.option("--seed", default=7, show_default=True, help="Seed of the venue's market.")
@click.option(
    "--transport",
    type=click.Choice(["framed", "trio-websocket"]),
    default="framed",
    show_default=True,
    help="Who speaks WebSocket.",
)
@click.option(
    "--crash",
    "crashes",
    type=click.Choice(ACTORS),
    multiple=True,
    help="Crash this actor while an order is open, and check what is restarted; may be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, nothing else.")
def demo(seed: int, transport: TransportKind, crashes: tuple[str, ...], as_json: bool) -> int:
    """Run the whole system against a simulated venue: no account, no network beyond this machine, under 30 s."""
    screen = Screen(quiet=as_json)
    summary = None

    async def main() -> None:
        nonlocal summary
        started = trio.current_time()
        with trio.fail_after(DEADLINE_S), tempfile.TemporaryDirectory(prefix="potrio-demo-") as folder:
            async with open_venue_process(Path(folder) / "venue.json", seed) as venue:
                screen.say(f"a venue of its own is ready at {venue.url}")
                config = Config(ssid=SSID, url=venue.url, transport=transport)
                summary = await Story(venue, screen, client_outline(), crashes).tell(config, UID)
        summary.seconds = round(trio.current_time() - started, 1)

    try:
        run_until_interrupted(main)
    except trio.TooSlowError:
        raise PotrioError(f"the demo did not end within {DEADLINE_S:g} s") from None
    assert summary is not None, "the story returns it or raises"
    if as_json:
        click.echo(to_json(summary))
    else:
        verdict = "all facts agree" if summary.ok else "FACTS DISAGREE"
        screen.say(f"\n{verdict} ({summary.seconds} s)")
    return 0 if summary.ok else 1
