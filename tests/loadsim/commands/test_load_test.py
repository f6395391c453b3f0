"""The command runs against a venue of its own, writes its files, and its exit code says whether there is advice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from loadsim.commands import load_test as module
from loadsim.commands.load_test import load_test
from loadsim.tester.config import Advice, LoadTestConfig
from potrio.errors import ConfigError

QUICK = {
    "basic": LoadTestConfig(concurrent_clients=2, operations_per_client=4, operation_delay=0.05),
    "trading": LoadTestConfig(
        concurrent_clients=2, operations_per_client=8, operation_delay=0.05, include_trading_operations=True
    ),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TESTS", QUICK)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(load_test, [*arguments], standalone_mode=False)


def test_it_tells_compares_and_writes(tmp_path: Path) -> None:
    done = run("--out", str(tmp_path / "new" / "folder"))

    assert done.exception is None
    assert done.return_value == 0
    lines = done.output.splitlines()
    assert lines[0].split() == ["test", "operations", "success", "per", "second", "peak", "seconds"]
    assert lines[1].split()[:3] == ["basic", "8", "100.0%"]
    assert lines[2].split()[:3] == ["trading", "16", "100.0%"]
    assert "fastest: " in done.output
    folder = tmp_path / "new" / "folder"
    assert set(os.listdir(folder)) == {"load_test_basic.json", "load_test_trading.json", "comparison.json"}
    assert (
        json.loads((folder / "load_test_trading.json").read_text())["test_summary"]["total_operations"] == 16
    )


def test_one_alone_and_advice_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = msgspec.structs.replace(QUICK["basic"], advice=Advice(throughput_min=1e6))
    monkeypatch.setattr(module, "TESTS", {"basic": strict})
    done = run()

    assert done.return_value == 99
    assert "basic: " in done.output
    assert "more clients, or less delay" in done.output


def test_only_this_machine() -> None:
    done = run("--url", "wss://api-eu.po.market/socket.io/?EIO=4&transport=websocket")

    assert isinstance(done.exception, ConfigError)
    assert "public" in str(done.exception)
