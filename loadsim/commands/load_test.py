"""`python -m loadsim load-test`: three load tests one after the other, a report for each, and which did best."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import trio

from loadsim.report.exits import Exit
from loadsim.swarm.account import ssid_of
from loadsim.tester.comparison import TESTS, Comparison, run_comparison
from loadsim.tester.tester import LoadTester
from potrio.errors import PotrioError

__all__ = ["load_test"]


@click.command("load-test")
@click.option(
    "--only", multiple=True, type=click.Choice(tuple(TESTS)), help="Run only this one; may be given again."
)
@click.option("--url", help="Of a venue on this machine.  [default: one of the test's own]")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides what each client does.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for load_test_NAME.json of each test and comparison.json.",
)
def load_test(only: tuple[str, ...], url: str | None, seed: int, out: Path | None) -> int:
    """Test a venue on this machine by real clients: reading, trading, and under stress.

    Exit code 0: nothing to recommend; 99: some report has advice.
    """
    tests = {
        name: msgspec.structs.replace(config, seed=seed)
        for name, config in TESTS.items()
        if not only or name in only
    }
    tester = LoadTester(ssid_of(seed, 0), url=url)
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        found = trio.run(run_comparison, tester, tests, out)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except (PotrioError, OSError) as error:
        raise click.ClickException(" ".join(str(error).split())) from error
    click.echo(told(found))
    return Exit.OK if found.is_good else Exit.THRESHOLD


def told(found: Comparison) -> str:
    """A comparison for people."""
    lines = [f"{'test':<10}{'operations':>12}{'success':>10}{'per second':>12}{'peak':>8}{'seconds':>10}"]
    lines += [
        f"{row['test']:<10}{row['total_operations']:>12}{row['success_rate']:>10.1%}{row['throughput']:>12.1f}"
        f"{row['peak_throughput']:>8.0f}{row['duration']:>10.1f}"
        for row in found.test_comparison
    ]
    best = found.best_performance
    lines.append(f"fastest: {best['throughput']['test']}, most reliable: {best['reliability']['test']}")
    lines += [f"{row['test']}: {text}" for row in found.test_comparison for text in row["recommendations"]]
    return "\n".join(lines)
