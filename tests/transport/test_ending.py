"""Ends: the first cause stays, and each task gets an error of its own."""

from __future__ import annotations

import pytest
import trio

from potrio.errors import (
    ClosedForPolicy,
    ConnectionBroken,
    ConnectionClosed,
    LimitExceeded,
    RemoteProtocolError,
)
from potrio.transport.ending import Ending, closed_by_peer, closed_here, fresh, lost


def test_before_the_end_nothing_happens():
    Ending().check()


def test_the_first_cause_stays():
    ending = Ending()
    ending.set(closed_by_peer(1001, ""))
    ending.set(closed_here())

    with pytest.raises(ConnectionBroken, match="code 1001"):
        ending.check()


@pytest.mark.parametrize(
    "error",
    [
        closed_here(),
        closed_by_peer(1005, ""),
        RemoteProtocolError("bad", 1007),
        LimitExceeded("the size", 7, 1009),
    ],
    ids=lambda error: type(error).__name__,
)
def test_each_raise_is_a_new_equal_error(error):
    cause = KeyError("cause")
    error.__cause__ = cause
    ending = Ending()
    ending.set(error)
    raised = []
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            ending.check()
        raised.append(caught.value)

    assert raised[0] is not raised[1]
    assert error not in raised
    for each in raised:
        assert type(each) is type(error)
        assert str(each) == str(error)
        assert vars(each) == vars(error)
        assert each.__cause__ is cause
    assert error.__traceback__ is None


def test_a_close_for_policy_has_a_type_of_its_own():
    assert type(closed_by_peer(1008, "too many")) is ClosedForPolicy
    assert type(closed_by_peer(1001, "")) is ConnectionBroken


def test_a_fresh_error_has_no_traceback():
    assert fresh(closed_here()).__traceback__ is None


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (1000, "", "the peer closed the connection (code 1000)"),
        (1013, "slow", "the peer closed the connection (code 1013, 'slow')"),
        (1005, "", "the peer closed the connection (no code)"),
        (4000, "\x1b[2J\u202e", r"the peer closed the connection (code 4000, '\x1b[2J\u202e')"),
    ],
)
def test_the_peers_words_are_escaped(code, reason, text):
    assert str(closed_by_peer(code, reason)) == text


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (ValueError("x"), "ValueError"),
        (None, "broken stream"),
    ],
)
def test_a_lost_connection_says_how(cause, text):
    error = trio.BrokenResourceError()
    error.__cause__ = cause
    broken = lost(error)

    assert str(broken) == f"the connection was lost: {text}"
    assert broken.__cause__ is error
    assert type(closed_here()) is ConnectionClosed
