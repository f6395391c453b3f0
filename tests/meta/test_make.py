"""`make` works on a machine that has only a new enough Python: it finds one, says so in a line when there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TARGETS = [
    "help",
    "install",
    "peers",
    "demo",
    "test",
    "check",
    "sweep",
    "fix",
    "types",
    "layers",
    "lint",
    "bench",
    "autobahn",
    "bench-peers",
    "docs",
    "clean",
]


@pytest.fixture
def bare(root: Path, tmp_path: Path) -> Path:
    """A folder with what make reads, and nothing made yet."""
    interop = ("tests/interop/requirements.txt", "tests/interop/clients.txt")
    for name in (
        "Makefile",
        "pyproject.toml",
        "benchmarks/requirements.txt",
        "benchmarks/requirements-actors.txt",
        *interop,
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    return tmp_path


def pythons(folder: Path, **new_enough: bool) -> str:
    """A path on which these names are Pythons that are new enough, or not; and the shell's own tools."""
    tools = folder / "bin"
    tools.mkdir()
    for name, good in new_enough.items():
        program = tools / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\nexit {0 if good else 1}\n")
        program.chmod(0o755)
    for tool in ("sh", "make", "touch", "grep", "sed", "expand"):
        found = shutil.which(tool)
        assert found, f"no {tool} here"
        (tools / tool).symlink_to(found)
    return str(tools)


def make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run make in a folder, as a user of its own: not as a part of the make that runs these tests."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "PYTHON")
    }
    environment = {**inherited, "PATH": path or inherited["PATH"]}
    command = ["make", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_there(bare: Path, target: str) -> None:
    done = make(bare, "--dry-run", target)

    assert done.returncode == 0, done.stderr


def test_help_names_them(bare: Path) -> None:
    shown = make(bare).stdout

    assert [target for target in TARGETS if target not in shown] == []


def test_check_does_everything_a_merge_needs(bare: Path) -> None:
    plan = make(bare, "--dry-run", "check").stdout

    for tool in ("ruff format --check", "ruff check", "mypy", "lint-imports", "sphinx-build", "-m pytest"):
        assert tool in plan
    assert "tests/interop/requirements.txt" in plan, "the third-party clients are a part of it"


def test_ci_runs_check_and_the_sweep_and_nothing_else(root: Path) -> None:
    script = root / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "exec make check sweep"


def test_the_sweep_is_two_hundred_seeds(bare: Path) -> None:
    plan = make(bare, "--dry-run", "sweep").stdout

    assert "-m loadsim simulate --seeds 1..200 --hours 0.2 --jobs 2" in plan


def test_an_old_python3_is_passed_over(bare: Path) -> None:
    path = pythons(bare, python3=False, python3_13=False, python3_12=True, python3_11=True)
    plan = make(bare, "--dry-run", "install", path=path).stdout

    assert "python3.12 -m venv .venv" in plan


def test_no_python_is_one_line(bare: Path) -> None:
    done = make(bare, "install", path=pythons(bare, python3=False))

    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("potrio needs Python 3.11 or newer: install it")
    assert not (bare / ".venv").exists()


def test_a_python_that_is_named_and_too_old_is_one_line(bare: Path) -> None:
    path = pythons(bare, python3=True, python3_9=False)
    done = make(bare, "install", "PYTHON=python3.9", path=path)

    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("potrio needs Python 3.11 or newer; python3.9 is not")
