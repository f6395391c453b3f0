"""Every engine has the four verbs."""

from __future__ import annotations

import inspect

import pytest

from loadsim.engines.base import Engine
from loadsim.engines.inline import InlineEngine
from loadsim.engines.process import ProcessEngine

VERBS = ("start", "deltas", "stop", "close")


@pytest.mark.parametrize("engine", [InlineEngine, ProcessEngine])
@pytest.mark.parametrize("verb", VERBS)
def test_the_verbs_have_the_same_parameters(engine: type, verb: str) -> None:
    ours, wanted = (inspect.signature(getattr(each, verb)).parameters for each in (engine, Engine))

    assert list(ours) == list(wanted)
