"""`python -m loadsim plan`: what a plan will do, before it does it."""

from __future__ import annotations

from pathlib import Path

import click

from loadsim.commands.playing import read_plan
from loadsim.plan.draw import draw_plan
from loadsim.plan.parse import plan_digest
from loadsim.swarm.safety import check_size

__all__ = ["plan"]


@click.group()
def plan() -> None:
    """Look at plans."""


@plan.command()
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(0), help="In place of the plan's.")
@click.option("--duration", help="End earlier than the plan, as 10s.")
def show(plan_file: Path, seed: int | None, duration: str | None) -> None:
    """Draw a plan: who comes when, what each class does, what goes wrong."""
    found = read_plan(plan_file, seed=seed, duration=duration)
    check_size(found)
    click.echo(draw_plan(found))
    click.echo(f"\n{plan_digest(found)}")
