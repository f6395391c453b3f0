"""Heartbeats to the exact edge: at the deadline it happens, one tick before it does not."""

import math

import pytest

from potrio.errors import HeartbeatMissed
from potrio.protocol.engineio import Handshake
from potrio.protocol.heartbeat import PingTimer, SilenceTimer

HANDSHAKE = Handshake("s", ping_interval_ms=300, ping_timeout_ms=200)


def before(moment: float) -> float:
    return math.nextafter(moment, -math.inf)


@pytest.mark.parametrize("now", [0.0, 1e-3, 1234.567, 1e9])
def test_a_client_bears_interval_and_timeout_and_grace(now: float) -> None:
    timer = SilenceTimer(HANDSHAKE, now, 1.0)
    assert timer.deadline == pytest.approx(now + 1.5)
    assert timer.missed(before(timer.deadline)) is None
    missed = timer.missed(timer.deadline)
    assert isinstance(missed, HeartbeatMissed)
    assert missed.seconds == pytest.approx(1.5)


def test_anything_heard_moves_the_deadline() -> None:
    timer = SilenceTimer(HANDSHAKE, 0.0, 0.0)
    timer.heard(0.4)
    assert timer.deadline == pytest.approx(0.9)
    assert timer.missed(0.5) is None
    assert timer.missed(timer.deadline) is not None


def test_a_server_pings_at_the_interval_and_not_before() -> None:
    timer = PingTimer(HANDSHAKE, 10.0)
    assert timer.deadline == 10.3
    assert not timer.due(before(10.3))
    assert timer.due(10.3)
    assert timer.deadline == 10.5


def test_one_ping_at_a_time() -> None:
    timer = PingTimer(HANDSHAKE, 0.0)
    assert timer.due(0.3)
    assert not timer.due(0.3)
    assert not timer.due(100.0)


@pytest.mark.parametrize("now", [0.3, 0.31, 7.77])
def test_a_missing_pong_ends_it_at_the_timeout_and_not_before(now: float) -> None:
    timer = PingTimer(HANDSHAKE, 0.0)
    assert timer.missed(1e9) is None, "nothing was asked"
    assert timer.due(now)
    assert timer.missed(before(timer.deadline)) is None
    missed = timer.missed(timer.deadline)
    assert isinstance(missed, HeartbeatMissed)
    assert missed.seconds == pytest.approx(0.2)


def test_after_a_pong_the_next_ping_is_an_interval_after_the_last() -> None:
    timer = PingTimer(HANDSHAKE, 0.0)
    assert timer.due(0.3)
    timer.pong()
    assert timer.missed(1e9) is None
    assert timer.deadline == pytest.approx(0.6)
    assert not timer.due(before(timer.deadline))
    assert timer.due(timer.deadline)


def test_a_pong_later_than_the_interval_is_followed_by_a_ping_at_once() -> None:
    slow = PingTimer(Handshake("s", ping_interval_ms=100, ping_timeout_ms=1000), 0.0)
    assert slow.due(0.1)
    assert slow.missed(0.9) is None
    slow.pong()
    assert slow.deadline == pytest.approx(0.2)
    assert slow.due(0.9)


def test_a_pong_that_nobody_asked_for_changes_nothing() -> None:
    timer = PingTimer(HANDSHAKE, 0.0)
    timer.pong()
    assert timer.deadline == 0.3
    assert timer.due(0.3)
