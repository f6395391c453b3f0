"""The tutorial's programs and the package's own example run as they stand and print what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import potrio.supervision as package

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "supervision" / "tutorial.md"


def programs() -> list[str]:
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL) if TUTORIAL.exists() else []
    assert package.__doc__ is not None
    example = re.search(r"::\n\n((?:    .*\n|\n)+)", package.__doc__)
    assert example is not None
    return [*blocks, textwrap.dedent(example.group(1))]


EXPECTED = ["5", "source", "run 1: 1\nrun 1: 3\nlost 'three': crashed\nrun 2: 7", "3"]


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_program(number: int) -> None:
    if number < len(EXPECTED) - 1 and not TUTORIAL.exists():
        pytest.fail("the tutorial is gone")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", programs()[number]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert EXPECTED[number] in done.stdout


def test_every_program_is_run() -> None:
    assert len(programs()) == len(EXPECTED)


def test_the_reference_names_everything_that_is_exported() -> None:
    text = (ROOT / "docs" / "supervision" / "reference.md").read_text()
    internal = {
        "ActorTimer", "AutoShutdown", "ChildSpec", "DeadLetterReason", "Down", "Event", "Exit", "ExitKind", "Failure",
        "Feed", "Inbox", "Jitter", "MailboxSpec", "MailboxStatistics", "MessageTimes", "Observer", "Overflow", "Policy",
        "Restart", "StartTimeout", "StashFull", "Strategy", "Subscription", "SubscriptionStatistics", "SupervisorError",
        "Traced", "Watch", "ActorError",
    }  # fmt: skip
    missing = [
        name for name in package.__all__ if name not in internal and not re.search(rf"\b{name}\b", text)
    ]
    assert not missing
