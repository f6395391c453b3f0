"""Several load tests one after the other, a JSON file for each, and which of them did best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadsim.tester.config import LoadTestConfig
from loadsim.tester.report import GOOD
from loadsim.tester.tester import LoadTester
from potrio.seam import REAL, Seam

__all__ = ["TESTS", "Comparison", "run_comparison"]

TESTS: Mapping[str, LoadTestConfig] = {
    "basic": LoadTestConfig(concurrent_clients=3, operations_per_client=10, operation_delay=0.5),
    "trading": LoadTestConfig(
        concurrent_clients=5, operations_per_client=20, operation_delay=0.2, include_trading_operations=True
    ),
    "stress": LoadTestConfig(
        concurrent_clients=3, operations_per_client=20, stress_mode=True, phase_pause_s=1.0
    ),
}
"""The three tests of ``loadsim load-test``."""


class Comparison(msgspec.Struct, frozen=True):
    """What several tests gave. ``is_good``: no report had anything to recommend."""

    test_comparison: list[dict[str, Any]]
    best_performance: dict[str, Any]
    is_good: bool


async def run_comparison(
    tester: LoadTester, tests: Mapping[str, LoadTestConfig], out: Path | None = None, *, seam: Seam = REAL
) -> Comparison:
    """Run tests one after the other.

    Args:
        tester: whose venue is tested.
        tests: name -> what to do.
        out: a folder for ``load_test_NAME.json`` of each, and ``comparison.json``.
        seam: the door to files.

    Waits for all tests; cancelling ends the present one. OSError where the folder cannot be written.
    """
    reports = {}
    for name, config in tests.items():
        reports[name] = await tester.run_load_test(config)
        if out is not None:
            write(out / f"load_test_{name}.json", reports[name], seam)
    rows = [row_of(name, report) for name, report in reports.items()]
    fastest = max(rows, key=lambda row: row["throughput"])
    surest = max(rows, key=lambda row: row["success_rate"])
    found = Comparison(
        rows,
        {
            "throughput": {"test": fastest["test"], "value": fastest["throughput"]},
            "reliability": {"test": surest["test"], "value": surest["success_rate"]},
        },
        all(report["recommendations"] == [GOOD] for report in reports.values()),
    )
    if out is not None:
        write(out / "comparison.json", msgspec.to_builtins(found), seam)
    return found


def row_of(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """One test in a line."""
    summary = report["test_summary"]
    return {
        "test": name,
        "total_operations": summary["total_operations"],
        "success_rate": summary["success_rate"],
        "throughput": summary["avg_operations_per_second"],
        "peak_throughput": summary["peak_operations_per_second"],
        "duration": summary["total_duration"],
        "recommendations": report["recommendations"],
    }


def write(path: Path, value: Mapping[str, Any], seam: Seam) -> None:
    """Write a report as JSON, whole or not at all."""
    seam.write_file(path, json.dumps(value, indent=1, allow_nan=False).encode() + b"\n", mode=0o644)
