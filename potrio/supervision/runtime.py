"""What all actors of one tree share: clock, timers, observers, chance, names. One per `open_supervisor`, no globals."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import trio

from potrio.actor_errors import DuplicateChild
from potrio.logs import potrio_logger
from potrio.supervision.child_spec import Key
from potrio.supervision.events import Event
from potrio.supervision.timers import Timers

__all__ = ["SLICE", "STUCK_EVERY", "MessageHook", "MessageTimes", "Observer", "Runtime"]

LOG = potrio_logger("supervision")

Observer = Callable[[Event], object]
"""A plain function; it is called in the middle of things and must neither wait nor raise."""

SLICE = 0.0005
"""Seconds an actor may handle queued messages before others get a turn: all of the throughput, and others wait about
a millisecond whatever the handler costs (measured; 64 messages of 40 us each would delay them by 2.5 ms)."""

STUCK_EVERY = 5.0
"""Seconds between reports about a child that does not end although it has been cancelled."""


class MessageTimes(NamedTuple):
    """One handled message, for telemetry: moments on trio's clock. ``path`` names the actor."""

    path: str
    message: Any
    queued_at: float
    started_at: float
    ended_at: float


MessageHook = Callable[[MessageTimes], object]


class Runtime:
    """The shared part of one tree. Must be made inside `trio.run`."""

    def __init__(
        self,
        *,
        observers: tuple[Observer, ...] = (),
        generator: Callable[[], random.Random],
        slice_s: float = SLICE,
        stuck_every: float = STUCK_EVERY,
        message_hook: MessageHook | None = None,
    ) -> None:
        self.now: Callable[[], float] = trio.lowlevel.current_clock().current_time
        self.token = trio.lowlevel.current_trio_token()
        self.thread = threading.get_ident()
        self.timers = Timers(self.now)
        self._new_generator = generator
        self.slice_s = slice_s
        self.stuck_every = stuck_every
        self.message_hook = message_hook
        self.observers: list[Observer] = list(observers)
        self.names: dict[Key[Any], Any] = {}
        self.tasks: dict[trio.lowlevel.Task, Any] = {}

    @cached_property
    def generator(self) -> random.Random:
        """For the jitter of restarts; made when it is first needed, for it is 2.5 KiB."""
        return self._new_generator()

    # --- observers ---

    def emit(self, event: Event) -> None:
        """Show an event to every observer. One that raises is logged and removed."""
        for observer in tuple(self.observers):
            try:
                observer(event)
            except Exception:
                LOG.exception("an observer raised and has been removed: %r", observer)
                self.remove_observer(observer)

    def add_observer(self, observer: Observer) -> None:
        """Show it all events from now on."""
        self.observers.append(observer)

    def remove_observer(self, observer: Observer) -> None:
        """Show it no more events. Does nothing where it is not there."""
        self.observers = [other for other in self.observers if other is not observer]

    # --- names ---

    def register(self, key: Key[Any] | None, cell: object) -> None:
        """Give an actor its typed name.

        Raises:
            DuplicateChild: the name is taken by a living actor.
        """
        if key is None:
            return
        if key in self.names:
            raise DuplicateChild(key.name, "an actor of this tree has this key already")
        self.names[key] = cell

    def unregister(self, key: Key[Any] | None, cell: object) -> None:
        """Free the name; it can be given again at once."""
        if key is not None and self.names.get(key) is cell:
            del self.names[key]
