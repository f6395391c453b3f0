"""`python -m loadsim` is the command line of `cli.py`."""

from __future__ import annotations

import subprocess
import sys

from loadsim.__main__ import main
from loadsim.cli import main as command_line


def test_the_module_runs_the_command_line() -> None:
    assert main is command_line
    done = subprocess.run(
        [sys.executable, "-m", "loadsim", "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert "venue" in done.stdout
    assert "conformance" in done.stdout
