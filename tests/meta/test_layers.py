"""Imports point down a floor and never in a circle; and each contract is shown to catch what it forbids."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

LINT = (
    "import sys; from importlinter.cli import lint_imports; "
    "sys.exit(lint_imports(no_cache=True, no_logo=True, limit_to_contracts=tuple(sys.argv[1:])))"
)


def lint(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages below a folder, with the contracts of its pyproject.toml."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", LINT, *contracts],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_contracts_are_kept(root: Path) -> None:
    done = lint(root)

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


PLANTED = [
    ("sans-io", "potrio/protocol/ssid.py", "import trio"),
    ("sans-io", "potrio/protocol/engineio.py", "def f():\n    import time"),
    ("sans-io", "potrio/protocol/session.py", "import random"),
    ("sans-io", "potrio/protocol/messages/market.py", "import logging"),
    ("floors", "potrio/protocol/candles.py", "from potrio.supervision import exit"),
    ("floors", "potrio/protocol/candles.py", "from potrio.transport import dial"),
    ("floors", "potrio/actors/router.py", "from potrio.client import client"),
    ("floors", "potrio/errors.py", "from potrio import seam"),
    ("floors", "potrio/unplaced.py", '"""Chooses no floor."""'),
    ("protocol", "potrio/protocol/unplaced.py", '"""Chooses no stair."""'),
    ("protocol", "potrio/protocol/engineio.py", "from potrio.protocol import session"),
    ("generic", "potrio/supervision/mailbox.py", "from potrio.protocol import engineio"),
    ("pure", "potrio/supervision/plan.py", "import trio"),
    ("pure", "potrio/supervision/backoff.py", "import time"),
    ("one-door", "potrio/transport/dial.py", "import trio_websocket"),
    ("front-door", "potrio/client/client.py", "from potrio import open_client"),
    ("loadsim", "potrio/cli/demo.py", "def f():\n    import loadsim.venue"),
    ("circles", "loadsim/venue/assets.py", "from loadsim.venue import server"),
]


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages that a test may spoil."""
    folder = tmp_path_factory.mktemp("planted")
    for package in ("potrio", "loadsim"):
        shutil.copytree(root / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(
    ("contract", "path", "line"), PLANTED, ids=lambda value: str(value).split("/")[-1][:24]
)
def test_a_planted_violation_is_caught(contract: str, path: str, line: str, copy: Path) -> None:
    file = copy / path
    assert file.exists() or "unplaced" in path, f"{path} has moved: plant it somewhere else"
    before = file.read_bytes() if file.exists() else None
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{line}\n")

        done = lint(copy, contract)
    finally:
        file.unlink() if before is None else file.write_bytes(before)

    assert done.returncode == 1, done.stdout + done.stderr
    assert " 1 broken" in done.stdout or "exhaustive" in done.stdout + done.stderr, done.stdout + done.stderr


def knots(graph: grimp.ImportGraph) -> list[set[str]]:
    """The groups of modules that reach each other (Tarjan); a knot may be tied through a package and its child."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for imported in graph.find_modules_directly_imported_by(module):
            if imported not in index:
                visit(imported)
                low[module] = min(low[module], low[imported])
            elif imported in stack:
                low[module] = min(low[module], index[imported])
        if low[module] == index[module]:
            knot = set(stack[stack.index(module) :])
            del stack[stack.index(module) :]
            if len(knot) > 1:
                found.append(knot)

    for module in sorted(graph.modules):
        if module not in index:
            visit(module)
    return found


def test_no_knot_of_modules(root: Path) -> None:
    assert knots(grimp.build_graph("potrio", "loadsim", cache_dir=None)) == []


def test_knots_finds_one() -> None:
    graph = grimp.ImportGraph()
    for module in "abcd":
        graph.add_module(module)
    for importer, imported in ("ab", "bc", "ca", "cd"):
        graph.add_import(importer=importer, imported=imported)

    assert knots(graph) == [{"a", "b", "c"}]
