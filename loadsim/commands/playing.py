"""Running a plan from the command line: signals, what is shown meanwhile, the files of the report, the exit code."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from loadsim.commands.dask_options import engine_options
from loadsim.engines.base import EngineError
from loadsim.live.dashboard import announced
from loadsim.live.display import open_display
from loadsim.live.view import RunView
from loadsim.metrics.thresholds import parse_threshold
from loadsim.plan.model import Plan
from loadsim.plan.parse import parse_plan
from loadsim.plan.units import parse_duration
from loadsim.report.document import build, save
from loadsim.report.exits import Exit
from loadsim.report.html import render
from loadsim.report.result import RunResult
from loadsim.report.tables import junit_xml, timeline_csv
from loadsim.run import Controller, RunOptions
from loadsim.swarm.preflight import TargetUnusable
from loadsim.swarm.safety import read_allow_list
from potrio.errors import ConfigError, PotrioError
from potrio.histogram import Histogram
from potrio.seam import REAL, Seam

__all__ = ["execute", "make_options", "read_plan", "summary", "write_report"]


def read_plan(path: Path, *, seed: int | None = None, duration: str | None = None, seam: Seam = REAL) -> Plan:
    """Read a plan from a file; files it names are beside it.

    Raises:
        ConfigError: it cannot be read or used.
    """

    def read(name: str) -> str:
        try:
            return seam.read_file(path.parent / name).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(name, f"cannot be read: {error}") from None

    return changed(parse_plan(read(path.name), read=read, check_threshold=parse_threshold), seed, duration)


def changed(plan: Plan, seed: int | None, duration: str | None) -> Plan:
    """The plan with another seed, or shorter: what would have come later does not come."""
    if seed is not None:
        plan = msgspec.structs.replace(plan, seed=seed)
    if duration is None:
        return plan
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise ConfigError("--duration", str(error)) from None
    if not 0 < seconds <= plan.duration_s:
        raise ConfigError("--duration", f"must be above 0 and at most the plan's {plan.duration_s:g} s")
    return msgspec.structs.replace(plan, duration_s=seconds)


def make_options(
    *,
    engine: str | None,
    procs: int | None,
    target: str | None,
    allow_hosts: Path | None,
    allow_degraded: bool,
    **dask: Any,
) -> RunOptions:
    """The options of a run from those of the command line; ConfigError where they contradict each other."""
    name = engine or ("process" if procs is not None else "inline")
    if name == "inline" and procs not in (None, 1):
        raise ConfigError("--procs", "needs an engine of processes: leave --engine out")
    shards = procs or (1 if name == "inline" else 2)
    return RunOptions(
        engine=name,
        shards=shards,
        engine_options=engine_options(name, shards, **dask),
        target=target,
        allowed=read_allow_list(allow_hosts) if allow_hosts is not None else frozenset(),
        allow_degraded=allow_degraded,
        argv=sys.argv[1:],
    )


def execute(
    plan: Plan,
    options: RunOptions,
    *,
    out: Path | None = None,
    as_json: bool = False,
    dashboard: str | None = None,
) -> int:
    """Run a plan, show it, write its report; returns the exit code.

    SIGINT and SIGTERM end the run and leave a partial report; a second one ends everything at once.

    Raises:
        ConfigError: the plan cannot be run.
    """
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    results: list[RunResult] = []
    codes: list[Exit] = []
    try:
        trio.run(play, plan, options, results.append, codes.append, dashboard)
    except BaseExceptionGroup as group:
        error = first_of(group)
        match error:
            case ConfigError():
                raise error from None
            case TargetUnusable():
                return failed(error, Exit.TARGET)
            case EngineError():
                return failed(error, Exit.ENGINE)
            case PotrioError() | OSError():
                return failed(error, Exit.FAILED)
            case _:
                raise
    if not results:
        return codes[0]
    document = build(results[0])
    if out is not None:
        write_report(document, out)
    if as_json:
        click.echo(json.dumps(document))
    else:
        for line in summary(document):
            click.echo(line)
        if out is not None:
            click.echo(f"report: {out / 'report.html'}")
    return int(document["exit"]["code"])


async def play(
    plan: Plan,
    options: RunOptions,
    done: Callable[[RunResult], None],
    code: Callable[[Exit], None],
    dashboard: str | None = None,
) -> None:
    """Run with signals, a display, and a dashboard where there is to be one (its address; None: none)."""
    shown: list[Callable[[RunView], None]] = []
    controller = Controller(plan, options, on_second=lambda view: shown[0](view))
    async with (
        trio.open_nursery() as nursery,
        announced(controller.watch, dashboard, lambda line: click.echo(line, err=True)),
        open_display(sys.stderr) as show,
    ):
        shown.append(show)
        await nursery.start(hear_signals, controller, nursery.cancel_scope, code)
        done(await controller.run())
        nursery.cancel_scope.cancel("the run has ended")


async def hear_signals(
    controller: Controller,
    everything: trio.CancelScope,
    code: Callable[[Exit], None],
    task_status: trio.TaskStatus[None],
) -> None:
    """The first signal ends the run in order, the second one at once."""
    names = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}
    heard = 0
    with trio.open_signal_receiver(*names) as signals:
        task_status.started()
        async for number in signals:
            heard += 1
            found = names[signal.Signals(number)]
            if heard == 1:
                code(found)
                controller.stop(found, f"{signal.Signals(number).name}")
            else:
                everything.cancel("a second signal")
                return


def first_of(group: BaseExceptionGroup[Any]) -> BaseException:
    """What a group holds: our nurseries are nobody's business."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def failed(error: BaseException, code: Exit) -> int:
    """Say it in one line."""
    click.echo(f"error: {' '.join(str(error).split())}", err=True)
    return int(code)


