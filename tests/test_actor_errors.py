"""Errors of actors and supervisors: complete, and none of them is an error of the venue or the wire.

One line of text, copies and pickles are tested for both pages of errors in ``test_errors.py``.
"""

from __future__ import annotations

import inspect

import pytest

from potrio import actor_errors
from potrio.actor_errors import (
    ActorCrashed,
    ActorDead,
    ActorError,
    ChildSpecInvalid,
    ChildStartFailed,
    SupervisorError,
)
from potrio.errors import ConfigError, ProtocolError, RequestError


def test_all_names_every_error() -> None:
    made = [
        name
        for name, kind in inspect.getmembers(actor_errors, inspect.isclass)
        if kind.__module__ == actor_errors.__name__
    ]

    assert sorted(actor_errors.__all__) == made


@pytest.mark.parametrize("name", actor_errors.__all__)
def test_is_of_an_actor_or_of_a_supervisor_and_of_nothing_on_the_wire(name: str) -> None:
    kind = getattr(actor_errors, name)

    assert issubclass(kind, ActorError | SupervisorError)
    assert not issubclass(kind, ProtocolError | RequestError)


def test_what_may_be_caught_as_what() -> None:
    assert issubclass(ActorCrashed, ActorDead)
    assert issubclass(ChildSpecInvalid, ConfigError)
    assert issubclass(ChildStartFailed, ActorError)
