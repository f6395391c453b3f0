"""Benchmarks measure what they say: every contender gets the same ticks out, and the command prints ratios."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks are not installed; they are run from the top of the checkout."""
    monkeypatch.syspath_prepend(str(ROOT))


def test_every_contender_decodes_the_same_ticks() -> None:
    from benchmarks import decode

    ticks = decode.ticks_of(3000)
    reads = decode.wire_of(ticks)

    assert len(reads) > 1, "the cuts between reads must be among what is measured"
    assert decode.through_potrio(reads) == ticks
    assert decode.through_wsproto(reads) == ticks
    assert decode.through_msgspec(msgspec.json.encode(ticks)) == ticks


def test_the_command_prints_json_with_ratios() -> None:
    command = [sys.executable, "-m", "benchmarks", "decode", "--count", "200", "--rounds", "1", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    (report,) = json.loads(done.stdout)

    assert [row["items"] for row in report["rows"]] == [200, 200, 200]
    assert {row["name"]: row["ratio"] for row in report["rows"]}["msgspec, one array"] == 1.0
    assert all(row["per_second"] > 0 for row in report["rows"])
    assert len(report["budgets"]) == 2


def test_the_command_prints_a_table_and_names_what_there_is() -> None:
    command = [sys.executable, "-m", "benchmarks", "--count", "200", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    wrong = subprocess.run(
        [*command, "nothing"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert "wsproto + msgspec" in done.stdout
    assert "ticks/s" in done.stdout
    assert wrong.returncode == 2
    assert "no benchmark named nothing" in wrong.stderr
