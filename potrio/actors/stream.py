"""What a user reads from: a receive channel over a bounded ring that never makes the feed wait.

Three policies for a reader that is too slow: ``ring`` drops the oldest items and says so with one `Gap` in their place,
``latest`` keeps only the newest item of each asset, ``lossless`` ends this stream with `StreamOverflow`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, Literal, TypeVar

import msgspec
import trio

from potrio.errors import StreamOverflow
from potrio.limits import STREAM_CAPACITY

__all__ = ["Gap", "Policy", "Stream", "StreamStatistics"]

T = TypeVar("T")

Policy = Literal["ring", "latest", "lossless"]

SLICE_S = 0.0005
"""A reader with work at hand lets other tasks run at least this often."""

LOOKS_PER_CLOCK = 8
"""Items handed out between two looks at the clock, at first: the clock costs as much as an item."""

LOOKS_MAX = 64
"""As many for a reader that took less than a sixteenth of a slice for those before."""


class Gap(msgspec.Struct, frozen=True):
    """Something is missing here.

    ``asset`` is None where items of several assets may be missing; ``since`` and ``until`` are UTC Unix seconds of the
    last item before and the first after it (None: not known); ``dropped`` counts the items where that is known.

    ``reconnect``: the venue does not say what was missed while the link was down; ``overflow``: this reader was too
    slow; ``stamp``: ticks were left out whose times lay too far ahead to be believed. Candle streams mend all of these
    from the venue's history, and know two more: ``history``, which could not be joined
    with the live ticks; ``late``, for ticks that came when their candle had been delivered already.
    """

    reason: Literal["reconnect", "overflow", "stamp", "history", "late"]
    asset: str | None = None
    since: float | None = None
    until: float | None = None
    dropped: int | None = None


class StreamStatistics(msgspec.Struct, frozen=True):
    """A stream's counters: delivered = handed to the reader; dropped = overwritten before it was read."""

    waiting: int
    delivered: int
    dropped: int
    peak: int


