"""B6 and B7, and fairness: the supervision runtime beside trio, anyio, asyncio, triotp and pykka doing the same jobs.

Serves decisions 2 and 3 of the design: mailboxes drained in bursts, one task for each incarnation, one heap of
deadlines, a time slice. Every contender does a case in a process of its own, in turns; rates are per second of
processor time (pykka: of the clock, since its threads wait for each other), figures are medians, and a ratio is the
median of the ratios of each round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from benchmarks.budget import Verdict, at_least
from benchmarks.processes import ROOT, PeersMissing, run_contender

__all__ = ["ACTORS_PYTHON", "CASES", "check_actors", "play", "verdicts"]

ACTORS_PYTHON = ROOT / ".venv-bench-actors" / "bin" / "python"
OURS, BASE = "potrio", "trio"
CONTENDERS = {OURS: True, BASE: True, "anyio": True, "asyncio": True, "triotp": False, "pykka": False}
"""Name of the script -> whether it runs in our own environment."""

CASES = {
    "tell": 200_000,
    "burst": 400_000,
    "ask_1": 10_000,
    "ask_64": 20_000,
    "ask_1_deadline": 10_000,
    "ask_64_deadline": 20_000,
    "restart": 5_000,
    "idle": 10_000,
    "fair_4us": 1_000,
    "fair_35us": 1_000,
}
"""Case -> how many items (milliseconds for fairness) at full scale."""

TELL_RATIO_MIN = 8.0
ASK_RATIO_MIN = 1.5
RESTARTS_MIN = 5_000
IDLE_BYTES_MAX = 5 * 1024
LATE_MS_MAX = 2.0

Rounds = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""Case -> contender -> what it printed in each round."""


class Ask(NamedTuple):
    """One of the four cases of asking."""

    id: str
    case: str
    name: str


ASKS = (
    Ask("B6c", "ask_1", "ask, 1 client"),
    Ask("B6d", "ask_64", "ask, 64 clients"),
    Ask("B6e", "ask_1_deadline", "ask, 1 client, with a deadline"),
    Ask("B6f", "ask_64_deadline", "ask, 64 clients, with a deadline"),
)


def check_actors() -> None:
    """Make sure that the actor libraries are there.

    Raises:
        PeersMissing: they are not.
    """
    if not ACTORS_PYTHON.exists():
        raise PeersMissing("the actor libraries are not installed: run `make bench-actors`")


def play(rounds: int, scale: float, cases: Sequence[str] = tuple(CASES)) -> Rounds:
    """Let all contenders do all cases in turns, so that a slow moment of the machine meets all of them."""
    played: dict[str, dict[str, list[Mapping[str, Any]]]] = {
        case: {name: [] for name in CONTENDERS} for case in cases
    }
    for _ in range(rounds):
        for case in cases:
            count = str(max(50, int(CASES[case] * scale)))
            for name, ours in CONTENDERS.items():
                figures = run_contender(f"actors_{name}", case, count, ours=ours, peers=ACTORS_PYTHON)
                played[case][name].append(figures)
    return played


def figures_of(played: Rounds, case: str, key: str) -> dict[str, float]:
    """Every contender's median of one figure."""
    return {
        name: median(each[key] for each in turns)
        for name, turns in played[case].items()
        if turns and key in turns[0]
    }


def ratio_of(played: Rounds, case: str, base_case: str, key: str = "per_second") -> float:
    """The median of the rounds' ratios of ours to trio's."""
    pairs = zip(played[case][OURS], played[base_case][BASE], strict=True)
    return float(median(ours[key] / base[key] for ours, base in pairs))


def absences(played: Rounds, case: str) -> dict[str, str]:
    """Why a contender has no figure."""
    return {
        f"not {name}": turns[0]["absent"]
        for name, turns in played[case].items()
        if turns and "absent" in turns[0]
    }


def of_rates(played: Rounds) -> list[Verdict]:
    """B6: messages and requests."""
    found = []
    for id, case, name in (
        ("B6a", "tell", "tell, read with async for"),
        ("B6b", "burst", "tell, read in bursts"),
    ):
        figures = figures_of(played, case, "per_second")
        ours, ratio = figures.pop(OURS), ratio_of(played, case, "tell")
        if case == "burst":
            figures["trio, await both ways"] = figures_of(played, "tell", "per_second")[BASE]
        words, met = at_least(TELL_RATIO_MIN, ratio, "trio channel, await both ways")
        found.append(
            Verdict(id, name, "messages/s", ours, figures, ratio, words, met, absences(played, case))
        )
    for id, case, name in ASKS:
        figures = figures_of(played, case, "per_second")
        ours, ratio = figures.pop(OURS), ratio_of(played, case, case)
        details: dict[str, Any] = absences(played, case)
        against = "trio channel for each ask"
        if case.endswith("_deadline"):
            against += ", with fail_after"
            bare = ratio_of(played, case, case.removesuffix("_deadline"))
            details["against the same without a deadline"] = f"{bare:.3g} x"
        words, met = at_least(ASK_RATIO_MIN, ratio, against)
        found.append(Verdict(id, name, "requests/s", ours, figures, ratio, words, met, details))
    return found


def of_lives(played: Rounds) -> list[Verdict]:
    """B7: crashes and idle actors."""
    rates = figures_of(played, "restart", "per_second")
    restarts = rates.pop(OURS)
    sizes = figures_of(played, "idle", "bytes")
    size = sizes.pop(OURS)
    times = {
        f"{verb}, us each": {
            name: round(figure, 1) for name, figure in figures_of(played, "idle", f"{verb}_us").items()
        }
        for verb in ("start", "stop")
    }
    return [
        Verdict(
            "B7a",
            "restart of a crashed actor",
            "restarts/s",
            restarts,
            rates,
            restarts / RESTARTS_MIN,
            f">= {RESTARTS_MIN:,} a second",
            restarts >= RESTARTS_MIN,
            absences(played, "restart"),
        ),
        Verdict(
            "B7b",
            "idle actors (pykka: a tenth as many)",
            "bytes each",
            size,
            sizes,
            size / IDLE_BYTES_MAX,
            f"<= {IDLE_BYTES_MAX:,} bytes",
            size <= IDLE_BYTES_MAX,
            times,
        ),
    ]


def of_fairness(played: Rounds) -> list[Verdict]:
    """F: not a budget of the design but its promise of a time slice; four slices are what an honest one may cost."""
    found = []
    for id, case, handler in (("F1", "fair_4us", "4 us"), ("F2", "fair_35us", "35 us")):
        figures = figures_of(played, case, "p99_ms")
        late = figures.pop(OURS)
        details = {
            "p50, ms": {name: round(each, 3) for name, each in figures_of(played, case, "p50_ms").items()},
            "handled, 1000/s": {
                name: round(each / 1000, 1)
                for name, each in figures_of(played, case, "handled_per_second").items()
            },
        }
        name = f"lateness of a 1 ms ticker beside a never-empty actor, {handler} a message"
        words, met = f"<= {LATE_MS_MAX:g} ms (four time slices)", late <= LATE_MS_MAX
        found.append(Verdict(id, name, "ms p99", late, figures, late / LATE_MS_MAX, words, met, details))
    return found


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure.

    Raises:
        PeersMissing: the actor libraries are not installed.
    """
    check_actors()
    played = play(rounds, scale)
    return of_rates(played) + of_lives(played) + of_fairness(played)
