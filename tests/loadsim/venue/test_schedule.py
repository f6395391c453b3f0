"""Opening hours and payouts: weekends, nights, rests, and that they change only at their borders."""

from __future__ import annotations

import pytest

from loadsim.venue.schedule import DAY_S, SLOT_S, Session, change_after, is_open, payout_percent

MONDAY = 1_751_846_400
"""7 July 2025, 00:00 on the venue's clock."""

TWO_RESTS = (1892, MONDAY + 12 * DAY_S)
"""With seed 9 this asset rests before and after this midnight."""


@pytest.mark.parametrize(
    ("session", "day", "hour", "expected"),
    [
        (Session.STOCK, 0, 15.9, False),
        (Session.STOCK, 0, 16, True),
        (Session.STOCK, 4, 22.9, True),
        (Session.STOCK, 4, 23, False),
        (Session.STOCK, 5, 17, False),
        (Session.CURRENCY, 0, 0, True),
        (Session.CURRENCY, 6, 12, False),
        (Session.INDEX, 2, 9.99, False),
        (Session.INDEX, 2, 10, True),
        (Session.COMMODITY, 1, 2, False),
        (Session.ALWAYS, 6, 3, True),
    ],
)
def test_opening_hours(session: Session, day: int, hour: float, expected: bool) -> None:
    assert is_open(1, 5, session, MONDAY + day * DAY_S + hour * 3600) is expected


def test_a_resting_asset_is_closed_half_an_hour_now_and_then() -> None:
    closed = [
        slot
        for slot in range(60 * DAY_S // SLOT_S)
        if not is_open(1, 5, Session.RESTS, MONDAY + slot * SLOT_S)
    ]
    assert 3 <= len(closed) <= 20, "about one day in six"


@pytest.mark.parametrize("session", [s for s in Session if s is not Session.ALWAYS])
def test_change_after_is_the_first_moment_of_another_state(session: Session) -> None:
    for hours in range(0, 24 * 8, 5):
        stamp = MONDAY + hours * 3600 + 17
        change = change_after(9, 77, session, stamp)
        if change is None:
            continue
        now = is_open(9, 77, session, stamp)
        assert change > stamp
        assert is_open(9, 77, session, change) is not now
        assert is_open(9, 77, session, change - 0.001) is now


def test_change_after_is_what_a_look_at_every_half_hour_finds() -> None:
    """Resting assets, of which some are open for two weeks, and all sessions at the borders of days and weeks."""
    nothing = 0
    for asset in range(60):
        for session in Session:
            stamp = MONDAY + (asset * 7 + 3) * 3600 + asset
            now, slot = is_open(9, asset, session, stamp), stamp // SLOT_S
            fortnight = (each * SLOT_S for each in range(slot + 1, slot + 14 * DAY_S // SLOT_S))
            expected = next((each for each in fortnight if is_open(9, asset, session, each) is not now), None)
            assert change_after(9, asset, session, stamp) == expected, (asset, session)
            nothing += session is Session.RESTS and expected is None
    assert nothing


def test_two_rests_side_by_side_are_one() -> None:
    """In the last half hour of a day, and in the first of the next."""
    asset, midnight = TWO_RESTS
    for stamp in (midnight - SLOT_S, midnight - 1, midnight, midnight + SLOT_S - 1):
        assert not is_open(9, asset, Session.RESTS, stamp)
        assert change_after(9, asset, Session.RESTS, stamp) == midnight + SLOT_S
    assert change_after(9, asset, Session.RESTS, midnight - SLOT_S - 1) == midnight - SLOT_S


def test_what_never_closes_never_changes() -> None:
    assert change_after(1, 2, Session.ALWAYS, MONDAY) is None


def test_payouts_change_at_the_border_of_their_period_and_only_there() -> None:
    drawn = [payout_percent(1, 66, 92, MONDAY + step * 450, 900) for step in range(400)]
    assert drawn[::2] == drawn[1::2]
    assert max(drawn) == 92
    assert len(set(drawn)) > 2
    assert all(85 <= payout <= 92 for payout in drawn)
    assert payout_percent(1, 66, 0, MONDAY, 900) == 0
