"""The examples run to their end by themselves, quickly, and say what they should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

EXPECTED = {
    "worker_pool.py": ["37 of 40 jobs done, 3 failed: [12, 25, 38]"],
    "tcp_chat.py": ["Ada heard 9 lines", "Alan heard 9 lines", "Grace heard 9 lines"],
    "periodic_job.py": ["crashed: __main__.ServiceDown", "none fetched twice: True"],
    "pipeline.py": ["200 items in order: True; at most 8 waited anywhere"],
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for line in EXPECTED[name]:
        assert line in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_examples_are_short(name: str) -> None:
    assert (EXAMPLES / name).read_text().count("\n") <= 80
