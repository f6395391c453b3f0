"""The second watchdog: a stream that has gone silent while its asset may be traded, though the link seems alive (pure).

It looks at each subscribed asset about once a second and costs nothing in between: what moved since the last look is
fresh. An asset that has not moved for its patience is asked for again, once; one that has still not moved after its
patience once more costs the link. The patience is given, or measured: ten times the usual pause between two looks that
saw it move, within bounds. What a back-fill delivers is no sign of life. An asset that a new link did not revive is
given twice the time, and again, so that one dead asset does not keep cutting off the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import msgspec

from potrio.limits import STALE_AFTER_MAX, STALE_AFTER_MIN, STALE_DOUBLINGS_MAX

__all__ = ["StaleWatch", "StreamSample", "Verdict"]

PAUSES = 10.0
"""So many usual pauses are silence."""

WEIGHT = 0.1
"""Of the newest pause in the moving average."""


class StreamSample(msgspec.Struct, frozen=True, gc=False):
    """One asset's feed at a look: the stamp of its newest tick, whether it is being back-filled, and how many live
    ticks are held back for that."""

    asset: str
    last: float | None
    bridging: bool
    held: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """What a look came to.

    Attributes:
        stale: assets that are silent now, in the order of the samples.
        resubscribe: those to be asked for again: silent since this look.
        drop: why the link has to go; None: it may stay.
    """

    stale: tuple[str, ...] = ()
    resubscribe: tuple[str, ...] = ()
    drop: str | None = None


class _Watched:
    """One asset."""

    __slots__ = ("doublings", "held", "last", "moved_at", "pause", "rebase", "silent_since")

    def __init__(self, now: float) -> None:
        self.last: float | None = None
        self.held = 0
        self.moved_at = now
        self.pause: float | None = None  # between two looks that saw it move, on average
        self.silent_since: float | None = None  # asked for again at that time
        self.rebase = True  # the next stamp counts for nothing: it may be from a back-fill
        self.doublings = 0


class StaleWatch:
    """What is known of each asset's rhythm. Outlives the router's incarnations.

    Args:
        stale_after: seconds of silence that are too many; None: measured for each asset, `inf`: never.
    """

    def __init__(self, stale_after: float | None = None) -> None:
        self.stale_after = stale_after
        self._watched: dict[str, _Watched] = {}
        self.detected = 0
        """Silences found so far."""

    @property
    def look_every(self) -> float:
        """Seconds between two looks: a silence is found this much later than its patience, at most."""
        return min(1.0, (STALE_AFTER_MIN if self.stale_after is None else self.stale_after) / 4)

    @property
    def watches(self) -> bool:
        """Is there anything to look for?"""
        return self.stale_after != math.inf

    def patience(self, asset: str) -> float:
        """Seconds of silence after which an asset counts as stale."""
        watched = self._watched.get(asset)
        if self.stale_after is not None:
            patience = self.stale_after
        elif watched is None or watched.pause is None:
            patience = STALE_AFTER_MAX / 2
        else:
            patience = min(max(PAUSES * watched.pause, STALE_AFTER_MIN), STALE_AFTER_MAX)
        return patience * 2.0 ** (watched.doublings if watched is not None else 0)

    def link_up(self, now: float) -> None:
        """A new link: everyone starts with all of their patience."""
        for watched in self._watched.values():
            if watched.silent_since is not None:  # it cost the former link, or was silent when that was lost
                watched.doublings = min(watched.doublings + 1, STALE_DOUBLINGS_MAX)
            watched.silent_since = None
            watched.rebase = True
            watched.moved_at = now

    def look(self, now: float, samples: Iterable[StreamSample], tradable: Callable[[str], bool]) -> Verdict:
        """Look at all feeds; only while the link is up.

        Args:
            tradable: may the asset be traded now? A closed market is silent with good reason.
        """
        stale: list[str] = []
        again: list[str] = []
        drop: str | None = None
        before, self._watched = self._watched, {}
        for sample in samples:
            asset = sample.asset
            watched = self._watched[asset] = before.get(asset) or _Watched(now)
            rebased = (
                watched.rebase
            )  # live ticks may be among what this look does not count: the next one decides
            if self._moved(watched, sample, now) or not tradable(asset):
                watched.moved_at, watched.silent_since = now, None
                continue
            patience = self.patience(asset)
            if watched.silent_since is not None:
                stale.append(asset)
                if now - watched.silent_since >= patience and drop is None and not rebased:
                    drop = f"{asset} has been silent for {now - watched.moved_at:.0f} s and was asked for again in vain"
            elif now - watched.moved_at >= patience:
                watched.silent_since = now
                watched.rebase = True
                self.detected += 1
                stale.append(asset)
                again.append(asset)
        return Verdict(tuple(stale), tuple(again), drop)

    def _moved(self, watched: _Watched, sample: StreamSample, now: float) -> bool:
        more_held = sample.held > watched.held
        watched.held = sample.held
        if not more_held:
            if watched.rebase:
                watched.last = sample.last
                watched.rebase = sample.bridging
                return False
            if sample.last == watched.last or sample.bridging:
                return False
            watched.last = sample.last
        pause = now - watched.moved_at
        watched.pause = pause if watched.pause is None else watched.pause + WEIGHT * (pause - watched.pause)
        watched.doublings = 0
        return True
