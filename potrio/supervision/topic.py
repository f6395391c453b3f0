"""Topics: one publishes, many listen, and a slow listener troubles nobody but itself.

Every subscription has a buffer and a policy of its own. One that belongs to an actor (``owner=ctx.me``) outlives the
actor's restarts, buffer included, and ends with the actor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import msgspec
import trio

from potrio.errors import StreamOverflow
from potrio.supervision.cell import Cell
from potrio.supervision.exit import Failure
from potrio.supervision.lanes import Lane, make_lane
from potrio.supervision.ref import Ref
from potrio.supervision.topic_policy import Policy, ring

__all__ = ["Feed", "Lagged", "Subscription", "SubscriptionStatistics", "Topic"]

T = TypeVar("T")
M = TypeVar("M")


class Lagged(msgspec.Struct, frozen=True):
    """In place of ``count`` items that the subscriber was too slow for."""

    count: int


class SubscriptionStatistics(msgspec.Struct, frozen=True):
    """``published == received + lost + depth`` (replaced items of a latest policy count as lost, without `Lagged`)."""

    published: int
    received: int
    lost: int
    depth: int


class Subscription(Generic[T]):
    """One listener's buffer. Read by one task at a time, with ``async for``, `receive` or `burst`."""

    __slots__ = (
        "_closed",
        "_lagged",
        "_lane",
        "_policy",
        "_room",
        "_sleeper",
        "lost",
        "overflowed",
        "published",
        "received",
    )

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lane: Lane = make_lane(policy.buffer)
        self._lagged = 0
        self._sleeper: trio.lowlevel.Task | None = None
        self._room: trio.Event | None = None
        self._closed = False
        self.overflowed = False
        self.published = 0
        self.received = 0
        self.lost = 0

    # --- the publisher's side ---

    def put(self, item: T) -> None:
        """Take an item, as the policy says. Never waits."""
        if self._closed or self.overflowed:
            return
        self.published += 1
        try:
            if self._lane.put(item) is not None:
                self.lost += 1  # replaced by a newer one of its key: that is what was asked for, so no Lagged
        except trio.WouldBlock:
            self._overflow(item)
        task, self._sleeper = self._sleeper, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _overflow(self, item: T) -> None:
        match self._policy.overflow:
            case "ring":
                self._lane.drop_oldest(item)
                self._lane.put(item)
                self._lag()
            case "blocking":
                self._lag()  # publish() does not wait; whoever wants that uses send()
            case "disconnect":
                self.lost += 1
                self.overflowed = True

    def _lag(self) -> None:
        self.lost += 1
        self._lagged += 1

    @property
    def has_room(self) -> bool:
        """Whether `Topic.send` need not wait for this one."""
        return self._policy.overflow != "blocking" or self._closed or len(self._lane) < self._policy.capacity

    async def wait_room(self) -> None:
        """Wait until an item would fit, where the policy is blocking. Cancelling only stops the waiting."""
        while not self.has_room:
            if self._room is None:
                self._room = trio.Event()
            await self._room.wait()

    # --- the subscriber's side ---

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T | Lagged:
        """The next item; ends when the subscription does. Waits while there is none; cancelling takes nothing."""
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def receive(self) -> T | Lagged:
        """Take one item, or `Lagged` in place of those that were lost before it.

        Waits while there is none; a checkpoint only then. Cancelling takes nothing.

        Raises:
            StreamOverflow: the policy is ``disconnect`` and the buffer ran over; what was buffered has been read.
            trio.EndOfChannel: the topic or the subscription was closed.
        """
        while True:
            if self._lagged:
                count, self._lagged = self._lagged, 0
                return Lagged(count)
            try:
                item: T = self._lane.pop()
            except trio.WouldBlock:
                pass
            else:
                self._taken()
                return item
            await self._sleep()

    async def burst(self) -> Iterator[T | Lagged]:
        """Wait for an item, then return a lazy iterator over all that are there. Raises like `receive`.

        What the loop has not taken stays. Cancelling takes nothing.
        """
        while not self._lagged and not len(self._lane):
            await self._sleep()
        return self._drain()

    def _drain(self) -> Iterator[T | Lagged]:
        while True:
            if self._lagged:
                count, self._lagged = self._lagged, 0
                yield Lagged(count)
            try:
                item: T = self._lane.pop()
            except trio.WouldBlock:
                return
            self._taken()
            yield item

    def _taken(self) -> None:
        self.received += 1
        if self._room is not None:
            self._room.set()
            self._room = None

    async def _sleep(self) -> None:
        if self.overflowed:
            raise StreamOverflow("the subscriber was too slow and has been disconnected")
        if self._closed:
            raise trio.EndOfChannel
        if self._sleeper is not None:
            raise trio.BusyResourceError("another task is already waiting on this subscription")
        self._sleeper = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._sleeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def statistics(self) -> SubscriptionStatistics:
        """The books of this subscription."""
        return SubscriptionStatistics(self.published, self.received, self.lost, len(self._lane))

    def close(self) -> None:
        """End it: what is buffered can still be read, then the reader ends."""
        self._closed = True
        task, self._sleeper = self._sleeper, None
        if task is not None:
            trio.lowlevel.reschedule(task)
        if self._room is not None:
            self._room.set()
            self._room = None


