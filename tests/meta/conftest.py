"""Where the repository is, and which of its files the meta tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def sources(root: Path) -> list[Path]:
    """Every Python file of the two packages, sorted."""
    return sorted(path for package in ("potrio", "loadsim") for path in (root / package).rglob("*.py"))
