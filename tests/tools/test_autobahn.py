"""The judge of the Autobahn runs: what passes, what does not, and that the page says what was measured."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def autobahn() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("autobahn_script", ROOT / "tools" / "autobahn.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def index(**entries: tuple[str, str]) -> dict[str, Any]:
    """The suite's index.json."""
    return {
        "potrio": {
            name.lstrip("c").replace("_", "."): {"behavior": behavior, "behaviorClose": close, "duration": 2}
            for name, (behavior, close) in entries.items()
        }
    }


def test_cases_come_in_the_order_of_their_numbers(autobahn: ModuleType) -> None:
    cases = autobahn.cases_of(index(c10_1_1=("OK", "OK"), c9_1_1=("OK", "OK"), c1_10=("OK", "OK")), "potrio")

    assert [case.id for case in cases] == ["1.10", "9.1.1", "10.1.1"]
    assert [case.family for case in cases] == ["1", "9", "10"]
    assert autobahn.cases_of({}, "potrio") == []


@pytest.mark.parametrize(
    ("case", "behavior", "close", "fault"),
    [
        ("c1_1", "OK", "OK", None),
        ("c3_2", "NON-STRICT", "OK", None),
        ("c7_1_6", "INFORMATIONAL", "INFORMATIONAL", None),
        ("c12_1_1", "UNIMPLEMENTED", "UNIMPLEMENTED", None),
        ("c13_1_1", "UNIMPLEMENTED", "UNIMPLEMENTED", None),
        ("c9_1_1", "UNIMPLEMENTED", "UNIMPLEMENTED", "9.1.1: UNIMPLEMENTED"),
        ("c12_1_1", "FAILED", "OK", "12.1.1: FAILED"),
        ("c1_1", "FAILED", "OK", "1.1: FAILED"),
        ("c1_1", "OK", "UNCLEAN", "1.1: closed: UNCLEAN"),
        ("c1_1", "OK", "FAILED BY CLIENT", "1.1: closed: FAILED BY CLIENT"),
        ("c1_1", "something new", "OK", "1.1: something new"),
    ],
)
def test_what_passes_and_what_does_not(
    autobahn: ModuleType, case: str, behavior: str, close: str, fault: str | None
) -> None:
    cases = autobahn.cases_of(index(**{case: (behavior, close)}), "potrio")

    assert autobahn.faults_of(cases, []) == ([fault] if fault else [])


def test_a_family_that_did_not_run_is_a_fault(autobahn: ModuleType) -> None:
    cases = autobahn.cases_of(index(c1_1=("OK", "OK")), "potrio")

    assert autobahn.faults_of(cases, ["1"]) == []
    assert autobahn.faults_of(cases, ["1", "2"]) == ["2.*: did not run"]


def test_the_page_counts_what_was_found(autobahn: ModuleType) -> None:
    cases = autobahn.cases_of(
        index(
            c1_1=("OK", "OK"),
            c1_2=("FAILED", "UNCLEAN"),
            c3_2=("NON-STRICT", "OK"),
            c12_1_1=("UNIMPLEMENTED", "UNIMPLEMENTED"),
        ),
        "potrio",
    )
    page = autobahn.render({"Server": cases}, "today")

    assert "Last run: today." in page
    assert f"| 1.* | {autobahn.FAMILIES['1']} | 2 | 1 | 0 | 0 | 0 | 1 |" in page
    assert "| **all** | | 4 | 1 | 1 | 0 | 1 | 1 |" in page
    assert "not closed cleanly: 1." in page
    assert "Non-strict: 3.2." in page
    assert "section 7.1.7" in page


def test_the_page_that_is_kept_is_of_a_whole_and_clean_run(autobahn: ModuleType) -> None:
    page = autobahn.PAGE.read_text("utf-8")

    for role in ("Server", "Client"):
        part = page.partition(f"## {role}\n")[2].partition("\n## ")[0]
        assert [family for family in autobahn.FAMILIES if f"| {family}.* |" not in part] == []
        assert "| **all** | | 517 |" in part
        assert "not closed cleanly: 0." in part
        (total,) = [line for line in part.splitlines() if line.startswith("| **all**")]
        assert total.endswith("| 0 |")
