"""`python -m potrio`: hands over to the command line, and says what to install where its libraries are missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""
"""Makes modules missing as they are where they have not been installed."""


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a small program."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(missing: str) -> None:
    done = run(HIDE.format(names={missing}) + "from potrio.__main__ import main; main()")

    assert done.returncode == 1
    assert done.stderr == f"potrio: the command line needs {missing}: pip install 'potrio[cli]'\n"


def test_another_missing_module_is_not_hidden() -> None:
    done = run(HIDE.format(names={"potrio.cli.demo"}) + "from potrio.__main__ import main; main()")

    assert "ModuleNotFoundError" in done.stderr


def test_the_package_itself_needs_neither() -> None:
    done = run(HIDE.format(names={"click", "rich"}) + "import potrio; print(potrio.__name__)")

    assert done.stdout == "potrio\n", done.stderr


def test_help_and_version() -> None:
    for option in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-m", "potrio", option], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0
        assert done.stdout
        assert done.stderr == ""
