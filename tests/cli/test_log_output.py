"""The log of a command: lines on standard error, or JSON in a file; then everything is as it was."""

from __future__ import annotations

import json
import logging

import pytest

from potrio.cli.log_output import logging_to
from potrio.errors import ConfigError
from potrio.logs import ROOT, potrio_logger

from .conftest import TOKEN, Command


def test_json_lines_with_fields(tmp_path) -> None:
    before = (list(ROOT.handlers), ROOT.level, list(logging.getLogger().handlers))
    with logging_to("DEBUG", tmp_path / "log"):
        potrio_logger("test").debug("first %s", 1, extra={"kind": "x", "epoch": 2})
        try:
            raise ValueError("broken")
        except ValueError:
            potrio_logger("test").exception("second")
    potrio_logger("test").error("not any more")
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("DEBUG", "potrio.test", "first 1")
    assert (first["kind"], first["epoch"]) == ("x", 2)
    assert "ValueError: broken" in second["traceback"]
    assert before == (list(ROOT.handlers), ROOT.level, list(logging.getLogger().handlers))


def test_nothing_is_done_unless_asked() -> None:
    handlers = list(ROOT.handlers)
    with logging_to(None, None):
        assert list(ROOT.handlers) == handlers


def test_a_file_that_cannot_be_written(tmp_path) -> None:
    with pytest.raises(ConfigError, match="log-file"), logging_to(None, tmp_path):
        raise AssertionError("it is a folder")


def test_a_command_with_its_log(potrio: Command, venue_url: str, tmp_path) -> None:
    done = potrio("balance", "--url", venue_url, "--log-level", "info")
    assert done.out == "50000.00 (demo)\n"
    assert "INFO potrio.client: connection 1 is ready" in done.err
    done = potrio("balance", "--url", venue_url, "--log-file", str(tmp_path / "log"))
    assert done.err == ""
    kinds = [json.loads(line).get("kind") for line in (tmp_path / "log").read_text().splitlines()]
    assert "up" in kinds
    assert TOKEN not in (tmp_path / "log").read_text()
