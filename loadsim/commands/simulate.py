"""``loadsim simulate``: client and venue in virtual time, from one seed or many, checked against the venue's books.

Exit codes: 0 all well, 1 an invariant was broken or too little was covered, 2 for input that cannot be used. What
failed is told with the line that replays it, first and last, and is looked for in a smaller run.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final, cast

import click
import msgspec

from loadsim.simulation.coverage import covered, never, table
from loadsim.simulation.plan import Level
from loadsim.simulation.planted import PLANTED
from loadsim.simulation.sweep import Job, plan_of, replay_line, run_jobs, shrink
from loadsim.simulation.world import Outcome

__all__ = ["simulate"]

BROKEN: Final = 1
HOURS_MAX: Final = 1000.0
SEEDS_MAX: Final = 100_000
NEVER_SHOWN: Final = 40


class SeedRange(click.ParamType[tuple[int, int]]):
    """``17`` or ``1..200``."""

    name = "seeds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Read it."""
        first, dots, last = str(value).partition("..")
        try:
            found = int(first), int(last if dots else first)
        except ValueError:
            self.fail("must be like 17 or 1..200", param, ctx)
        if not 0 <= found[0] <= found[1] < found[0] + SEEDS_MAX:
            self.fail(f"must go up, from 0 on, and be at most {SEEDS_MAX}", param, ctx)
        return found


class FaultList(click.ParamType[tuple[int, ...]]):
    """``3,7`` or ``none``."""

    name = "faults"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read it."""
        try:
            return () if value == "none" else tuple(int(each) for each in str(value).split(","))
        except ValueError:
            self.fail("must be like 3,7 or none", param, ctx)


@click.command()
@click.option("--seed", type=click.IntRange(0), help="One run.")
@click.option("--seeds", type=SeedRange(), metavar="A..B", help="Many runs.")
@click.option(
    "--hours",
    type=click.FloatRange(0, HOURS_MAX, min_open=True),
    default=0.2,
    show_default=True,
    help="Virtual time.",
)
@click.option(
    "--level",
    type=click.Choice(["message", "bytes"]),
    default="message",
    show_default=True,
    help="Joined above WebSocket, or byte by byte.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Runs at once.")
@click.option(
    "--faults", type=FaultList(), metavar="N,N,...", help="Keep these of the faults that the seed draws."
)
@click.option("--plant", type=click.Choice(sorted(PLANTED)), help="Break the product on purpose.")
@click.option("--coverage", is_flag=True, help="Show which fault met which order, and what never met.")
@click.option(
    "--coverage-min",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail if fewer of the cells of --coverage were reached.",
)
@click.option("--shrink/--no-shrink", "shrinks", default=True, help="Look for a smaller run that fails.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document at the end.")
def simulate(
    seed: int | None,
    seeds: tuple[int, int] | None,
    hours: float,
    level: str,
    jobs: int,
    faults: tuple[int, ...] | None,
    plant: str | None,
    coverage: bool,
    coverage_min: float | None,
    shrinks: bool,
    as_json: bool,
) -> None:
    """Run the real client and the real venue in virtual time, and check what must always hold.

    The same seed gives the same history, whose hash is printed. Faults go on for --hours, then everything has to heal.
    """
    if (seed is None) is (seeds is None):
        raise click.UsageError("give either --seed N or --seeds A..B")
    first, last = seeds if seeds is not None else (cast("int", seed), cast("int", seed))
    listed = [
        Job(seed=each, hours=hours, level=cast("Level", level), faults=faults, plant=plant or "")
        for each in range(first, last + 1)
    ]
    cells: Counter[tuple[str, str, str]] = Counter()
    failed: list[tuple[Job, Outcome]] = []
    done: list[dict[str, Any]] = []
    virtual_s = 0.0
    for number, (job, outcome) in enumerate(run_jobs(listed, jobs), 1):
        cells.update(outcome.cells)
        virtual_s += outcome.virtual_s
        done.append(_as_json(job, outcome))
        if outcome.violations:
            failed.append((job, outcome))
        if not as_json:
            _tell_run(job, outcome, number, len(listed))
    smallest = None
    if failed and shrinks:
        smaller, runs = shrink(*failed[0])
        smallest = replay_line(smaller)
        if not as_json:
            click.echo(
                f"smallest of {runs} runs that fails ({len(plan_of(smaller).faults)} faults): {smallest}"
            )
    missing = never(cells)
    if as_json:
        document = {
            "runs": done,
            "failed": len(failed),
            "smallest": smallest,
            "virtual_s": virtual_s,
            "coverage": {"share": covered(cells), "never": missing},
        }
        click.echo(json.dumps(document, indent=2))
    else:
        if coverage:
            click.echo(table(cells))
            shown = ", ".join(missing[:NEVER_SHOWN]) + (", ..." if len(missing) > NEVER_SHOWN else "")
            click.echo(f"never reached ({len(missing)}): {shown or 'nothing'}")
        click.echo(
            f"{len(listed) - len(failed)} of {len(listed)} runs passed, {virtual_s / 3600:.2f} virtual hours"
        )
    is_short = coverage_min is not None and 100 * covered(cells) < coverage_min
    if is_short:
        click.echo(f"{covered(cells):.1%} of the cells were reached, {coverage_min:g} % are wanted", err=True)
    if failed or is_short:
        raise SystemExit(BROKEN)


def _tell_run(job: Job, outcome: Outcome, number: int, total: int) -> None:
    if total == 1:
        _tell_plan(job, outcome)
    if outcome.violations:
        _tell_failure(job, outcome)
    elif number % 10 == 0 and total > 1:
        click.echo(f"{number} of {total} runs; seed {job.seed} passed, hash: {outcome.hash}")


def _tell_plan(job: Job, outcome: Outcome) -> None:
    plan = plan_of(job)
    click.echo(
        f"seed {job.seed}: {plan.latency} network, {len(plan.assets)} assets, {plan.orders_per_hour:g} orders an hour, "
        f"{len(plan.faults)} faults, journal {'kept' if plan.journal else 'off'}"
    )
    click.echo("; ".join(f"{name.replace('_', ' ')} {count}" for name, count in outcome.counted.items()))
    click.echo(f"hash: {outcome.hash}")


def _tell_failure(job: Job, outcome: Outcome) -> None:
    line = replay_line(job)
    click.echo(f"FAILED: {line}")
    first = outcome.violations[0]
    click.echo("--- the newest events")
    for event in outcome.events:
        click.echo(event)
    if first.order:
        click.echo(f"--- order {first.order}")
        for event in outcome.orders.get(first.order, []):
            click.echo(event)
    click.echo("--- broken")
    for violation in outcome.violations:
        where = f" (order {violation.order})" if violation.order else ""
        click.echo(f"{violation.invariant}: {violation.text}{where}")
    click.echo(f"replay: {line}")


def _as_json(job: Job, outcome: Outcome) -> dict[str, Any]:
    return {
        "seed": job.seed,
        "hash": outcome.hash,
        "virtual_s": round(outcome.virtual_s, 3),
        "counted": outcome.counted,
        "faults": dict(outcome.applied),
        "violations": msgspec.to_builtins(outcome.violations),
        "replay": replay_line(job),
    }
