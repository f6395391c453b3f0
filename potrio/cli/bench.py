"""`potrio bench`: the benchmarks of the checkout this potrio runs from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from potrio.errors import ConfigError

__all__ = ["bench", "checkout"]


def checkout() -> Path:
    """The folder that holds the benchmarks beside the package.

    Raises:
        ConfigError: potrio was installed without them.
    """
    root = Path(__file__).parents[2]
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise ConfigError(
            "bench",
            "the benchmarks are in the source repository, not in the package: clone it and run `make bench`",
        )
    return root


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> int:
    """Measure against peers in the same run; ARGUMENTS are those of the benchmarks (`potrio bench --help`).

    Needs the source repository and the peers' environments (`make bench-peers bench-actors`).
    """
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=checkout(), check=False).returncode
