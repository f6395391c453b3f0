"""The actor benchmarks: every contender does every case to its end, and the verdicts are ratios of one run."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OURS = ["potrio", "trio", "anyio", "asyncio"]
PEERS = ["triotp", "pykka"]
RATES = ["tell", "burst", "ask_1", "ask_64", "ask_1_deadline", "ask_64_deadline", "restart"]
FAIR = ["fair_4us", "fair_35us"]
ABSENT = {("triotp", "burst"), ("pykka", "burst"), ("pykka", "restart")}
COUNT = 128


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks are not installed; they are run from the top of the checkout."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def _peers() -> None:
    """The actor libraries' environment; in continuous integration it must be there."""
    from benchmarks.actors import ACTORS_PYTHON

    if not ACTORS_PYTHON.exists():
        if os.environ.get("CI"):
            pytest.fail("the actor libraries are not installed: run `make bench-actors`")
        pytest.skip("the actor libraries are not installed: run `make bench-actors`")


@pytest.fixture(scope="module")
def actor_case() -> ModuleType:
    """What the contenders share, as a module."""
    path = ROOT / "benchmarks" / "contenders" / "actor_case.py"
    spec = importlib.util.spec_from_file_location("actor_case_of_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# --- the contenders --------------------------------------------------------------------------------------------------


def check_case(contender: str, case: str, figures: dict[str, Any]) -> None:
    """The figures of a case that was done to its end."""
    if (contender, case) in ABSENT:
        assert list(figures) == ["absent"]
    elif case in RATES:
        assert figures["items"] == COUNT
        assert figures["per_second"] > 0
    elif case == "idle":
        assert set(figures) == {"bytes", "start_us", "stop_us"}
    else:
        assert 0 <= figures["p50_ms"] <= figures["p99_ms"]
        assert figures["handled_per_second"] > 0


@pytest.mark.parametrize("contender", OURS)
@pytest.mark.parametrize("case", [*RATES, "idle", *FAIR])
def test_a_contender_does_a_case(contender: str, case: str) -> None:
    from benchmarks.processes import run_contender

    check_case(contender, case, run_contender(f"actors_{contender}", case, str(COUNT), ours=True))


@pytest.mark.usefixtures("_peers")
@pytest.mark.parametrize("contender", PEERS)
@pytest.mark.parametrize("case", [*RATES, "idle", *FAIR])
def test_a_peer_does_a_case(contender: str, case: str) -> None:
    from benchmarks.actors import ACTORS_PYTHON
    from benchmarks.processes import run_contender

    figures = run_contender(f"actors_{contender}", case, str(COUNT), peers=ACTORS_PYTHON)
    check_case(contender, case, figures)


def test_idle_actors_take_memory_and_time() -> None:
    from benchmarks.processes import run_contender

    figures = run_contender("actors_potrio", "idle", "1000", ours=True)

    assert 500 < figures["bytes"] < 100_000
    assert figures["start_us"] > 0
    assert figures["stop_us"] > 0


def test_lateness_counts_what_was_missed(actor_case: ModuleType) -> None:
    lateness = actor_case.Lateness(0)
    lateness.ran(10.0, 10.0002)
    lateness.ran(20.0, 20.0035)  # late, and three more were due meanwhile

    assert lateness.late == pytest.approx([0.0002, 0.0035, 0.0025, 0.0015, 0.0005])
    assert lateness.figures()["p99_ms"] == pytest.approx(3.5)
    assert lateness.over


# --- the verdicts ----------------------------------------------------------------------------------------------------


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch, actor_case: ModuleType) -> dict[str, float]:
    """Contenders that print what the test says; returns a table: script and case -> main figure."""
    from benchmarks import actors

    table: dict[str, float] = {}

    def run(script: str, case: str, count: str, **options: Any) -> dict[str, Any]:
        name = script.removeprefix("actors_")
        figure = table.get(f"{name} {case}", 1000.0)
        if (name, case) in ABSENT:
            return {"absent": "cannot"}
        if case == "idle":
            return {"bytes": figure, "start_us": 1.0, "stop_us": 2.0}
        if case in FAIR:
            return {"p50_ms": 0.1, "p99_ms": figure, "handled_per_second": 9.0}
        return {"items": int(count), "per_second": figure}

    monkeypatch.setattr(actors, "run_contender", run)
    monkeypatch.setattr(actors, "check_actors", lambda: None)
    return table


def test_budgets_at_their_limits_are_met(canned: dict[str, float]) -> None:
    from benchmarks import actors

    canned |= {"potrio tell": 8000, "potrio burst": 8000, "potrio restart": 5000, "potrio idle": 5120}
    canned |= {f"potrio {ask.case}": 1500 for ask in actors.ASKS} | {f"potrio {case}": 2.0 for case in FAIR}
    found = actors.verdicts(3, 1)

    assert [each.id for each in found] == [*(f"B6{letter}" for letter in "abcdef"), "B7a", "B7b", "F1", "F2"]
    assert [each.id for each in found if not each.met] == []


def test_budgets_beyond_their_limits_are_missed(canned: dict[str, float]) -> None:
    from benchmarks import actors

    canned |= {"potrio tell": 7999, "potrio burst": 7999, "potrio restart": 4999, "potrio idle": 5121}
    canned |= {f"potrio {ask.case}": 1499 for ask in actors.ASKS} | {f"potrio {case}": 2.1 for case in FAIR}

    assert [each.id for each in actors.verdicts(1, 1) if each.met] == []


def test_bursts_are_held_against_awaiting_both_ways(canned: dict[str, float]) -> None:
    from benchmarks import actors

    canned |= {"trio burst": 99_000, "trio tell": 100, "potrio burst": 900, "anyio burst": 7}
    (burst,) = [each for each in actors.verdicts(1, 1) if each.id == "B6b"]

    assert burst.ratio == 9
    assert burst.peers == {"trio": 99_000, "anyio": 7, "asyncio": 1000, "trio, await both ways": 100}
    assert burst.details == {"not triotp": "cannot", "not pykka": "cannot"}
    assert json.dumps(burst.as_dict())


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    from benchmarks import actors

    ours = [{"per_second": figure} for figure in (10.0, 100.0, 30.0)]
    base = [{"per_second": figure} for figure in (1.0, 50.0, 10.0)]
    played = {"tell": {"potrio": ours, "trio": base}}

    assert actors.ratio_of(played, "tell", "tell") == 3
    assert actors.figures_of(played, "tell", "per_second") == {"potrio": 30, "trio": 10}


def test_without_the_libraries_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks import actors
    from benchmarks.processes import PeersMissing

    monkeypatch.setattr(actors, "ACTORS_PYTHON", tmp_path / "python")
    with pytest.raises(PeersMissing, match="make bench-actors"):
        actors.verdicts(1, 1)
