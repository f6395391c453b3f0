"""``python -m benchmarks [NAME ...]``: measure and print a table, or JSON with ``--json``.

Runs in a network namespace of its own where the system allows one: some peers may only run where no route leads out.
A run of everything at full scale is kept in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from benchmarks import (
    actors,
    decode,
    growth,
    instructions,
    latency,
    orders,
    reconnect,
    results,
    simulation,
    soak,
    startup,
    swarm,
    ticks,
)
from benchmarks.budget import Verdict, render_table
from benchmarks.processes import PeersMissing, bring_loopback_up, can_isolate, run_isolated

BENCHMARKS: dict[str, Callable[..., list[Verdict]]] = {
    "ticks": ticks.verdicts,
    "decode": decode.verdicts,
    "latency": latency.verdicts,
    "orders": orders.verdicts,
    "reconnect": reconnect.verdicts,
    "startup": startup.verdicts,
    "actors": actors.verdicts,
    "growth": growth.verdicts,
    "swarm": swarm.verdicts,
    "simulation": simulation.verdicts,
    "soak": soak.verdicts,
    "instructions": instructions.verdicts,
}
NEED_ISOLATION = ("ticks",)
OPTIONAL = ("instructions",)
"""Left out, with a word on stderr, where the machine has not what it needs and it was not asked for by name."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; ends the process where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="turns each contender gets; the median counts")
    parser.add_argument("--scale", type=float, default=1.0, help="below 1: less work, for trying things out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--isolated", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code says nothing about budgets, which a busy machine can miss."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    names = options.names or list(BENCHMARKS)
    if options.isolated:
        bring_loopback_up()
    elif set(names) & set(NEED_ISOLATION) and can_isolate():
        return run_isolated(arguments)
    verdicts: list[Verdict] = []
    try:
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            more = {"isolated": options.isolated} if name in NEED_ISOLATION else {}
            try:
                verdicts += BENCHMARKS[name](options.rounds, options.scale, **more)
            except PeersMissing as error:
                if name not in OPTIONAL or options.names:
                    raise
                print(f"{name} is left out: {error}", file=sys.stderr)
    except PeersMissing as error:
        print(error, file=sys.stderr)
        return 2
    found = results.document(verdicts)
    print(json.dumps(found, indent=2) if options.json else render_table(verdicts))
    if not options.names and options.scale >= 1:
        print(f"kept in {results.save(found)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
