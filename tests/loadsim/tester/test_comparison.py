"""Several tests, a file for each, and which did best."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from loadsim.tester.comparison import TESTS, run_comparison
from loadsim.tester.config import Advice, LoadTestConfig
from loadsim.tester.tester import LoadTester

FAST = LoadTestConfig(concurrent_clients=3, operations_per_client=5, operation_delay=0.1)
SLOW = LoadTestConfig(concurrent_clients=1, operations_per_client=5, operation_delay=0.9)


def test_there_are_three_and_each_finds_something_else() -> None:
    assert len(TESTS) == 3
    assert [config.stress_mode for config in TESTS.values()] == [False, False, True]
    assert [config.include_trading_operations for config in TESTS.values()] == [False, True, False]


async def test_the_comparison_and_its_files(tester: LoadTester, tmp_path: Path, autojump_clock) -> None:
    found = await run_comparison(tester, {"slow": SLOW, "fast": FAST}, tmp_path)

    assert [row["test"] for row in found.test_comparison] == ["slow", "fast"]
    assert [row["total_operations"] for row in found.test_comparison] == [5, 15]
    assert found.best_performance["throughput"]["test"] == "fast"
    assert found.best_performance["throughput"]["value"] == found.test_comparison[1]["throughput"]
    assert found.best_performance["reliability"] == {"test": "slow", "value": 1.0}
    assert found.is_good
    assert set(os.listdir(tmp_path)) == {
        "load_test_slow.json",
        "load_test_fast.json",
        "comparison.json",
    }
    report = json.loads((tmp_path / "load_test_fast.json").read_text())
    assert report["test_summary"]["total_operations"] == 15
    assert (
        json.loads((tmp_path / "comparison.json").read_text())["best_performance"] == found.best_performance
    )


async def test_it_is_not_good_where_a_report_has_advice(tester: LoadTester, autojump_clock) -> None:
    strict = LoadTestConfig(
        concurrent_clients=1, operations_per_client=2, operation_delay=0.1, advice=Advice(throughput_min=1e6)
    )

    assert not (await run_comparison(tester, {"fast": FAST, "strict": strict})).is_good


async def test_a_folder_that_cannot_be_written(tester: LoadTester, tmp_path: Path, autojump_clock) -> None:
    with pytest.raises(FileNotFoundError):
        await run_comparison(tester, {"fast": FAST}, tmp_path / "none")
