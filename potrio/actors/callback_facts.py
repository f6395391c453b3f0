"""The names of `Client.on`: which fact each stands for, and how what the actors see becomes one value for each fact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from potrio.actors.account import BalanceUpdate
from potrio.actors.asset_changes import AssetChange
from potrio.actors.callbacks import Callbacks, ErrorReport, SlowHandler
from potrio.actors.evidence import OrderState
from potrio.actors.link import FrameReader, LinkLost, LinkState, LinkUp
from potrio.actors.order_handle import OrderHandle
from potrio.actors.stream import Gap
from potrio.protocol.frames import Message
from potrio.protocol.messages.market import Tick
from potrio.secrets import Secret
from potrio.supervision.events import ChildCrashed
from potrio.transport.recording import safe_message

__all__ = ["TOPICS", "Attempt", "Authenticated", "Facts", "FrameSeen", "OrderChanged", "Resumed"]


class Attempt(msgspec.Struct, frozen=True):
    """Connection number ``epoch`` is being tried, at this address."""

    epoch: int
    url: str


class FrameSeen(msgspec.Struct, frozen=True):
    """A WebSocket message as it went over the wire, but for the token: ``***`` stands in its place.

    Attributes:
        session: of which session: 1 is the client's own, the others are additional ones.
        epoch: the number of the connection among those of its session.
        at: when (trio's clock) it was read, or had been written.
        message: text, or bytes where it was binary.
    """

    session: int
    epoch: int
    at: float
    message: Message


class Authenticated(msgspec.Struct, frozen=True):
    """The venue accepted the SSID on connection number ``epoch``. ``uid`` is None for a guest."""

    epoch: int
    uid: int | None
    is_demo: bool


class Resumed(msgspec.Struct, frozen=True):
    """The link is up again after an outage of ``outage_s`` seconds, as connection number ``epoch``."""

    epoch: int
    outage_s: float


class OrderChanged(msgspec.Struct, frozen=True):
    """An order of ours went from one state to another; ``order`` is its handle, which may be further by now."""

    order: OrderHandle
    before: str
    after: str


TOPICS: Final[dict[str, tuple[Any, str]]] = {
    "connected": (
        LinkUp,
        "a connection is authenticated and ready; at once where one is when the handler is added",
    ),
    "authenticated": (Authenticated, "the venue accepted the SSID; at once as `connected`"),
    "lost": (LinkLost, "a link that was up is gone: once for each outage"),
    "resumed": (Resumed, "the link is up again: once for each outage"),
    "attempt": (Attempt, "a connection is being tried"),
    "attempt_failed": (LinkLost, "it did not become a link, and why: once for each attempt"),
    "balance_updated": (BalanceUpdate, "the venue told a balance"),
    "assets_changed": (AssetChange, "an asset opened, closed, came, went, or changed payout or durations"),
    "order_opened": (OrderHandle, "the venue accepted an order of ours: once for each order"),
    "order_closed": (
        OrderHandle,
        "an order of ours is settled, rejected, denied or void: once; again where one that was void or rejected is "
        "settled after all",
    ),
    "order_changed": (OrderChanged, "an order of ours changed its state"),
    "tick": (Tick | Gap, "a live tick of the asset named in `on(..., asset=...)`, or what is missing"),
    "sent": (FrameSeen, "a message was written to the wire, of whichever session"),
    "received": (FrameSeen, "a message came in, of whichever session"),
    "error": (ErrorReport, "a handler raised, or an actor crashed and is restarted"),
    "slow_handler": (SlowHandler, "a handler takes longer than its `slow_after_s`"),
}
"""Name -> (type of the payload, the fact that it stands for)."""


class Facts:
    """Turns what actors see into topics: each fact once. Called by them in passing; never waits."""

    def __init__(self, callbacks: Callbacks, *, is_demo: bool) -> None:
        self._callbacks = callbacks
        self._is_demo = is_demo
        self.uid: int | None = None
        """The account's number; set before the client's tree runs."""
        self._lost_at: float | None = None
        self.up: LinkUp | None = None
        """The link that is up now."""
        self.secrets: Iterable[Secret] = ()
        """The tokens, which no frame is shown with; set before the client's tree runs, by who goes on adding to it."""
        self._readers: list[FrameReader] = []  # the list it is in
        self._told = 0  # epoch of the last attempt that was told as failed, or was up

    def authenticated(self, up: LinkUp) -> Authenticated:
        """What ``authenticated`` tells of a connection."""
        return Authenticated(up.epoch, self.uid, self._is_demo)

    def observe(self, message: object) -> None:
        """What the monitor is told of the link and of crashes."""
        publish = self._callbacks.publish
        match message:
            case LinkUp(epoch=epoch) if self.up is not None and self.up.epoch == epoch:
                pass  # told again by a router that crashed in the middle of it
            case LinkUp() as up:
                self.up, self._told = up, up.epoch
                publish("authenticated", self.authenticated(up))
                publish("connected", up)
                if self._lost_at is not None:
                    publish("resumed", Resumed(up.epoch, up.at - self._lost_at))
                    self._lost_at = None
            case LinkLost() as lost if self.up is not None:
                self.up, self._lost_at = None, lost.at
                publish("lost", lost)
            case LinkLost() as lost if lost.epoch > self._told:
                self._told = lost.epoch
                publish("attempt_failed", lost)
            case ChildCrashed(path=path):
                publish("error", ErrorReport("crash", path, f"{path} crashed and is restarted"))
            case _:
                pass

    def attempt(self, epoch: int, url: str) -> None:
        """A connection is begun."""
        self._callbacks.publish("attempt", Attempt(epoch, url))

    def read_along(self, link: LinkState) -> None:
        """Be shown what goes over the wire, as long as somebody listens to it."""
        if self._frames not in link.frame_readers:
            link.frame_readers.append(self._frames)
            self._readers = link.frame_readers

    def _frames(self, sent: bool, link: LinkState, messages: Sequence[Message], at: float) -> None:
        callbacks = self._callbacks
        if not (callbacks.wanted("sent") or callbacks.wanted("received")):
            self._readers.remove(self._frames)
            return
        topic = "sent" if sent else "received"
        if callbacks.wanted(topic):
            for message in messages:
                shown = safe_message(message, *self.secrets, sent=sent)
                callbacks.publish(topic, FrameSeen(link.session, link.epoch, at, shown))

    def order(self, handle: OrderHandle, before: OrderState, *, had_deal: bool) -> None:
        """An order shows something new; ``had_deal``: the venue's acceptance was known before."""
        publish, after = self._callbacks.publish, handle.state
        if handle.deal is not None and not had_deal:
            publish("order_opened", handle)
        if before is not after:
            publish("order_changed", OrderChanged(handle, before.value, after.value))
            if after is OrderState.SETTLED or (after.ended and not before.ended):
                publish("order_closed", handle)
