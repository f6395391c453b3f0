"""Events to stdlib logging: an observer that says what happened, once per trouble and not once per message."""

from __future__ import annotations

import logging

from potrio.logs import potrio_logger
from potrio.supervision.events import (
    ChildBlocked,
    ChildCrashed,
    ChildStopError,
    ChildStuck,
    DeadLetter,
    Event,
    SnapshotDropped,
    SupervisorEscalated,
)
from potrio.supervision.runtime import Observer

__all__ = ["log_events"]

ERROR_AFTER = 3
"""Crashes in a row from which on a crash is an error and no longer a warning."""

DEAD_LETTER_INTERVAL = 10.0
"""Seconds between two lines about dead letters of one actor and reason."""


def log_events(
    logger: logging.Logger | None = None,
    *,
    error_after: int = ERROR_AFTER,
    dead_letter_interval: float = DEAD_LETTER_INTERVAL,
) -> Observer:
    """Make an observer for `open_supervisor` that writes to a logger.

    A crash is a warning, from the ``error_after``-th in a row on an error, with its stack as debug. Dead letters are
    logged when the first comes, then once per interval with their number. No handler and no level is touched. The
    events are in the record as ``record.event``.

    Args:
        logger: ``logging.getLogger("potrio.supervision")`` where left out.
    """
    return EventLog(logger or potrio_logger("supervision"), error_after, dead_letter_interval)


class EventLog:
    """The observer that `log_events` makes."""

    def __init__(self, logger: logging.Logger, error_after: int, interval: float) -> None:
        self._logger = logger
        self._error_after = error_after
        self._interval = interval
        self._dead: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case DeadLetter():
                self._dead_letter(event)
            case ChildCrashed():
                level = logging.ERROR if event.in_a_row >= self._error_after else logging.WARNING
                if event.decision == "escalate":
                    level = logging.ERROR
                where = f" over a {event.message}" if event.message else ""
                text = f"crashed{where} after {event.uptime:.3g} s ({event.failure}); {event.decision}"
                self._write(level, event, text)
                self._write(logging.DEBUG, event, event.failure.stack)
            case ChildStopError():
                self._write(logging.WARNING, event, f"raised while it was stopped: {event.failure}")
            case ChildStuck():
                self._write(
                    logging.ERROR,
                    event,
                    f"does not end, {event.age:.3g} s after its deadline, at\n{event.stack}",
                )
            case ChildBlocked():
                self._write(
                    logging.ERROR, event, f"waits for itself: {' -> '.join((*event.cycle, event.cycle[0]))}"
                )
            case SupervisorEscalated():
                self._write(logging.ERROR, event, f"gives up: {event.reason}")
            case SnapshotDropped():
                self._write(
                    logging.WARNING, event, "starts without its snapshot, which may be what it died of"
                )
            case _:
                self._write(logging.DEBUG, event, type(event).__name__)

    def _dead_letter(self, event: DeadLetter) -> None:
        key = (event.path, event.reason)
        since, count = self._dead.get(key, (None, 0))
        if since is not None and event.at - since < self._interval:
            self._dead[key] = (since, count + 1)
            return
        self._dead[key] = (event.at, 0)
        more = f", and {count} more since the last line" if count else ""
        self._write(
            logging.WARNING, event, f"dead letter ({event.reason}): {type(event.message).__name__}{more}"
        )

    def _write(self, level: int, event: Event, text: str) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s: %s", event.path, text, extra={"event": event})
