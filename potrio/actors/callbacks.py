"""Callbacks: each handler has a bounded queue and a task of its own, is timed, and can break nothing but itself.

The reader of the socket never runs a handler: it pushes a value into a ring and goes on. What a handler raises is
counted, logged and told to whoever asked for ``error``; one that takes long is told by name, while it still runs.
None of this depends on how logging is set up.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal

import msgspec
import trio

from potrio.actors.stream import Stream
from potrio.logs import potrio_logger
from potrio.seam import Seam

__all__ = [
    "CALLBACK_CAPACITY",
    "SLOW_AFTER_S",
    "CallbackHandle",
    "CallbackStatistics",
    "Callbacks",
    "ErrorReport",
    "Handler",
    "SlowHandler",
    "serve_callback",
    "watch_callbacks",
]

LOG: Final[logging.Logger] = potrio_logger("callbacks")

CALLBACK_CAPACITY: Final = 256
"""Values waiting for one handler."""

SLOW_AFTER_S: Final = 1.0
"""A handler that takes this long is worth an alert: prices are half a second apart."""

Handler = Callable[[Any], Awaitable[object] | object]


class ErrorReport(msgspec.Struct, frozen=True):
    """Something went wrong in the background, and the client lives on. Payload of ``error``.

    Attributes:
        source: ``"handler"``: one of yours raised; ``"crash"``: an actor crashed and is restarted.
        where: the handler's name and topic, or the actor's path.
        text: one line.
        error: what a handler raised; None for a crash.
    """

    source: Literal["handler", "crash"]
    where: str
    text: str
    error: BaseException | None = None


class SlowHandler(msgspec.Struct, frozen=True):
    """A handler takes long. Payload of ``slow_handler`` and of the hook ``on_slow``.

    ``still_running`` says that it has not returned yet; a function that blocks can only be told about afterwards.
    """

    handler: str
    topic: str
    seconds: float
    still_running: bool


class CallbackStatistics(msgspec.Struct, frozen=True):
    """One handler's counters: handled = returned or raised; dropped = overwritten before the handler had time."""

    topic: str
    handler: str
    handled: int
    failed: int
    slow: int
    dropped: int
    waiting: int


class CallbackHandle:
    """One handler of one topic, as `Client.on` returns it. ``client.off(handle)`` or ``handle.cancel()`` ends it."""

    def __init__(
        self,
        topic: str,
        handler: Handler,
        stream: Stream[Any],
        *,
        slow_after_s: float = SLOW_AFTER_S,
        on_slow: Callable[[SlowHandler], object] | None = None,
        on_error: Callable[[ErrorReport], object] | None = None,
    ) -> None:
        self.topic = topic
        self.handler = handler
        self.handler_name = getattr(handler, "__qualname__", None) or repr(type(handler).__qualname__)
        self.stream = stream
        self.slow_after_s = slow_after_s
        self.on_slow = on_slow
        self.on_error = on_error
        self.handled = self.failed = self.slow = 0
        self.running_since: float | None = None
        self.alerted = False

    def __repr__(self) -> str:
        return f"<CallbackHandle {self.handler_name} on {self.topic!r}>"

    @property
    def active(self) -> bool:
        """Will it still be called?"""
        return not self.stream.closed

    def cancel(self) -> None:
        """Call it no more; what waits for it is dropped, a call under way is finished."""
        self.stream.close()

    def statistics(self) -> CallbackStatistics:
        """The counters now."""
        ring = self.stream.statistics()
        return CallbackStatistics(
            self.topic, self.handler_name, self.handled, self.failed, self.slow, ring.dropped, ring.waiting
        )


