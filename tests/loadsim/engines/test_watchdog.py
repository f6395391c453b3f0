"""The watchdog: three missed reports are a stall, ten a loss, and it looks when something can have changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadsim.engines.watchdog import LOST_AFTER_S, STALLED_AFTER_S, Watchdog


@given(st.floats(0, 20))
def test_silence_is_judged_by_its_length(silent_s: float) -> None:
    watchdog = Watchdog()
    watchdog.heard(0, 100.0)
    state = watchdog.state(0, 100.0 + silent_s)
    silent_s = 100.0 + silent_s - 100.0

    assert state == (
        "lost" if silent_s >= LOST_AFTER_S else "stalled" if silent_s >= STALLED_AFTER_S else "alive"
    )


def test_a_word_makes_it_alive_again_and_an_end_is_no_silence() -> None:
    watchdog = Watchdog()
    watchdog.heard(0, 0.0)
    watchdog.heard(0, 5.0)

    assert watchdog.state(0, 6.0) == "alive"
    watchdog.forget(0)
    assert watchdog.state(0, 99.0) == "alive"


def test_it_looks_when_a_state_changes() -> None:
    watchdog = Watchdog()
    watchdog.heard(0, 0.0)
    watchdog.heard(1, 1.0)

    assert [watchdog.next_look(now) for now in (0.5, 3.5, 4.5)] == [3.0, 4.0, 10.0]


def test_before_the_start_instant_silence_is_none() -> None:
    watchdog = Watchdog()
    watchdog.heard(0, 20.0)
    watchdog.heard(0, 1.0)

    assert [watchdog.state(0, now) for now in (15.0, 22.0, 24.0, 30.0)] == [
        "alive",
        "alive",
        "stalled",
        "lost",
    ]
