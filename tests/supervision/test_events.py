"""Events are values: frozen, comparable, printable, without anything live in them."""

from __future__ import annotations

import msgspec
import pytest

import potrio.supervision as package
from potrio.supervision import DeadLetter, Event
from potrio.supervision import events as module

ALL = [getattr(module, name) for name in module.__all__ if name not in ("DeadLetterReason",)]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_event_is_a_frozen_struct_with_a_moment_and_a_path(cls: type) -> None:
    assert issubclass(cls, Event)
    assert cls.__struct_config__.frozen
    assert cls.__struct_fields__[:2] == ("at", "path")
    assert getattr(package, cls.__name__) is cls, "and is exported"


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls is not DeadLetter], ids=lambda cls: cls.__name__)
def test_plain_events_can_be_written_as_json(cls: type) -> None:
    values = {
        "incarnation": 1, "for_good": True, "exit": module.Exit("normal"), "failure": module.Failure("X", "y"),
        "message": "str", "depth": 0, "uptime": 1.0, "in_a_row": 1, "decision": "stop", "age": 1.0, "stack": "",
        "cycle": ("a",), "due": 1.0, "delay": 1.0, "attempt": 1, "group": ("a",), "reason": "why",
    }  # fmt: skip
    event = cls(0.5, "root/a", **{name: values[name] for name in cls.__struct_fields__[2:]})
    back = msgspec.json.decode(msgspec.json.encode(event), type=cls)
    assert back == event
    assert hash(back) == hash(event)


def test_a_dead_letter_says_to_whom() -> None:
    assert DeadLetter(0.0, "root/a", "x", "full", False).to == "root/a"
