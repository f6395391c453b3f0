"""The simulation's benchmark runs, and its figure is of what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks are not installed; they are run from the top of the checkout."""
    monkeypatch.syspath_prepend(str(ROOT))


def test_one_verdict_of_b9() -> None:
    from benchmarks import simulation

    (verdict,) = simulation.verdicts(1, 0.05)

    assert verdict.id == "B9"
    assert verdict.ours > 100
    assert verdict.details["runs"][0]["ticks"] > 500
