"""The outbox: what waits for the next write, orders ahead of requests, and what is known of an order's way out.

An order is told `Written` in the same breath in which its write begins: not while it waits behind a write that the
venue does not take, for then it may still expire, or be given back because the link is lost. Everything passes the
limiter here, in front of the wire, where nothing can go round it; what would have to wait too long is refused at once.
"""

from __future__ import annotations

from collections import Counter

from potrio.actor_errors import MailboxFull
from potrio.actors.keys import CONNECTION
from potrio.actors.limiter import Gate, Lane, RateLimits, lane_of
from potrio.actors.link import NotSent, SubmitOrder, Transmit, Written
from potrio.actors.turnstile import Late, Turnstile
from potrio.errors import LocalProtocolError, NotConnected, RateLimited, RequestError
from potrio.protocol.client_session import ClientSession
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.codec import encode, name_of
from potrio.seam import Seam
from potrio.supervision.ref import Ref

__all__ = ["Outbox"]

EXPIRED = "expired before it could be sent"
UNWANTED = "nobody waits for it any more; it was not sent"


class Outbox:
    """What one connection is going to send. Nothing here waits."""

    def __init__(self, orders: Ref[NotSent | Written], seam: Seam, gate: Gate | None = None) -> None:
        self._orders = orders
        self._seam = seam
        self._gate = gate or RateLimits.unlimited().gate(None, None, 0.0)
        self._waiting: Turnstile[SubmitOrder | Transmit] = Turnstile(self._gate)
        self.names: Counter[str] = Counter()
        """The events in the session's output, by name."""

    @property
    def wake_at(self) -> float:
        """When more may be sent of what waits for the limiter."""
        return self._waiting.wake_at

    def add_order(self, order: SubmitOrder) -> None:
        """Let an order leave with the next write that the limiter allows."""
        self._waiting.add(order, Lane.ORDERS, order.expires_at)

    def add_request(self, request: Transmit) -> bool:
        """Let a request leave with the next write that the limiter allows; False where too many wait."""
        try:
            lane = lane_of(name_of(request.message))
        except LocalProtocolError as error:
            request.settle(error)
            return False
        if self._waiting.add(request, lane, request.expires_at):
            return True
        request.settle(MailboxFull(CONNECTION.name))
        return False

    def forecast(self, lane: Lane) -> float:
        """Seconds until one more message of this lane would leave, as far as the limiter is concerned."""
        return self._waiting.forecast(lane, self._seam.now())

    def too_many(self, lane: Lane) -> None:
        """The venue said so: hold this lane up for a while."""
        self._gate.refused(lane, self._seam.now())

    def far_too_many(self) -> None:
        """The venue closed the connection over it, and did not say which: hold all lanes up."""
        for lane in Lane:
            self.too_many(lane)

    def load(self, session: ClientSession, epoch: int) -> int:
        """Move what may leave into the session's output; to be called right before that is written.

        Returns:
            how many requests were dropped, because they could not leave in time or at all.
        """
        dropped = 0
        for item in self._waiting.leaving(self._seam.now()):
            match item:
                case SubmitOrder():
                    self.load_order(item, session, epoch)
                case Transmit(wanted=wanted) if wanted is not None and not wanted():
                    item.settle(RequestError(UNWANTED))
                    dropped += 1
                case Transmit():
                    try:
                        self.put(session, item.message)
                    except LocalProtocolError as error:  # larger than the venue takes
                        item.settle(error)
                        dropped += 1
                    else:
                        item.settle(None)
                case Late():
                    dropped += self.refuse_late(item)
        return dropped

    def load_order(self, order: SubmitOrder, session: ClientSession, epoch: int) -> None:
        """Put one order into the session's output, and say so, or that it will never be."""
        now = self._seam.now()
        if now > order.expires_at:
            self._orders.tell(NotSent(order.request_id, EXPIRED, final=True))
            return
        try:
            self.put(session, order.message)
        except LocalProtocolError as error:  # larger than the venue takes: it will not do better next time
            self._orders.tell(NotSent(order.request_id, str(error), final=True))
        else:
            # Said before the bytes leave: from here on the order may have reached the venue (P1).
            self._orders.tell(Written(order.request_id, epoch, now, self._seam.wall()))

    def refuse_late(self, late: Late[SubmitOrder | Transmit]) -> int:
        """Give back what cannot leave in time; returns how many requests that is."""
        item = late.item
        error = self.limited(late.lane, late.wait_s)
        if isinstance(item, SubmitOrder):
            expired = self._seam.now() > item.expires_at
            self._orders.tell(NotSent(item.request_id, EXPIRED if expired else str(error), final=True))
            return 0
        item.settle(error)
        return 1

    def limited(self, lane: Lane, wait_s: float) -> RateLimited:
        """The error of what cannot leave in time."""
        return RateLimited(lane.name.lower(), self._seam.wall() + wait_s, wait_s)

    def put(self, session: ClientSession, message: Message) -> None:
        """Put one message into the session's output.

        Raises:
            LocalProtocolError: it cannot be sent; nothing changed.
        """
        name, payload = encode(message)
        session.send_event(name, payload)
        self.names[name] += 1

    def taken(self) -> Counter[str]:
        """The events of the output that has just been taken out of the session."""
        names, self.names = self.names, Counter()
        return names

    def refuse(self, order: SubmitOrder, reason: str) -> None:
        """Give an order back: it has not been sent."""
        late = self._seam.now() > order.expires_at
        self._orders.tell(NotSent(order.request_id, EXPIRED if late else reason, final=late))

    def give_back(self, reason: str) -> int:
        """The link is gone: give all orders back, drop the requests; returns how many requests that were."""
        dropped = 0
        for item in self._waiting.clear():
            if isinstance(item, SubmitOrder):
                self.refuse(item, reason)
            else:
                item.settle(NotConnected(reason))
                dropped += 1
        return dropped

    def close(self) -> None:
        """The actor has ended: its place in the limiter's queues is free."""
        self._gate.close()
