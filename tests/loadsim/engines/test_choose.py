"""An engine by its name; what is not installed is asked for only where it is chosen."""

from __future__ import annotations

import importlib
import sys

import pytest

from loadsim.engines.base import EngineError
from loadsim.engines.choose import ENGINES, open_engine
from loadsim.engines.inline import InlineEngine
from loadsim.engines.process import ProcessEngine
from loadsim.swarm.shard import run_shard


async def test_engines_by_name() -> None:
    async with open_engine("inline", run_shard) as inline:
        assert isinstance(inline, InlineEngine)
    async with open_engine("process", run_shard, options={"command": ["true"]}) as process:
        assert isinstance(process, ProcessEngine)
    assert ENGINES == ("inline", "process", "dask")


def test_a_name_that_is_none() -> None:
    with pytest.raises(EngineError, match="inline, process, dask"):
        open_engine("ray", run_shard)


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name="distributed")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(EngineError, match=r"distributed: pip install 'potrio\[dask\]'"):
        open_engine("dask", run_shard)


def test_dask_is_not_imported_by_the_others() -> None:
    assert "loadsim.engines.choose" in sys.modules
    source = importlib.import_module("loadsim.engines.choose").__dict__
    assert "dask" not in source
