"""Silent streams: found within their patience, asked for again once, then the link goes; closed markets are quiet."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.staleness import StaleWatch, StreamSample, Verdict
from potrio.limits import STALE_AFTER_MAX, STALE_AFTER_MIN, STALE_DOUBLINGS_MAX

ASSET, OTHER = "EURUSD_otc", "GBPUSD_otc"


class Feed:
    """A feed that ticks every ``spacing`` seconds until it is told to stop, and a watch that looks at it."""

    def __init__(self, stale_after=None, spacing=0.5) -> None:
        self.watch = StaleWatch(stale_after)
        self.now = self.last = 0.0
        self.spacing = spacing
        self.silent = self.bridging = False
        self.open = True
        self.story: list[tuple[float, Verdict]] = []

    def step(self) -> Verdict:
        self.now += self.watch.look_every
        if not self.silent:
            self.last = math.floor(self.now / self.spacing) * self.spacing
        sample = StreamSample(ASSET, self.last or None, self.bridging)
        verdict = self.watch.look(self.now, [sample], lambda asset: self.open)
        if verdict != Verdict():
            self.story.append((self.now, verdict))
        return verdict

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.step()


@pytest.mark.parametrize("stale_after", [None, 2.0, 20.0])
@pytest.mark.parametrize("spacing", [0.5, 1.0, 3.0])
def test_a_stream_that_ticks_is_never_stale(stale_after, spacing):
    feed = Feed(stale_after, min(spacing, (stale_after or 60.0) / 2))
    feed.run(600)
    assert feed.story == []


@pytest.mark.parametrize("stale_after", [2.0, 20.0])
def test_silence_is_found_in_time_asked_for_once_and_then_costs_the_link(stale_after):
    feed = Feed(stale_after)
    feed.run(60)
    feed.silent, began = True, feed.now
    while not feed.story:
        feed.step()
    found, verdict = feed.story[0]
    assert (verdict.stale, verdict.resubscribe, verdict.drop) == ((ASSET,), (ASSET,), None)
    assert stale_after <= found - began + feed.spacing
    assert found - began <= stale_after + 2 * feed.watch.look_every
    while feed.story[-1][1].drop is None:
        feed.step()
    assert feed.now - found <= stale_after + 2 * feed.watch.look_every
    assert sum(bool(verdict.resubscribe) for _, verdict in feed.story) == 1
    assert ASSET in feed.story[-1][1].drop


def test_one_that_comes_back_is_forgiven():
    feed = Feed(5.0)
    feed.run(20)
    feed.silent = True
    feed.run(8)
    assert feed.step().stale == (ASSET,)
    feed.silent = False
    feed.run(3)
    assert feed.step() == Verdict()
    assert all(verdict.drop is None for _, verdict in feed.story)


def test_what_a_back_fill_brings_is_no_sign_of_life():
    """A venue that answers `changeSymbol` but pushes nothing would else be asked for ever."""
    feed = Feed(5.0)
    feed.run(20)
    feed.silent = True
    while not feed.story:
        feed.step()
    feed.last = feed.now  # the answer's newest tick
    while feed.story[-1][1].drop is None:
        feed.step()
        assert feed.now < 40


def test_a_back_fill_that_lasts_is_not_taken_for_ticks():
    feed = Feed(5.0)
    feed.run(20)
    feed.silent = feed.bridging = True
    feed.run(3)
    feed.bridging, feed.last = False, feed.now
    feed.run(10)
    assert feed.story[0][1].resubscribe == (ASSET,)


def test_a_closed_market_is_silent_with_good_reason():
    feed = Feed(5.0)
    feed.run(20)
    feed.silent, feed.open = True, False
    feed.run(3600)
    assert feed.story == []
    feed.open, opened = True, feed.now
    while not feed.story:
        feed.step()
    assert feed.story[0][0] - opened >= 5.0, "its patience begins when it opens"


def test_the_patience_is_measured_within_bounds():
    for spacing, expected in ((0.5, STALE_AFTER_MIN), (3.0, 30.0), (50.0, STALE_AFTER_MAX)):
        feed = Feed(None, spacing)
        feed.run(50 * spacing)
        assert feed.watch.patience(ASSET) == pytest.approx(expected, rel=0.15)


def test_an_asset_that_never_ticks_is_found_too():
    feed = Feed()
    feed.silent = True
    feed.run(STALE_AFTER_MAX)
    assert feed.story[0][1].resubscribe == (ASSET,)
    assert feed.story[0][0] <= STALE_AFTER_MAX / 2 + 2 * feed.watch.look_every


def test_an_asset_that_no_link_revives_is_given_more_time_each_time_up_to_a_bound():
    feed = Feed(5.0)
    feed.run(20)
    feed.silent = True
    lives = []
    for _ in range(STALE_DOUBLINGS_MAX + 3):
        feed.story.clear()
        began = feed.now
        while not feed.story or feed.story[-1][1].drop is None:
            feed.step()
        lives.append(feed.now - began)
        feed.watch.link_up(feed.now)
    assert lives[1] > 1.8 * lives[0]
    assert lives == sorted(lives)
    assert lives[-1] <= 2 * 5.0 * 2**STALE_DOUBLINGS_MAX + 5
    feed.silent = False
    feed.run(10)
    assert feed.watch.patience(ASSET) == 5.0


def test_never_is_never():
    watch = StaleWatch(math.inf)
    assert not watch.watches
    assert StaleWatch().watches


def test_assets_that_are_read_no_more_are_forgotten():
    watch = StaleWatch(5.0)
    for second in range(30):
        watch.look(float(second), [StreamSample(ASSET, float(second), False)], lambda asset: True)
    watch.look(30.0, [StreamSample(OTHER, None, False)], lambda asset: True)
    assert list(watch._watched) == [OTHER]


@given(
    st.floats(1.0, 30.0),
    st.lists(st.tuples(st.sampled_from(["tick", "silence", "closed"]), st.integers(1, 40)), max_size=12),
)
def test_it_drops_no_link_whose_stream_ticked_within_twice_the_patience(stale_after, story):
    feed, alive = Feed(stale_after), 0.0
    for what, steps in story:
        feed.silent, feed.open = what != "tick", what != "closed"
        for step in range(steps):
            verdict = feed.step()
            if what != "silence":
                alive = feed.now
            if verdict.drop is not None:
                assert feed.now - alive >= 2 * stale_after - 3 * feed.watch.look_every - feed.spacing
            if what != "silence" and step > 3:
                assert verdict.drop is None
