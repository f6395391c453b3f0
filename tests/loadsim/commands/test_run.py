"""`loadsim run` as a user has it: a report on disk, exit codes, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLAN = """
[run]
name = "little"
duration = "1s"
seed = 3
[[load]]
client = "a"
model = "closed"
users = [{ at = "0s", n = 3 }]
[[act]]
client = "a"
do = "balance"
every = "100ms"
after = "200ms"
[limits]
lag_p99_ms = 5000
cpu_pct = 500
omitted = 1000
[thresholds]
list = ["errors: count == 0"]
"""
SECONDS = 60


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def loadsim(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadsim", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_a_run_leaves_a_report_that_can_be_judged_compared_and_run_again(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = loadsim("run", plan, "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "little: valid, exit 0 (ok)" in done.stdout
    assert "oracle ok   balances to the cent" in done.stdout
    assert {path.name for path in out.iterdir()} == {
        "report.json",
        "report.html",
        "timeline.csv",
        "junit.xml",
    }
    document = json.loads((out / "report.json").read_text())
    assert document["run"]["argv"][0] == "run"
    assert document["counters"]["started"] > 0

    report = out / "report.json"
    assert loadsim("check", report).returncode == 0
    assert loadsim("check", report, "--threshold", "rtt: p50 < 1us").returncode == 99
    again = loadsim("replay", report, "--out", tmp_path / "again", "--json")
    assert again.returncode == 0, again.stderr
    second = json.loads(again.stdout)
    for key in ("seed", "plan_digest"):
        assert second["run"][key] == document["run"][key]
    assert second["counters"]["planned"] == document["counters"]["planned"]
    compared = loadsim("diff", report, tmp_path / "again" / "report.json")
    assert "planned" in compared.stdout
    merged = loadsim("merge", report, tmp_path / "again" / "report.json", "--out", tmp_path / "merged")
    assert merged.returncode == 0, merged.stderr
    both = json.loads((tmp_path / "merged" / "report.json").read_text())
    assert both["counters"]["planned"] == 2 * document["counters"]["planned"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_partial_report(plan: Path, tmp_path: Path, number: int, code: int) -> None:
    plan.write_text(PLAN.replace('duration = "1s"', 'duration = "60s"'))
    out = tmp_path / "out"
    engine = ["--procs", "1"] if number == signal.SIGINT else []
    process = start("run", plan, "--out", out, *engine)
    read_until_it_runs(process)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=SECONDS)

    assert process.returncode == code, said
    document = json.loads((out / "report.json").read_text())
    assert document["exit"] == {"code": code, "name": "interrupted" if code == 130 else "terminated"}
    assert document["run"]["duration_s"] < 60
    assert document["counters"]["started"] > 0


def test_a_second_signal_ends_at_once(plan: Path, tmp_path: Path) -> None:
    plan.write_text(PLAN.replace('duration = "1s"', 'duration = "60s"'))
    process = start("run", plan, "--procs", "1")
    read_until_it_runs(process)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=SECONDS)

    assert process.returncode == 130


def start(*words: object) -> subprocess.Popen[str]:
    """A run in a session of its own, so that a signal for it is for nobody else."""
    command = [sys.executable, "-m", "loadsim", *map(str, words)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def read_until_it_runs(process: subprocess.Popen[str]) -> None:
    """Until it says that a second, or more, of the run has passed."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if re.match(r"t [1-9]\d*/60 s", line):
            return
        said.append(line)
    process.communicate()
    raise AssertionError(f"it ended before it began: {said}")


def test_input_that_cannot_be_used(plan: Path, tmp_path: Path) -> None:
    assert loadsim("run", tmp_path / "none.toml").returncode == 2
    refused = loadsim("run", plan, "--target", "wss://api-eu.po.market/socket.io/")
    assert refused.returncode == 2
    assert "public service" in refused.stderr
    away = loadsim("run", plan, "--target", "ws://127.0.0.1:1/socket.io/")
    assert away.returncode == 3
    assert away.stderr.startswith("error: the target is not usable")


def test_a_shard_that_gets_no_spec_says_why() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadsim", "shard"], cwd=ROOT, input=b"nonsense\n", capture_output=True, timeout=SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"refused" in done.stdout
