"""``loadsim simulate``: what it prints and how it ends."""

from __future__ import annotations

import json

from click.testing import CliRunner

from loadsim.commands.simulate import simulate


def run(*arguments: str):
    return CliRunner().invoke(simulate, arguments)


def test_a_seed_that_passes_prints_its_hash():
    done = run("--seed", "2", "--hours", "0.02", "--coverage")
    assert done.exit_code == 0, done.output
    assert "hash: " in done.output
    assert "1 of 1 runs passed" in done.output
    assert "never reached" in done.output


def test_a_failure_begins_and_ends_with_the_line_that_replays_it():
    done = run("--seed", "1", "--hours", "0.02", "--plant", "leaked_task", "--no-shrink")
    line = "python -m loadsim simulate --seed 1 --hours 0.02 --level message --plant leaked_task"
    assert done.exit_code == 1
    assert f"FAILED: {line}" in done.output
    assert f"replay: {line}" in done.output
    assert "R10 closing closes" in done.output


def test_json_is_one_document():
    done = run("--seeds", "2..3", "--hours", "0.02", "--json")
    document = json.loads(done.output)
    assert [each["seed"] for each in document["runs"]] == [2, 3]
    assert document["failed"] == 0


def test_too_little_coverage_fails_and_says_so():
    done = run("--seed", "2", "--hours", "0.02", "--coverage-min", "95", "--json")
    assert done.exit_code == 1
    assert "of the cells were reached, 95 % are wanted" in done.stderr
    assert json.loads(done.stdout)["coverage"]["share"] < 0.95


def test_what_cannot_be_used_is_refused():
    assert run().exit_code == 2
    assert run("--seeds", "9..3").exit_code == 2
    assert run("--seed", "1", "--faults", "x").exit_code == 2