class Stream(trio.abc.ReceiveChannel[T], Generic[T]):
    """An asynchronous iterator over items that arrive by themselves. One reader at a time.

    The reader waits only where nothing is at hand; cancelling a wait loses nothing. With items at hand
    `receive` returns without a checkpoint, except once per 0.5 ms, so that a full stream cannot starve other tasks.
    Iteration ends when the stream or the client is closed; a client that died raises what it died of.
    """

    def __init__(
        self,
        *,
        capacity: int = STREAM_CAPACITY,
        policy: Policy = "ring",
        gap: Callable[[int], T] | None = None,
        key: Callable[[T], object] | None = None,
        on_close: Callable[[], None] | None = None,
        takes_late: bool = False,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        if policy == "latest" and key is None:
            raise ValueError("policy 'latest' needs a key")
        self._items: deque[T] = deque()
        self._latest: dict[object, T] = {}
        self._capacity = capacity
        self._policy = policy
        self._gap = gap
        self._key = key
        self._on_close = on_close
        self.takes_late = takes_late
        """Is an item of use to this reader that is older than the one before it?"""
        self._missing = 0  # dropped since the last gap was handed out
        self._accepted = self._discarded = self._gaps = self._dropped = self._peak = 0
        self._waiter: trio.Event | None = None
        self._end: Exception | None = None
        self._slice_ends = 0.0
        self._looks = 0  # items that may be handed out until the next look at the clock
        self._stride = LOOKS_PER_CLOCK
        self._looked_at = 0.0

    # --- the producer's side: never waits ----------------------------------------------------------------------------

    def push(self, item: T) -> None:
        """Add one item by this stream's policy; nothing happens once it has ended."""
        if self._end is not None:
            return
        self._accepted += 1
        if self._policy == "latest":
            assert self._key is not None
            key = self._key(item)
            self._dropped += key in self._latest
            self._latest[key] = item
        else:
            items = self._items
            if len(items) >= self._capacity:
                if self._policy == "lossless":
                    self._accepted -= 1
                    self.end(
                        StreamOverflow(f"a lossless stream of {self._capacity} items was not read in time")
                    )
                    return
                items.popleft()
                self._missing += 1
                self._dropped += 1
            items.append(item)
            if len(items) > self._peak:
                self._peak = len(items)
        if self._waiter is not None:
            self._waiter.set()

    def extend(self, items: Collection[T]) -> None:
        """Add several items, oldest first: the same as to push each, and for a ring without a step for each."""
        if self._policy != "ring":
            for item in items:
                self.push(item)
        elif items and self._end is None:
            ring = self._items
            ring.extend(items)
            self._accepted += len(items)
            overflow = len(ring) - self._capacity
            if overflow > 0:
                for _ in range(overflow):
                    ring.popleft()
                self._missing += overflow
                self._dropped += overflow
            if len(ring) > self._peak:
                self._peak = len(ring)
            if self._waiter is not None:
                self._waiter.set()

    def end(self, reason: Exception | None = None) -> None:
        """No more items will come; what waits can still be read, then ``reason`` is raised (None: iteration ends)."""
        if self._end is None:
            self._end = reason or trio.EndOfChannel()
            if self._waiter is not None:
                self._waiter.set()

    # --- the reader's side -------------------------------------------------------------------------------------------

    async def __anext__(self) -> T:
        if (
            self._looks and self._items and not self._missing
        ):  # `receive` with an item at hand and no look due
            self._looks -= 1
            return self._items.popleft()
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def receive(self) -> T:
        """Return the oldest item, waiting until there is one. Cancelling loses nothing.

        Raises:
            trio.EndOfChannel: the stream has ended in good order.
            trio.ClosedResourceError: this reader closed it.
            StreamOverflow: policy ``lossless``, and too slow.
            ClientFailed: the client died.
        """
        if not self._at_hand():
            await self._wait()
        elif self._looks:
            self._looks -= 1
        else:
            await self._yield_if_due()
        return self._take()

    async def receive_batch(self) -> list[T]:
        """Return everything at hand, oldest first, waiting until there is something: the fast way to read.

        Always a checkpoint. Cancelling loses nothing; raises as `receive` does.
        """
        if not self._at_hand():
            await self._wait()
        else:
            await trio.lowlevel.checkpoint()
        batch: list[T] = []
        if self._missing and self._gap is not None:
            batch.append(self._gap(self._missing))
            self._gaps += 1
        self._missing = 0
        if self._policy == "latest":
            batch.extend(self._latest.values())
            self._latest.clear()
        else:
            batch.extend(self._items)
            self._items.clear()
        return batch

    async def aclose(self) -> None:
        """Stop reading: unsubscribes, drops what is waiting, wakes a waiting reader. Idempotent; a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Stop reading, without a checkpoint."""
        self._discarded += len(self._items) + len(self._latest)
        self._items.clear()
        self._latest.clear()
        self._missing = 0
        self._end = trio.ClosedResourceError()
        if self._waiter is not None:
            self._waiter.set()
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close()

    @property
    def closed(self) -> bool:
        """Has the reader closed it?"""
        return isinstance(self._end, trio.ClosedResourceError)

    def statistics(self) -> StreamStatistics:
        """The counters now."""
        waiting = len(self._items) + len(self._latest)
        delivered = self._accepted + self._gaps - self._dropped - self._discarded - waiting
        return StreamStatistics(waiting, delivered, self._dropped, self._peak)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _at_hand(self) -> bool:
        return bool(self._items or self._latest)

    def _take(self) -> T:
        if self._missing and self._gap is not None:
            missing, self._missing = self._missing, 0
            self._gaps += 1
            return self._gap(missing)
        if self._latest:
            return self._latest.pop(next(iter(self._latest)))
        return self._items.popleft()

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise trio.BusyResourceError("another task is already reading this stream")
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._at_hand():
            if self._end is not None:
                raise self._end
            self._waiter = trio.Event()
            try:
                await self._waiter.wait()
            finally:
                self._waiter = None
        self._start_slice()

    async def _yield_if_due(self) -> None:
        """Look at the clock, and let others run where the time has come; a quick reader need not look so often."""
        now = trio.current_time()
        if now >= self._slice_ends:
            await trio.lowlevel.checkpoint()
            self._start_slice()
            return
        quick = now - self._looked_at < SLICE_S / 16
        self._stride = min(2 * self._stride, LOOKS_MAX) if quick else LOOKS_PER_CLOCK
        self._looks = self._stride - 1
        self._looked_at = now

    def _start_slice(self) -> None:
        self._looked_at = trio.current_time()
        self._slice_ends = self._looked_at + SLICE_S
        self._stride = LOOKS_PER_CLOCK
        self._looks = self._stride - 1
