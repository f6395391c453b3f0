"""Errors carry plain data, form one line of text, say whose fault it is, and survive being copied and pickled."""

from __future__ import annotations

import copy
import inspect
import pickle
from types import ModuleType
from typing import Any

import pytest

from potrio import actor_errors, errors
from potrio.actor_errors import ActorDead
from potrio.errors import (
    AuthError,
    ClientClosed,
    ClientFailed,
    ConfigError,
    ConnectError,
    ConnectionBroken,
    ConnectionClosed,
    ConnectTimeout,
    HandshakeFailed,
    HeartbeatMissed,
    HistoryShort,
    LimitExceeded,
    LocalProtocolError,
    OrderRejected,
    OutcomeUnknown,
    PotrioError,
    RemoteProtocolError,
    SsidError,
    UpgradeRejected,
)

SAMPLES: dict[str, Any] = {
    "str": "why",
    "int": 7,
    "float": 2.5,
    "int | None": 503,
    "tuple[str, ...]": ("a", "b"),
}


EVERY: dict[str, type[PotrioError]] = {
    name: getattr(page, name) for page in (errors, actor_errors) for name in page.__all__
}


def make(name: str) -> PotrioError:
    """One instance of an error, with a sample for each argument by its annotation."""
    kind = EVERY[name]
    parameters = inspect.signature(kind).parameters.values() if "__init__" in vars_of(kind) else ()
    arguments = [SAMPLES[each.annotation] for each in parameters]
    return kind(*arguments) if arguments else kind("why")


def errors_made_in(page: ModuleType) -> list[str]:
    """The names of the exception classes a module defines itself."""
    made = [
        value
        for value in vars(page).values()
        if isinstance(value, type) and value.__module__ == page.__name__
    ]
    return sorted(value.__name__ for value in made if issubclass(value, BaseException))


def vars_of(kind: type) -> set[str]:
    """The names a class of ours, or a base of ours, defines."""
    return {name for base in kind.__mro__ if base in EVERY.values() for name in vars(base)}


@pytest.mark.parametrize("name", EVERY)
def test_one_line_of_text(name: str) -> None:
    error = make(name)

    assert isinstance(error, PotrioError)
    assert str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"]
)
def test_survives_copy_and_pickle(name: str, again: Any) -> None:
    error = make(name)
    other = again(error)

    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)


@pytest.mark.parametrize("name", EVERY)
def test_carries_plain_values_only(name: str) -> None:
    for value in vars(make(name)).values():
        each = value if isinstance(value, tuple) else (value,)
        assert all(isinstance(one, str | int | float | None) for one in each)


def test_all_names_every_error() -> None:
    assert sorted(errors.__all__) == errors_made_in(errors)


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (SsidError, ConfigError),
        (SsidError, ValueError),
        (LimitExceeded, RemoteProtocolError),
        (HeartbeatMissed, ConnectionBroken),
        (ConnectionBroken, ConnectionClosed),
        (ClientFailed, ClientClosed),
        (UpgradeRejected, ConnectError),
    ],
)
def test_what_may_be_caught_as_what(error: type[Exception], base: type[Exception]) -> None:
    assert issubclass(error, base)


def test_our_fault_is_not_the_peers() -> None:
    assert not issubclass(LocalProtocolError, RemoteProtocolError)
    assert not issubclass(RemoteProtocolError, LocalProtocolError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SsidError("the field uid is missing"), "ssid: the field uid is missing"),
        (LimitExceeded("message", 1_000_000), "message exceeds the limit of 1000000"),
        (UpgradeRejected("ws://h/", "answered 503", 503), "cannot connect to ws://h/: http: answered 503"),
        (HandshakeFailed("ws://h/", "no OPEN"), "cannot connect to ws://h/: engine.io: no OPEN"),
        (ConnectTimeout("ws://h/", "tls", 10.0), "cannot connect to ws://h/: tls: no answer within 10 s"),
        (HeartbeatMissed(46.0), "the peer has been silent for 46 s"),
        (OrderRejected("MaxDemoTrades"), "the venue rejected the order: MaxDemoTrades"),
        (
            OutcomeUnknown("b0fc", "the connection broke"),
            "the fate of order b0fc is not known: the connection broke",
        ),
        (ActorDead("root/router"), "actor root/router has ended"),
        (RemoteProtocolError("bad opcode"), "bad opcode"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_text(error: PotrioError, text: str) -> None:
    assert str(error) == text


def test_texts_that_say_what_to_do() -> None:
    assert "copy a fresh one" in str(AuthError("NotAuthorized"))
    assert "ask for fewer" in str(HistoryShort(40, 100))


def test_close_codes() -> None:
    assert RemoteProtocolError("x").close_code == 1002
    assert LimitExceeded("x", 1).close_code == 1009
