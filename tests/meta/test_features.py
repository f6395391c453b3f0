"""The table of features has every row of the list once, its tests exist, and nothing is done that names none."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from pathlib import Path

import pytest

PAGE = "docs/features.md"
STATUSES = {"done", "partly", "not done", "refused", "-"}
LIST = {
    "A": 27,
    "B": 7,
    "C": 21,
    "D": 9,
    "I": 9,
    "X": 18,
    "R": 5,
    "K": 16,
    "E": 15,
    "F": 10,
    "G": 7,
    "H": 11,
    "S": 13,
}
LIST["N"] = 30
"""How many rows each part of the list has."""

TEST = re.compile(r"[\w/]+\.py::\w+")


def rows_of(text: str) -> list[list[str]]:
    """The rows of every table whose columns are those of features: row, what, status, test, remark."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| [A-Z]\d", line)
    ]
    for row in cells:
        assert len(row) == 5, row
    return cells


def names_of(cell: str) -> list[str]:
    """``E1-E15`` and ``S1, S2`` as single rows."""
    found = []
    for part in cell.split(", "):
        first, _, last = part.partition("-")
        letter, end = first[0], int((last or first)[1:])
        found += [f"{letter}{number}" for number in range(int(first[1:]), end + 1)]
    return found


@functools.cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the tests in a file, without importing it."""
    tree = ast.parse(path.read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    )


def missing(cell: str, root: Path) -> list[str]:
    """What a cell names that is not there."""
    named = [name for name in cell.split(", ") if name]
    bad = [name for name in named if not TEST.fullmatch(name)]
    for name in set(named) - set(bad):
        file, _, test = name.partition("::")
        path = root / "tests" / file
        if not path.is_file() or test not in names_in(path):
            bad.append(name)
    return bad


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    return rows_of((Path(__file__).resolve().parents[2] / PAGE).read_text())


def test_every_row_of_the_list_is_there_once(rows):
    counted = Counter(name for row in rows for name in names_of(row[0]))
    assert counted == Counter(f"{letter}{n}" for letter, most in LIST.items() for n in range(1, most + 1))


def test_every_test_it_names_exists(rows, root):
    assert {row[0]: bad for row in rows if (bad := missing(row[3], root))} == {}


def test_statuses_are_known_and_what_is_done_names_one_or_two_tests(rows):
    for name, what, status, test, remark in rows:
        assert status in STATUSES, name
        assert what, name
        count = len([each for each in test.split(", ") if each])
        assert count <= 2, name
        if status == "done":
            assert count, f"{name} is called done, and nothing shows it"
        elif status in ("partly", "refused"):
            assert remark, f"{name}: what is missing?"


def test_what_a_remark_calls_a_test_exists_too(rows, root):
    every = {test for path in (root / "tests").rglob("test_*.py") for test in names_in(path)}
    for name, *_, remark in rows:
        for word in re.findall(r"\btest_\w+\b(?!\.py)", remark):
            assert word in every, (name, word)


def test_a_planted_row_is_found(root):
    (row,) = rows_of("| A1 | x | done | meta/test_features.py::test_nobody, nonsense | |")
    assert missing(row[3], root) == ["nonsense", "meta/test_features.py::test_nobody"]
    assert names_of("E1-E3") == ["E1", "E2", "E3"]
    assert names_of("S1, S3") == ["S1", "S3"]


def test_the_licence_is_permissive(root):
    assert (root / "LICENSE").read_text().startswith("MIT License")
    assert 'license = "MIT"' in (root / "pyproject.toml").read_text()
