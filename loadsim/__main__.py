"""`python -m loadsim`: see `cli.py`."""

from __future__ import annotations

from loadsim.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
