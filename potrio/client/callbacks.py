"""`client.on(name, handler)`: one typed payload for each name, one call for each fact; for those who want callbacks.

`TOPICS` (``potrio.actors.callback_facts``) is the table of names.
Streams, `OrderHandle` and `Client.wait_change` tell the same without callbacks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, Final

from potrio.actors.callback_facts import TOPICS
from potrio.actors.callbacks import (
    CALLBACK_CAPACITY,
    SLOW_AFTER_S,
    CallbackHandle,
    CallbackStatistics,
    ErrorReport,
    Handler,
    SlowHandler,
    serve_callback,
    watch_callbacks,
)
from potrio.actors.stream import Policy, Stream
from potrio.client.market import MarketCalls
from potrio.errors import ConfigError
from potrio.supervision.spec import service

__all__ = ["CallbackCalls"]

WATCHER: Final = "callbacks"
"""The child of ``users`` that looks at the clock while handlers run."""


class CallbackCalls(MarketCalls):
    """Callbacks of the client; a part of `Client`."""

    def on(
        self,
        name: str,
        handler: Handler,
        *,
        asset: str | None = None,
        capacity: int = CALLBACK_CAPACITY,
        overflow: Policy = "ring",
        slow_after_s: float = SLOW_AFTER_S,
        on_slow: Callable[[SlowHandler], object] | None = None,
        on_error: Callable[[ErrorReport], object] | None = None,
    ) -> CallbackHandle:
        """Call ``handler(payload)`` for each fact of that name, until `off` or the end of the client.

        The handler, a function or an async function, runs in a task of its own, one call after another. It may take
        its time: nobody waits for it. What it raises goes to the log, ``on_error`` and the topic ``error``.

        Args:
            name: a key of `TOPICS`.
            asset: which ticks; for ``tick`` only, where it must be given.
            capacity: values that may wait for the handler.
            overflow: past that, ``ring`` drops the oldest and counts them, ``latest`` keeps only the newest,
                ``lossless`` takes the handler off with `StreamOverflow`, which is told as its error.
            slow_after_s: seconds after which a call counts as slow.
            on_slow: told of slow calls, besides the log and ``slow_handler``.
            on_error: told of what the handler raises, besides the log and ``error``.

        Raises:
            ConfigError: there is no such name, or an argument cannot be used.
            ClientClosed: the client has been closed.
        """
        self._check_open()
        self._check_callback(name, handler, asset, slow_after_s)
        key = attrgetter("asset") if name in ("tick", "assets_changed") else (lambda _: name)
        stream: Stream[Any] = Stream(capacity=capacity, policy=overflow, key=key)
        handle = CallbackHandle(
            name, handler, stream, slow_after_s=slow_after_s, on_slow=on_slow, on_error=on_error
        )
        source = None
        if asset is not None:
            source = partial(self.ticks, asset, policy=overflow, capacity=capacity)
        callbacks = self._shared.callbacks
        users = self.supervisor.supervisor("users")
        if not callbacks.added:
            users.start_child_soon(
                service(watch_callbacks, callbacks, self._config.seam, id=WATCHER, ready="immediately")
            )
        callbacks.add(handle)
        self._connect_source(handle)
        users.start_child_soon(
            service(
                serve_callback,
                handle,
                callbacks,
                self._config.seam,
                source,
                id=f"callback-{callbacks.added}",
                ready="immediately",
                restart="temporary",
            )
        )
        return handle

    def off(self, handle: CallbackHandle) -> None:
        """Call this handler no more; again does no harm."""
        handle.cancel()

    def callbacks(self) -> list[CallbackStatistics]:
        """The counters of all active handlers."""
        return [handle.statistics() for handle in self._shared.callbacks.handles]

    # --- inside ------------------------------------------------------------------------------------------------------

    def _connect_source(self, handle: CallbackHandle) -> None:
        """Let the values flow: some topics are published, some are streams that are there already."""
        account, facts = self._shared.account, self._shared.facts
        match handle.topic:
            case "balance_updated":
                account.balance_readers.add(handle.stream)
            case "assets_changed":
                account.asset_readers.add(handle.stream)
            case "sent" | "received":
                facts.read_along(self._shared.link)
            case "connected" if facts.up is not None:
                handle.stream.push(facts.up)
            case "authenticated" if facts.up is not None:
                handle.stream.push(facts.authenticated(facts.up))
            case _:
                pass

    def _check_callback(self, name: str, handler: Handler, asset: str | None, slow_after_s: float) -> None:
        if name not in TOPICS:
            from difflib import get_close_matches  # only for the error

            close = get_close_matches(name, TOPICS, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(TOPICS)}"
            raise ConfigError("name", f"there is no event {name!r}{hint}")
        if not callable(handler):
            raise ConfigError("handler", f"must be a function, not {type(handler).__name__}")
        if not slow_after_s > 0:
            raise ConfigError("slow_after_s", f"must be a number of seconds > 0, not {slow_after_s}")
        if (asset is None) is (name == "tick"):
            raise ConfigError("asset", "is needed for 'tick', and is for 'tick' only")
        if asset is not None:
            self._check_asset(asset)
