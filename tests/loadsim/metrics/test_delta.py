"""A report travels as one line, and what is none is refused in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.metrics.delta import DELTA_MAX, Delta
from loadsim.metrics.recorder import Recorder
from potrio.errors import ConfigError


def test_a_report_is_one_line_and_comes_back() -> None:
    recorder = Recorder("r", 1)
    recorder.action(
        "rtt", {"event": "a\nb"}, intended_s=0, started_s=0, ended_s=1, error="x", text="line\nline"
    )
    delta = recorder.take_delta(1.0)

    assert b"\n" not in delta.encode()
    assert Delta.decode(delta.encode()) == delta


@given(st.binary(max_size=100))
def test_any_bytes_are_a_report_or_an_error(line: bytes) -> None:
    with pytest.raises(ConfigError, match="delta"):
        Delta.decode(line)


def test_a_report_is_bounded() -> None:
    with pytest.raises(ConfigError, match="at most"):
        Delta.decode(b" " * (DELTA_MAX + 1))
