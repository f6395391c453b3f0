"""Which exit code wins where several are true."""

from __future__ import annotations

import pytest

from loadsim.report.exits import RANKS, Exit, winner


@pytest.mark.parametrize(
    ("found", "wins"),
    [
        ([], Exit.OK),
        ([Exit.OK, Exit.THRESHOLD], Exit.THRESHOLD),
        ([Exit.THRESHOLD, Exit.INVALID], Exit.INVALID),
        ([Exit.INVALID, Exit.ORACLE], Exit.ORACLE),
        ([Exit.INVALID, Exit.INTERRUPTED], Exit.INTERRUPTED),
        ([Exit.FAILED, Exit.THRESHOLD], Exit.FAILED),
    ],
)
def test_who_wins(found: list[Exit], wins: Exit) -> None:
    assert winner(found) is wins
    assert winner(reversed(found)) is wins


def test_every_code_has_its_rank_and_the_numbers_of_the_specification() -> None:
    assert sorted(RANKS) == sorted(Exit)
    assert {code.word: int(code) for code in Exit} == {
        "ok": 0,
        "failed": 1,
        "usage": 2,
        "target": 3,
        "invalid": 4,
        "aborted": 5,
        "engine": 6,
        "oracle": 7,
        "threshold": 99,
        "interrupted": 130,
        "terminated": 143,
    }
