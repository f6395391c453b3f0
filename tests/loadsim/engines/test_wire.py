"""Lines between shard and controller: whole ones only, however they come, and nothing else is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.engines.wire import Lines, decode_line
from potrio.errors import ConfigError


@given(st.lists(st.binary(max_size=20).map(lambda each: each.replace(b"\n", b""))), st.data())
def test_lines_are_whole_whatever_the_pieces(lines: list[bytes], data: st.DataObject) -> None:
    stream, found, splitter = b"".join(line + b"\n" for line in lines), [], Lines()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:size])
        stream = stream[size:]

    assert found == lines


def test_a_line_is_bounded() -> None:
    lines = Lines(limit=100)
    lines.feed(b"x" * 100)

    with pytest.raises(ConfigError, match="longer than 100"):
        lines.feed(b"x")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_line_or_an_error(line: bytes) -> None:
    with pytest.raises(ConfigError):
        decode_line(line)
