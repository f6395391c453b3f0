"""A drawn plan shows who comes when, what they do, and what goes wrong."""

from __future__ import annotations

from loadsim.plan.draw import axis_of, draw_plan
from loadsim.plan.parse import parse_plan

from .test_parse import PLAN


def test_the_drawing_names_everything() -> None:
    text = draw_plan(parse_plan(PLAN))

    assert "smoke: 60 s, seed 7" in text
    assert "watcher (mux): 200 clients, 200 at once" in text
    assert "open_order" in text
    assert "every exp(2 s)" in text
    assert "subscribe asset=EURUSD_otc once" in text
    assert "20.0 s  stall of the venue for 2 s" in text
    assert "rtt{event=openOrder}: p99 < 250ms" in text


def test_bars_stand_for_numbers() -> None:
    assert axis_of([0, 1, 50, 100]) == " ▁▄█"
    assert axis_of([0, 0]) == "··"
