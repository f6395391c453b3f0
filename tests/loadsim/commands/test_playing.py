"""What the command line adds to a run: plans from files, options that fit together, a summary for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadsim.commands.playing import make_options, read_plan
from potrio.errors import ConfigError

PLAN = '[run]\nduration = "9s"\n[[load]]\nclient = "a"\narrivals_csv = "rates.csv"\n'
NOTHING = {"target": None, "allow_hosts": None, "allow_degraded": False}


def test_files_of_a_plan_are_beside_it(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    with pytest.raises(ConfigError, match=r"rates\.csv"):
        read_plan(tmp_path / "plan.toml")
    (tmp_path / "rates.csv").write_text("0,1\n9,1\n")

    assert read_plan(tmp_path / "plan.toml", seed=4, duration="3s").duration_s == 3.0


def test_thresholds_are_checked_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    (tmp_path / "rates.csv").write_text("0,1\n9,1\n")
    path.write_text(PLAN + '[thresholds]\nlist = ["speed: p99 < 1s"]\n')
    with pytest.raises(ConfigError, match=r"thresholds\.list\[0\]"):
        read_plan(path)


@pytest.mark.parametrize(
    ("engine", "procs", "wanted"),
    [
        (None, None, ("inline", 1)),
        (None, 3, ("process", 3)),
        ("process", None, ("process", 2)),
        ("inline", 1, ("inline", 1)),
    ],
)
def test_engine_and_number_of_processes(engine, procs, wanted) -> None:
    options = make_options(engine=engine, procs=procs, **NOTHING)

    assert (options.engine, options.shards) == wanted


def test_inline_is_one_process() -> None:
    with pytest.raises(ConfigError, match="--procs"):
        make_options(engine="inline", procs=2, **NOTHING)
