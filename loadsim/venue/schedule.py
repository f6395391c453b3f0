"""When an asset trades and what it pays: pure functions of the seed and the venue's clock.

Opening and payout change only at the borders of half hours and of payout periods, so the asset table has a *version*:
while the number is the same, the table is. Stamps are the venue's wall clock presented as an epoch (`protocol.md`
6.0), so hours below are the hours the venue's users read.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final

from loadsim.venue.noise import mix

__all__ = ["DAY_S", "SLOT_S", "Session", "change_after", "is_open", "payout_percent"]

DAY_S: Final = 86_400
SLOT_S: Final = 1_800
"""Everything opens and closes on the half hour."""

WEEK_SLOTS: Final = 7 * DAY_S // SLOT_S
SLOTS_PER_HOUR: Final = 3600 // SLOT_S
SLOTS_PER_DAY: Final = DAY_S // SLOT_S
EPOCH_WEEKDAY: Final = 3
"""1 January 1970 was a Thursday; Monday is 0."""

SEARCH_SLOTS: Final = 2 * WEEK_SLOTS
"""No session of ours stays in one state for two weeks unless it never changes."""

REST_ONE_IN: Final = 6
"""A resting asset is closed for one half hour on one day in six."""

PAYOUT_STEPS: Final = 7
PAYOUT_MOVES_ONE_IN: Final = 8
"""In one period one asset in eight pays less than usual: the table changes, but not all of it."""


class Session(Enum):
    """The kinds of opening hours."""

    ALWAYS = "always"
    RESTS = "rests"
    """Always, but for a half hour now and then: OTC assets under maintenance."""
    CURRENCY = "currency"
    COMMODITY = "commodity"
    INDEX = "index"
    STOCK = "stock"


HOURS: Final = {
    Session.CURRENCY: (0, 23),
    Session.COMMODITY: (3, 23),
    Session.INDEX: (10, 22),
    Session.STOCK: (16, 23),
}
"""From which hour until which, on the venue's clock, Monday to Friday."""

FRIDAY: Final = 4


def is_open(seed: int, asset_id: int, session: Session, stamp: float) -> bool:
    """Tell whether the asset trades at this moment."""
    slot = int(stamp // SLOT_S)
    match session:
        case Session.ALWAYS:
            return True
        case Session.RESTS:
            return slot != _rest_on(seed, asset_id, slot // SLOTS_PER_DAY)
        case _:
            return _in_hours(session, slot)


def _rest_on(seed: int, asset_id: int, day: int) -> int | None:
    """Return the half hour of a day in which a resting asset is closed, if it is."""
    drawn = mix(seed, asset_id, day, 11)
    return None if drawn % REST_ONE_IN else day * SLOTS_PER_DAY + (drawn >> 32) % SLOTS_PER_DAY


def _in_hours(session: Session, slot: int) -> bool:
    opens, closes = HOURS[session]
    day, place = divmod(slot, SLOTS_PER_DAY)
    return (day + EPOCH_WEEKDAY) % 7 <= FRIDAY and opens <= place // SLOTS_PER_HOUR < closes


def change_after(seed: int, asset_id: int, session: Session, stamp: float) -> int | None:
    """Return the stamp of the next opening or closing after ``stamp``, or None if there is none in two weeks."""
    slot = int(stamp // SLOT_S)
    match session:
        case Session.ALWAYS:
            change = None
        case Session.RESTS:
            change = _rest_change(seed, asset_id, slot)
        case _:
            change = _hours_change(session, slot)
    return None if change is None else change * SLOT_S


def _rest_change(seed: int, asset_id: int, slot: int) -> int | None:
    """Return the half hour in which a resting asset next closes or opens: a day is looked at as a whole."""
    today = slot // SLOTS_PER_DAY
    if slot == _rest_on(seed, asset_id, today):
        # It may rest in the last half hour of one day and in the first of the next.
        return slot + 1 + (slot + 1 == _rest_on(seed, asset_id, today + 1))
    for day in range(today, (slot + SEARCH_SLOTS) // SLOTS_PER_DAY + 1):
        rest = _rest_on(seed, asset_id, day)
        if rest is not None and slot < rest < slot + SEARCH_SLOTS:
            return rest
    return None


@lru_cache(maxsize=1024)
def _hours_change(session: Session, slot: int) -> int | None:
    """Return the half hour in which assets with opening hours next open or close: all of a kind together."""
    now = _in_hours(session, slot)
    ahead = range(slot + 1, slot + SEARCH_SLOTS)
    return next((each for each in ahead if _in_hours(session, each) != now), None)


def payout_percent(seed: int, asset_id: int, usual: int, stamp: float, period_s: int) -> int:
    """Return what a won deal opened now pays, in percent of its amount."""
    drawn = mix(seed, asset_id, int(stamp // period_s), 13)
    if drawn % PAYOUT_MOVES_ONE_IN:
        return usual
    return max(0, usual - 1 - (drawn >> 32) % PAYOUT_STEPS)
