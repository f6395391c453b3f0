"""Growth and soak: every tick is delivered to every reader, and a slope is what was put in."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.mark.parametrize(("assets", "readers"), [(1, 1), (400, 1), (1, 100), (4, 3)])
def test_every_reader_gets_every_tick(assets: int, readers: int) -> None:
    from benchmarks.growth import Path as Delivery

    path = Delivery(assets, readers)

    assert trio.run(path.run, path.reads(3000)) == 3000 * readers
    assert path.feeds.unwanted == path.feeds.out_of_order == 0


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_the_exponent_is_the_power_of_the_cost(power: float) -> None:
    from benchmarks.growth import exponent

    assert exponent([(size, 3.0 * size**power) for size in (1, 10, 400)]) == pytest.approx(power)


def test_a_cost_that_grows_is_missed() -> None:
    from benchmarks.growth import verdict

    assert verdict("G1", "x", {1: 1.0, 100: 1.0}).met
    assert not verdict("G1", "x", {1: 1.0, 100: 2.0}).met


def test_the_slope_of_memory_leaves_the_warming_up_out() -> None:
    from benchmarks.soak import slope_kib

    flat = [(n * 1000, 100 + 50 * (n < 10)) for n in range(80)]
    leaking = [(n * 500_000, 100 + 7 * n) for n in range(80)]

    assert slope_kib(flat) == pytest.approx(0.0, abs=1e-6)
    assert slope_kib(leaking) == pytest.approx(7.0)


def test_a_soak_takes_every_tick_of_a_blast_that_comes_again() -> None:
    from benchmarks.soak import verdicts

    (found,) = verdicts(1, 0.004)

    assert found.details["dropped by our stream"] == 0
    assert found.name.endswith("over 40,000 frames")