class Feed(Generic[T]):
    """A topic's line straight into an actor's mailbox, whose spec is then the policy. ``cancel()`` ends it.

    Items the mailbox refused are told by ``make(Lagged(n))`` ahead of the next one that it takes.
    """

    __slots__ = ("_make", "_ref", "_topic", "lagged")

    def __init__(self, topic: Topic[T], ref: Ref[Any], make: Callable[[T | Lagged], Any]) -> None:
        self._topic = topic
        self._ref = ref
        self._make = make
        self.lagged = 0

    def put(self, item: T) -> None:
        """Pass an item on."""
        if self.lagged:
            if not self._ref.tell(self._make(Lagged(self.lagged))):
                self.lagged += 1
                return
            self.lagged = 0
        if not self._ref.tell(self._make(item)):
            self.lagged += 1

    def cancel(self) -> None:
        """End it. The actor lives on."""
        self._topic._feeds.pop(self._ref, None)

    def restarted(self, cell: Cell, failure: Failure | None) -> None:
        """The actor is restarted: nothing changes."""

    def ended(self, cell: Cell) -> None:
        """The actor has ended for good."""
        self.cancel()


class Owned(Generic[T]):
    """A subscription that belongs to an actor, over its restarts."""

    __slots__ = ("_owner", "_topic", "busy", "policy", "subscription")

    def __init__(self, topic: Topic[T], owner: Ref[Any], policy: Policy) -> None:
        self._topic = topic
        self._owner = owner
        self.policy = policy
        self.subscription: Subscription[T] = Subscription(policy)
        self.busy = False

    def restarted(self, cell: Cell, failure: Failure | None) -> None:
        """The owner is restarted: the subscription waits for it."""

    def ended(self, cell: Cell) -> None:
        """The owner has ended for good."""
        self._topic._drop(self._owner)


class Topic(Generic[T]):
    """Something to listen to. A plain object: make it, hand it to those who publish and those who listen.

    Example:
        ``async with prices.subscribe(ring(64)) as stream: async for price in stream: ...``
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._subscriptions: dict[Subscription[T], None] = {}
        self._owned: dict[Ref[Any], Owned[T]] = {}
        self._feeds: dict[Ref[Any], Feed[T]] = {}

    # --- publishing ---

    def publish(self, item: T) -> int:
        """Give an item to everybody who listens; return how many that are. Never waits, whatever they do."""
        for subscription in self._subscriptions:
            subscription.put(item)
        if not self._feeds:
            return len(self._subscriptions)
        for feed in tuple(self._feeds.values()):
            feed.put(item)
        return len(self._subscriptions) + len(self._feeds)

    async def send(self, item: T) -> None:
        """Publish once every *blocking* subscriber has room; others are not waited for.

        A checkpoint only if it waits. Cancelling means that nothing was published.
        """
        waited = True
        while waited:
            waited = False
            for subscription in tuple(self._subscriptions):
                if not subscription.has_room:
                    waited = True
                    await subscription.wait_room()
        self.publish(item)

    # --- listening ---

    @asynccontextmanager
    async def subscribe(
        self, policy: Policy | None = None, *, owner: Ref[Any] | None = None
    ) -> AsyncIterator[Subscription[T]]:
        """Listen, for as long as the ``async with`` lasts. Entering and leaving are no checkpoints.

        Args:
            policy: `ring` (the default, 256 items), `latest_of`, `blocking` or `disconnect`.
            owner: ``ctx.me``: if the body is left by an exception and the actor is restarted, the next incarnation's
                ``subscribe`` finds the same subscription, with all that was published meanwhile (as far as the
                policy keeps it). Leaving normally, or the end of the actor, ends it.

        Raises:
            RuntimeError: the owner is inside a subscription to this topic already.
        """
        if owner is None:
            subscription: Subscription[T] = Subscription(policy if policy is not None else ring())
            self._subscriptions[subscription] = None
            try:
                yield subscription
            finally:
                self._subscriptions.pop(subscription, None)
                subscription.close()
            return
        owned = self._claim(owner, policy if policy is not None else ring())
        try:
            yield owned.subscription
        except BaseException:
            owned.busy = False
            raise
        self._drop(owner)

    def _claim(self, owner: Ref[Any], policy: Policy) -> Owned[T]:
        owned = self._owned.get(owner)
        if owned is not None and owned.busy:
            raise RuntimeError(f"{owner.path} has subscribed to {self.name or 'this topic'} already")
        if owned is None or owned.policy != policy or owned.subscription.overflowed:
            self._drop(owner)
            owned = Owned(self, owner, policy)
            self._owned[owner] = owned
            self._subscriptions[owned.subscription] = None
            owner._cell.add_watcher(owned)
        owned.busy = True
        return owned

    def _drop(self, owner: Ref[Any]) -> None:
        owned = self._owned.pop(owner, None)
        if owned is not None:
            self._subscriptions.pop(owned.subscription, None)
            owned.subscription.close()
            owner._cell.remove_watcher(owned)

    def feed(self, ref: Ref[Any], make: Callable[[T | Lagged], Any] = lambda item: item) -> Feed[T]:
        """Put every item straight into an actor's mailbox, as ``make(item)``. Over restarts, until it ends.

        Calling it again for the same actor replaces the first.
        """
        feed = Feed(self, ref, make)
        if not ref.alive:
            return feed
        if ref in self._feeds:
            ref._cell.remove_watcher(self._feeds[ref])
        self._feeds[ref] = feed
        ref._cell.add_watcher(feed)
        return feed

    def __len__(self) -> int:
        """How many listen."""
        return len(self._subscriptions) + len(self._feeds)

    def close(self) -> None:
        """End all subscriptions: their readers read what is buffered and end."""
        for owner in tuple(self._owned):
            self._drop(owner)
        for subscription in tuple(self._subscriptions):
            subscription.close()
        self._subscriptions.clear()
        self._feeds.clear()
