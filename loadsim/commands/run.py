"""`python -m loadsim run` and `shard`: playing a plan, and the process that plays a part of one."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import trio

from loadsim.commands.dask_options import dask_options
from loadsim.commands.playing import execute, make_options, read_plan
from loadsim.engines.child import host_shard
from loadsim.engines.choose import ENGINES
from loadsim.swarm.preflight import raise_nofile
from loadsim.swarm.shard import run_shard

__all__ = ["run", "run_options", "shard"]

F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """The options of everything that plays a plan."""
    for option in reversed(
        [
            click.option("--out", type=click.Path(path_type=Path), help="Folder for the report."),
            click.option("--procs", type=click.IntRange(1, 256), help="Play it in so many processes."),
            click.option(
                "--engine", type=click.Choice(ENGINES), help="What runs the parts.  [default: inline]"
            ),
            click.option("--target", help="Put this URL under load, and not the embedded venue."),
            click.option(
                "--allow-hosts",
                type=click.Path(path_type=Path),
                help="File of hosts besides this machine that may be put under load.",
            ),
            click.option(
                "--dashboard",
                is_flag=False,
                flag_value="",
                metavar="[HOST:PORT]",
                help="Show the run in a browser too; loopback and any port unless said.",
            ),
            click.option("--allow-degraded", is_flag=True, help="A run that is not valid is only warned of."),
            click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON."),
        ]
    ):
        command = option(command)
    return dask_options(command)


@click.command()
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(0), help="In place of the plan's.")
@click.option("--duration", help="End earlier than the plan, as 10s.")
@run_options
def run(
    plan_file: Path,
    seed: int | None,
    duration: str | None,
    out: Path | None,
    as_json: bool,
    dashboard: str | None,
    **options: Any,
) -> None:
    """Play a plan and report.

    Exit codes: 0 valid and all thresholds kept; 2 the plan cannot be used; 3 the target cannot; 4 the run is not
    valid; 6 the engine; 7 the books of swarm and venue disagree; 99 a threshold; 130 and 143 after a signal.
    """
    plan = read_plan(plan_file, seed=seed, duration=duration)
    raise SystemExit(execute(plan, make_options(**options), out=out, as_json=as_json, dashboard=dashboard))


@click.command(hidden=True)
def shard() -> None:
    """Play one part of a run: spec and orders on standard input, reports on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the controller, which tells its shards
    raise_nofile()
    raise SystemExit(0 if trio.run(host) else 1)


async def host() -> bool:
    """Be a shard; False where it ended badly."""
    source, sink = trio.lowlevel.FdStream(0), trio.lowlevel.FdStream(1)
    outcome = await host_shard(partial(run_shard), source, sink)
    return outcome.state in ("done", "stopped")
