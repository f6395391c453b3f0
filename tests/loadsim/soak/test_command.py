"""The command: what it is given, what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from loadsim.soak import command
from loadsim.soak.verdict import Verdict


@pytest.fixture
def plans(monkeypatch):
    """What is run, and whether it holds, without running it."""
    seen = []

    def run(plan, say):
        verdict = Verdict()
        verdict.check("P1", plan.seed != 13, "order x came 2 times", 1.0)
        seen.append(plan)
        return verdict.part(type(plan).__name__, plan.seed, 1.0, {})

    monkeypatch.setattr(command, "run_simulated", run)
    monkeypatch.setattr(command, "run_wire", run)
    return seen


def soak(*arguments: str):
    return CliRunner().invoke(command.soak, arguments, standalone_mode=False)


def test_by_default_it_is_ten_hours_and_ten_minutes_and_the_seed_is_told(plans):
    result = soak()
    simulated, wire = plans
    assert (simulated.hours, simulated.rounds, wire.seconds) == (10.0, 20, 600.0)
    assert simulated.seed == wire.seed
    assert f"seed {wire.seed}" in result.output
    assert result.return_value == 0


def test_a_breach_is_told_and_ends_with_1(plans):
    result = soak("--seed", "13", "--minutes", "0")
    assert len(plans) == 1
    assert result.return_value == 1
    assert "order x came 2 times" in result.output
    assert "NOT all held" in result.output


def test_json_is_the_only_thing_on_standard_output(plans, tmp_path):
    file = tmp_path / "soak.json"
    result = soak("--seed", "7", "--short", "--json", "--output", str(file))
    value = json.loads(result.stdout)
    assert value == json.loads(file.read_bytes())
    assert (value["held"], value["seed"], len(value["parts"])) == (True, 7, 2)
    assert [round(plan.seconds, 3) for plan in plans[1:]] == [8.0]
    assert plans[0].rounds == 4


def test_nothing_to_do_is_an_error(plans):
    result = soak("--hours", "0", "--minutes", "0")
    assert "nothing is left to do" in str(result.exception)
    assert plans == []
