"""`python -m potrio` and the `potrio` command: says what to install where the command line's libraries are missing."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from potrio.cli.main import run
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(f"potrio: the command line needs {error.name}: pip install 'potrio[cli]'")
    sys.exit(run())


if __name__ == "__main__":
    main()
