"""Which files are reports; the commands themselves are tested with a run (`test_run.py`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadsim.commands.report import is_report, run_again
from potrio.errors import ConfigError


def test_a_report_is_told_from_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not is_report(path)
    path.write_text('{\n "schema": "potrio.loadsim.report/1"}')
    assert is_report(path)
    path.write_text('{"recording": 1}\n')
    assert not is_report(path)


def test_a_report_without_a_plan_cannot_be_run_again(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"schema": "potrio.loadsim.report/1", "run": {}}')
    with pytest.raises(ConfigError, match="no plan"):
        run_again(path, out=None, as_json=False)
