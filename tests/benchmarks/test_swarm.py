"""The swarm's benchmark runs with few clients, and its figures are of what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks are not installed; they are run from the top of the checkout."""
    monkeypatch.syspath_prepend(str(ROOT))


def test_each_mux_client_gets_a_tick_a_second() -> None:
    from benchmarks import swarm

    got = swarm.measured("mux", 60, 2.0)

    assert got["clients"] == 60
    assert got["items"] / got["seconds"] == pytest.approx(60, rel=0.25)
    assert 0 < got["cpu_seconds"] < got["seconds"]
    assert 0 < got["late_p50_ms"] <= got["late_p99_ms"]


def test_full_clients_get_theirs() -> None:
    from benchmarks import swarm

    got = swarm.measured("full", 4, 2.0)

    assert got["items"] / got["seconds"] == pytest.approx(4, rel=0.5)
    assert got["kib_per_client"] > 0


def test_verdicts_name_what_could_not_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import swarm

    def measured(kind: str, clients: int, seconds: float) -> dict[str, float]:
        per_tick = 5e-6 if kind == "mux" else 400e-6
        items = clients * seconds
        late = {"late_p50_ms": 1.0, "late_p99_ms": 2.0}
        return {
            "clients": clients,
            "items": items,
            "seconds": seconds,
            "cpu_seconds": items * per_tick,
            "kib_per_client": 1.5,
        } | late

    monkeypatch.setattr(swarm, "measured", measured)
    monkeypatch.setattr(swarm, "descriptors", lambda: 12_000)
    found = {each.id: each for each in swarm.verdicts(1, 1.0)}

    assert set(found) == {"B5a", "B5b", "B5c", "B5d", "B5e", "G3"}
    assert found["B5a"].ours == pytest.approx(5.0)
    assert found["B5b"].ours == pytest.approx(5.0)
    assert found["B5e"].ours == pytest.approx(2500)
    assert found["G3"].ours == pytest.approx(1.0)
    assert found["G3"].details["sizes left out for want of descriptors"] == [15_000]
    assert all(each.met for each in found.values())
