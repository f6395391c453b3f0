"""Charts as SVG are well-formed, in their frame, and show what they are given."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.report.svg import HEIGHT, WIDTH, chart, nice


@given(st.lists(st.floats(0, 1e12), max_size=30), st.text(max_size=9).filter(str.isprintable))
def test_a_chart_is_well_formed_and_inside_its_frame(values: list[float], name: str) -> None:
    tree = ElementTree.fromstring(
        chart(name, "ms", list(map(float, range(len(values)))), [(name, "#000", values)], [(1, 2)])
    )
    (line,) = [each for each in tree.iter() if each.tag.endswith("polyline")]
    for point in (line.get("points") or "").split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (1.1, 2), (2.2, 2.5), (40, 50), (99, 100), (101, 200)]
)
def test_axes_end_at_numbers_one_can_read(value: float, top: float) -> None:
    assert nice(value) == top
