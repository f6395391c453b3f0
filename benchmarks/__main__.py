"""``python -m benchmarks [NAME ...]``: run the benchmarks and print a table, or JSON with ``--json``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from benchmarks import decode
from benchmarks.measure import Report, render

BENCHMARKS: dict[str, Callable[..., Report]] = {"decode": decode.report}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code says nothing about budgets, which a busy machine can miss."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--count", type=int, default=100_000, help="items of one round")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the best counts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    reports = [BENCHMARKS[name](options.count, options.rounds) for name in options.names or BENCHMARKS]
    if options.json:
        print(json.dumps([report.as_dict() for report in reports], indent=2))
    else:
        print("\n\n".join(map(render, reports)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
