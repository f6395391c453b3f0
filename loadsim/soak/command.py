"""`python -m loadsim soak`: both parts one after the other; the exit code is 0 only if all held."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from loadsim.soak.simulated import SoakPlan, run_simulated
from loadsim.soak.verdict import Part, lines_of
from loadsim.soak.wire import WirePlan, run_wire
from potrio.errors import PotrioError
from potrio.seam import REAL

__all__ = ["soak"]

ROUNDS_MIN = 8
ROUNDS_PER_HOUR = 2
HOURS = 10.0
MINUTES = 10.0
SHORT_HOURS = 1 / 3
SHORT_MINUTES = 8 / 60


@click.command()
@click.option("--seed", type=click.IntRange(0), help="Of everything; drawn and printed where none is given.")
@click.option(
    "--hours",
    type=click.FloatRange(0, 10_000),
    help=f"Simulated hours of storm; 0 leaves them out.  [default: {HOURS:g}]",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, 24 * 60),
    help=f"Real minutes over TCP; 0 leaves them out.  [default: {MINUTES:g}]",
)
@click.option(
    "--short", is_flag=True, help="Twenty simulated minutes and eight real seconds, for a first look."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON; progress goes to standard error."
)
@click.option("--output", type=click.Path(path_type=Path), help="Write the result as JSON to a file, too.")
def soak(
    seed: int | None,
    hours: float | None,
    minutes: float | None,
    short: bool,
    as_json: bool,
    output: Path | None,
) -> int:
    """Hours of clients and faults in virtual time, then minutes over TCP: do all promises hold, is memory flat?

    Exit codes: 0 all held, 1 something did not, 2 for input that cannot be used.
    """
    seed = REAL.generator().getrandbits(32) if seed is None else seed
    hours = (SHORT_HOURS if short else HOURS) if hours is None else hours
    minutes = (SHORT_MINUTES if short else MINUTES) if minutes is None else minutes
    if not hours and not minutes:
        raise click.UsageError("nothing is left to do: give some --hours or --minutes")
    say = partial(click.echo, err=True)
    say(f"soak: seed {seed}, {hours:g} simulated hours, {minutes:g} real minutes")
    parts: list[Part] = []
    try:
        if hours:
            parts.append(run_simulated(plan_of(seed, hours, short=short), say=say))
            show(parts[-1], as_json)
        if minutes:
            parts.append(
                run_wire(
                    WirePlan(seed=seed, seconds=60 * minutes, drop_every_s=2.0 if short else 4.0), say=say
                )
            )
            show(parts[-1], as_json)
    except PotrioError as error:
        raise click.ClickException(str(error)) from error
    held = all(part.held for part in parts)
    result = msgspec.json.format(msgspec.json.encode({"held": held, "seed": seed, "parts": parts}))
    if as_json:
        click.echo(result.decode())
    else:
        click.echo(f"soak: {'all held' if held else 'NOT all held'} (seed {seed})")
    if output is not None:
        REAL.write_file(output, result, mode=0o644)
    return 0 if held else 1


def plan_of(seed: int, hours: float, *, short: bool = False) -> SoakPlan:
    """So many rounds that growth can be seen; a short one with two clients and more faults an hour."""
    if short:
        return SoakPlan(
            seed=seed, hours=hours, rounds=4, hurry=2.0, faults_per_hour=360.0, habits=SoakPlan.short_habits()
        )
    return SoakPlan(seed=seed, hours=hours, rounds=max(ROUNDS_MIN, round(hours * ROUNDS_PER_HOUR)))


def show(part: Part, as_json: bool) -> None:
    """Show what came out, while the rest is still to come."""
    for line in lines_of(part):
        click.echo(line, err=as_json)
