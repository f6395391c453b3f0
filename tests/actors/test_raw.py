"""Taps: what they are shown, what they are never shown, bounds, and the ends of links and clients."""

from __future__ import annotations

import pytest
import trio

from potrio.actors.raw import Outcome, RawState, RawTap
from potrio.actors.stream import Gap, Stream
from potrio.errors import ClientClosed, ClientFailed, NotConnected, RequestError
from potrio.limits import RAW_KEEP_ALIVES_MAX, RAW_TAPS_MAX
from potrio.protocol.events import Connected, EventReceived, EventRun
from potrio.protocol.matchers import ANYTHING, Matcher, RawEvent, contains, custom, event
from potrio.protocol.messages.base import Unknown
from potrio.secrets import RUN_MIN, Secret

TOKEN = "a0test0session0of0potrio0xyz"
SECRET = Secret(TOKEN)


def tapped(state: RawState, matcher: Matcher = ANYTHING, **options) -> RawTap:
    tap = RawTap(matcher, Stream(gap=lambda dropped: Gap("overflow", dropped=dropped)), **options)
    state.open(tap, SECRET)
    return tap


def waiting(tap: RawTap) -> int:
    return tap.stream.statistics().waiting


async def test_each_event_of_a_read_is_shown_those_of_a_run_one_by_one(autojump_clock):
    state = RawState()
    ticks, everything = tapped(state, event("t")), tapped(state)
    run = EventRun("t", (b"1", b"2"), b"1,2", (b"x",))
    state.offer([EventReceived("a", b"0"), run, Connected("/", "sid"), EventReceived("t", b"3")], 5.0)
    assert await ticks.stream.receive_batch() == [
        RawEvent("t", payload, 5.0) for payload in (b"1", b"2", b"3")
    ]
    assert [item.name for item in await everything.stream.receive_batch()] == ["a", "t", "t", "t"]


@pytest.mark.parametrize(
    "payload",
    [
        TOKEN.encode(),
        b'{"session":"' + TOKEN.encode() + b'"}',
        TOKEN[5 : 5 + RUN_MIN].encode(),
        b"x" * 1000 + TOKEN[-RUN_MIN:].encode() + b"\xff",
    ],
)
async def test_the_token_is_never_shown_not_even_in_part_nor_to_a_function(autojump_clock, payload):
    state, seen = RawState(), []
    tap = tapped(state, custom(seen.append) | ANYTHING)
    state.offer([EventReceived("x", payload), EventReceived(TOKEN, b"1")], 0.0)
    shown = await tap.stream.receive_batch()
    assert b"***" in shown[0].payload
    assert shown[1].name == "***"
    for item in (*shown, *seen):
        text = item.text
        assert not any(TOKEN[i : i + RUN_MIN] in text for i in range(len(TOKEN) - RUN_MIN + 1))


@pytest.mark.parametrize("start", range(len(TOKEN) - RUN_MIN + 1))
async def test_every_part_long_enough_is_found(autojump_clock, start):
    state = RawState()
    tap = tapped(state)
    state.offer([EventReceived("x", TOKEN[start : start + RUN_MIN].encode())], 0.0)
    assert (await tap.stream.receive()).payload == b"***"


async def test_a_matcher_that_raises_means_no_and_hurts_nobody_else(autojump_clock):
    class Broken(Matcher):
        def __call__(self, event):
            raise RuntimeError("broken")

    state = RawState()
    broken, fine = tapped(state, Broken()), tapped(state)
    state.offer([EventReceived("x")], 0.0)
    assert (broken.errors, waiting(broken), waiting(fine)) == (1, 0, 1)


async def test_a_tap_may_be_closed_by_what_it_is_shown(autojump_clock):
    state = RawState()
    tap = tapped(state, custom(lambda event: state.close(tap)))
    other = tapped(state)
    state.offer([EventReceived("x"), EventReceived("x")], 0.0)
    assert (state.taps, waiting(other)) == ([other], 2)
    state.close(tap)


async def test_a_slow_reader_is_told_how_much_it_missed(autojump_clock):
    state = RawState()
    tap = RawTap(ANYTHING, Stream(capacity=2, gap=lambda dropped: Gap("overflow", dropped=dropped)))
    state.open(tap, SECRET)
    state.offer([EventReceived("x", str(number).encode()) for number in range(5)], 0.0)
    assert await tap.stream.receive_batch() == [
        Gap("overflow", dropped=3),
        RawEvent("x", b"3"),
        RawEvent("x", b"4"),
    ]


async def test_a_lost_link_ends_only_who_waits_for_its_answer(autojump_clock):
    state = RawState()
    asker, reader = tapped(state, contains("x"), until_lost=True), tapped(state)
    state.lost("it rained")
    with pytest.raises(NotConnected, match="it rained"):
        await asker.stream.receive()
    state.offer([EventReceived("x")], 0.0)
    assert waiting(reader) == 1


async def test_the_end_of_the_client_ends_all(autojump_clock):
    state = RawState()
    tap, outcome = tapped(state), Outcome()
    state.outcomes.add(outcome)
    state.keep(Unknown("x"))
    state.end(None)
    with pytest.raises(trio.EndOfChannel):
        await tap.stream.receive()
    with pytest.raises(ClientClosed):
        await outcome.wait()
    assert (state.taps, state.keep_alives) == ([], [])


async def test_the_death_of_the_client_says_what_of(autojump_clock):
    state = RawState()
    tap = tapped(state)
    state.end(ClientFailed("of this"))
    with pytest.raises(ClientFailed):
        await tap.stream.receive()


def test_what_is_kept_is_for_each_link_and_the_last_one_is_known():
    state = RawState()
    state.keep(Unknown("x"))
    assert (state.epoch, state.up(3), state.epoch) == (0, [Unknown("x")], 3)
    assert state.up(4) is not state.keep_alives, "it may change while they are sent"


async def test_bounds(autojump_clock):
    state = RawState()
    for _ in range(RAW_TAPS_MAX):
        tapped(state)
    with pytest.raises(RequestError):
        tapped(state)
    for _ in range(RAW_KEEP_ALIVES_MAX):
        state.keep(Unknown("x"))
    with pytest.raises(RequestError):
        state.keep(Unknown("x"))


async def test_only_the_first_outcome_counts(autojump_clock):
    outcome = Outcome()
    outcome.settle(None)
    outcome.settle(NotConnected("late"))
    await outcome.wait()