class Callbacks:
    """All handlers of a client, by topic. Publishing never waits and never runs a handler."""

    def __init__(self) -> None:
        self._by_topic: dict[str, list[CallbackHandle]] = {}
        self._poked = trio.Event()
        self.added = 0
        self.errors = 0
        self.slow = 0

    @property
    def handles(self) -> list[CallbackHandle]:
        """The handlers that are still active."""
        return [each for handles in self._by_topic.values() for each in handles if each.active]

    def add(self, handle: CallbackHandle) -> None:
        """Let a handler have what is published from now on."""
        kept = [each for each in self._by_topic.get(handle.topic, ()) if each.active]
        self._by_topic[handle.topic] = [*kept, handle]
        self.added += 1

    def wanted(self, topic: str) -> bool:
        """Does anybody listen?"""
        return any(handle.active for handle in self._by_topic.get(topic, ()))

    def publish(self, topic: str, payload: object) -> None:
        """Put one value into the queue of each handler of a topic."""
        for handle in self._by_topic.get(topic, ()):
            handle.stream.push(payload)

    def end(self) -> None:
        """The client closes: nothing more will be published."""
        for handles in self._by_topic.values():
            for handle in handles:
                handle.stream.end()

    # --- what the tasks of the handlers tell -------------------------------------------------------------------------

    def started(self, handle: CallbackHandle, now: float) -> None:
        """A call begins."""
        handle.running_since, handle.alerted = now, False
        self._poke()

    def ended(self, handle: CallbackHandle, now: float) -> None:
        """A call is over."""
        assert handle.running_since is not None
        seconds = now - handle.running_since
        handle.running_since = None
        handle.handled += 1
        if seconds >= handle.slow_after_s and not handle.alerted:
            self.alert(handle, seconds, still_running=False)

    def alert(self, handle: CallbackHandle, seconds: float, *, still_running: bool) -> None:
        """Say that a handler takes long: to the log, to its hook, and to who listens to ``slow_handler``."""
        handle.alerted = True
        handle.slow += 1
        self.slow += 1
        slow = SlowHandler(handle.handler_name, handle.topic, seconds, still_running)
        LOG.warning(
            "handler %s of %r %s %.3f s",
            slow.handler,
            slow.topic,
            "is running since" if still_running else "took",
            seconds,
            extra={"handler": slow.handler, "topic": slow.topic, "seconds": seconds},
        )
        self._hook(handle, handle.on_slow, slow)
        if handle.topic != "slow_handler":  # of the alarm itself, only the log is told
            self.publish("slow_handler", slow)

    def report(self, handle: CallbackHandle, error: Exception) -> None:
        """Say that a handler raised: counted, logged with its stack, told to its hook and to ``error``."""
        handle.failed += 1
        self.errors += 1
        where = f"{handle.handler_name} on {handle.topic}"
        told = ErrorReport("handler", where, f"{type(error).__name__}: {error}", error)
        LOG.error(
            "handler %s of %r failed: %s",
            handle.handler_name,
            handle.topic,
            told.text,
            exc_info=error,
            extra={"handler": handle.handler_name, "topic": handle.topic},
        )
        self._hook(handle, handle.on_error, told)
        if handle.topic != "error":
            self.publish("error", told)

    def _hook(self, handle: CallbackHandle, hook: Callable[[Any], object] | None, value: object) -> None:
        if hook is None:
            return
        try:
            hook(value)
        except Exception as error:  # the supervised edge: a hook must not end what it looks at
            self.errors += 1
            LOG.error("a hook of %r failed: %s", handle, error, exc_info=error)

    # --- who looks at the clock --------------------------------------------------------------------------------------

    def _poke(self) -> None:
        poked, self._poked = self._poked, trio.Event()
        poked.set()

    async def wait_started(self) -> None:
        """Wait until another call begins; cancelling only stops the waiting."""
        await self._poked.wait()

    def next_alert(self) -> tuple[float, CallbackHandle] | None:
        """Whose call under way will be slow next, and when."""
        due = [
            (each.running_since + each.slow_after_s, each)
            for each in self.handles
            if each.running_since is not None and not each.alerted
        ]
        return min(due, key=lambda pair: pair[0], default=None)


async def serve_callback(
    handle: CallbackHandle,
    callbacks: Callbacks,
    seam: Seam,
    source: Callable[[], AbstractAsyncContextManager[Stream[Any]]] | None = None,
) -> None:
    """Call one handler with one value after another until it is taken off or the client is closed.

    Args:
        source: opens the stream to read, where that needs a subscription (ticks); otherwise the handle has it.

    Waits for values and for the handler. Cancelling cancels an asynchronous handler.
    """
    try:
        if source is None:
            await _call_for_each(handle, callbacks, seam)
            return
        if not handle.active:
            return
        async with source() as stream:
            if handle.active:  # not taken off while it was being asked for
                handle.stream = stream
                await _call_for_each(handle, callbacks, seam)
    except trio.ClosedResourceError:
        pass  # taken off
    except Exception as error:  # noqa: BLE001  # the supervised edge: what ended the stream is told, the client lives on
        handle.cancel()
        callbacks.report(handle, error)


async def _call_for_each(handle: CallbackHandle, callbacks: Callbacks, seam: Seam) -> None:
    async for payload in handle.stream:
        callbacks.started(handle, seam.now())
        try:
            outcome = handle.handler(payload)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception as error:  # noqa: BLE001  # the supervised edge: it is the user's code
            callbacks.report(handle, error)
        finally:
            callbacks.ended(handle, seam.now())
        await trio.lowlevel.checkpoint()  # a handler that never waits lets others run all the same


async def watch_callbacks(callbacks: Callbacks, seam: Seam) -> None:
    """Say of calls under way that they take long, until cancelled; waits for calls and for their time to pass."""
    while True:
        due = callbacks.next_alert()
        if due is None:
            await callbacks.wait_started()
            continue
        at, handle = due
        if at <= seam.now():
            assert handle.running_since is not None, "next_alert() names calls under way"
            callbacks.alert(handle, seam.now() - handle.running_since, still_running=True)
            continue
        with trio.move_on_at(at):
            await callbacks.wait_started()
