"""`python -m loadsim merge`, `check`, `diff`: what can be done with reports, without running anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from loadsim.commands.playing import execute, make_options, summary, write_report
from loadsim.plan.parse import decode_plan
from loadsim.report import compare
from loadsim.report.document import SCHEMA, load
from potrio.errors import ConfigError
from potrio.seam import REAL

__all__ = ["check", "diff", "is_report", "merge", "run_again"]

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True, type=FILE)
@click.option("--out", required=True, type=FILE, help="Folder for the merged report.")
def merge(reports: tuple[Path, ...], out: Path) -> None:
    """Merge reports of one plan that were parts of one experiment: sums and histograms are exact."""
    document = compare.merge([load(path) for path in reports], [str(path) for path in reports])
    out.mkdir(parents=True, exist_ok=True)
    write_report(document, out)
    finish(document)


@click.command()
@click.argument("report", type=FILE)
@click.option("--threshold", "thresholds", multiple=True, help="As in a plan; again for each.")
def check(report: Path, thresholds: tuple[str, ...]) -> None:
    """Judge a report again, by its own thresholds or by these; the exit code is that of the run."""
    document = load(report)
    wanted = list(thresholds) or [str(row["expr"]) for row in document["thresholds"]]
    finish(compare.check(document, wanted))


@click.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print rows as JSON.")
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Compare two reports: percentiles and counters side by side."""
    rows = compare.diff(load(old), load(new))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        ratio = "" if row["ratio"] is None else f"x {row['ratio']:.2f}"
        click.echo(f"{row['what']:60} {row['old']:>12} {row['new']:>12}  {ratio}")


def finish(document: dict[str, Any]) -> None:
    """Print a report in short, and end with its code."""
    for line in summary(document):
        click.echo(line)
    raise SystemExit(int(document["exit"]["code"]))


def is_report(path: Path) -> bool:
    """Is this a report, and not a recording? False also where it cannot be read: somebody else will say so."""
    try:
        return SCHEMA.encode() in REAL.read_file(path)[:200]
    except OSError:
        return False


def run_again(
    path: Path, *, out: Path | None, as_json: bool, dashboard: str | None = None, **options: Any
) -> int:
    """Play the plan of a report once more, with its seed: the same arrivals, actions and faults.

    Raises:
        ConfigError: it is no report, or its plan cannot be used any more.
    """
    document = load(path)
    try:
        plan = decode_plan(document["run"]["plan"])
    except KeyError:
        raise ConfigError(str(path), "has no plan in it") from None
    return execute(plan, make_options(**options), out=out, as_json=as_json, dashboard=dashboard)
