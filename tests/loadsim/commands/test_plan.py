"""`loadsim plan show`: what a plan will do; the examples among them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from loadsim.commands.plan import plan
from potrio.errors import ConfigError

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "plans").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_can_be_drawn(path: Path) -> None:
    done = CliRunner().invoke(plan, ["show", str(path)], catch_exceptions=False)

    assert done.exit_code == 0
    assert done.output.startswith(path.stem + ":")
    assert "sha256:" in done.output


def test_another_seed_and_an_earlier_end() -> None:
    path = str(EXAMPLES[0])
    first = CliRunner().invoke(plan, ["show", path]).output
    done = CliRunner().invoke(plan, ["show", path, "--seed", "99", "--duration", "2s"]).output

    assert "2 s, seed 99" in done
    assert first != done


@pytest.mark.parametrize("duration", ["0s", "9h", "soon"])
def test_an_end_that_cannot_be(duration: str) -> None:
    with pytest.raises(ConfigError, match="--duration"):
        CliRunner().invoke(plan, ["show", str(EXAMPLES[0]), "--duration", duration], catch_exceptions=False)