def write_report(document: Mapping[str, Any], out: Path, seam: Seam = REAL) -> None:
    """Write all files of a report: ``report.json``, ``report.html``, ``timeline.csv``, ``junit.xml``."""
    save(document, out / "report.json", seam)
    for name, text in (
        ("report.html", render(document)),
        ("timeline.csv", timeline_csv(document)),
        ("junit.xml", junit_xml(document)),
    ):
        seam.write_file(out / name, text.encode(), mode=0o644)


def summary(document: Mapping[str, Any]) -> list[str]:
    """A report in a few lines: validity first, then what it says."""
    validity, ended = document["validity"], document["exit"]
    lines = [
        f"{document['run']['plan']['name']}: {validity['verdict']}, exit {ended['code']} ({ended['name']}), "
        f"{document['run']['duration_s']:.1f} s, seed {document['run']['seed']}"
    ]
    lines += [f"  ! {reason}" for reason in validity["reasons"]]
    clients = document["clients"]
    lines.append(
        f"clients: {clients['ready']} of {clients['planned']} ready, {clients['restarts']} restarts, "
        f"{clients['gave_up']} gave up"
    )
    lines.append(
        f"actions: {validity['started']} of {validity['planned']} started, {validity['omitted']} omitted, "
        f"generator lag p99 {validity['late_p99_ms']:.1f} ms"
    )
    lines += [
        "  event                lane    count  errors   service p50/p90/p99 ms     response p50/p90/p99 ms"
    ]
    for entry in document["metrics"].get("rtt", {"series": []})["series"]:
        tags = entry["tags"]
        lines.append(
            f"  {tags['event']:20} {tags['lane']:6} {entry['count']:6} {entry['count'] - entry['ok']:7}   "
            f"{percentiles(document, entry['service']):26} {percentiles(document, entry['response'])}"
        )
    for row in document["thresholds"]:
        mark = "ok  " if row["ok"] else "soft" if row["soft"] else "FAIL"
        lines.append(f"threshold {mark} {row['expr']} (observed {row['observed']})")
    lines += [
        f"oracle {'ok  ' if row['ok'] else 'FAIL'} {row['what']}: swarm {row['ours']}, venue {row['venue']}"
        for row in document["oracle"]
    ]
    if not document["oracle"]:
        lines.append("oracle: not asked (the run was ended early, or the target does not tell its counters)")
    return lines


def percentiles(document: Mapping[str, Any], name: str) -> str:
    """Three percentiles in milliseconds."""
    found = Histogram.decode(document["histograms"][name])
    return " / ".join(f"{found.percentile(percent) / 1000:.1f}" for percent in (50, 90, 99))
