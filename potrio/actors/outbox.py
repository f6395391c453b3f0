"""The outbox: what waits for the next write, orders ahead of requests, and what is known of an order's way out.

An order is told `Written` in the same breath in which its write begins: not while it waits behind a write that the
venue does not take, for then it may still expire, or be given back because the link is lost.
"""

from __future__ import annotations

from collections import Counter, deque

from potrio.actors.link import NotSent, SubmitOrder, Written
from potrio.errors import LocalProtocolError
from potrio.limits import MAILBOX_CAPACITY
from potrio.protocol.client_session import ClientSession
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.codec import encode
from potrio.seam import Seam
from potrio.supervision.ref import Ref

__all__ = ["Outbox"]

EXPIRED = "expired before it could be sent"


class Outbox:
    """What one connection is going to send. Nothing here waits."""

    def __init__(self, orders: Ref[NotSent | Written], seam: Seam) -> None:
        self._orders = orders
        self._seam = seam
        self._due: deque[SubmitOrder] = deque()  # at most one per asset: the order book sees to it
        self._requests: deque[Message] = deque()
        self.names: Counter[str] = Counter()
        """The events in the session's output, by name."""

    def add_order(self, order: SubmitOrder) -> None:
        """Let an order leave with the next write."""
        self._due.append(order)

    def add_request(self, request: Message) -> bool:
        """Let a request leave with the next write; False where too many wait."""
        if len(self._requests) >= MAILBOX_CAPACITY:
            return False
        self._requests.append(request)
        return True

    def load(self, session: ClientSession, epoch: int) -> None:
        """Move everything into the session's output; to be called right before that is written."""
        while self._due:
            order = self._due.popleft()
            now = self._seam.now()
            if now > order.expires_at:
                self._orders.tell(NotSent(order.request_id, EXPIRED, final=True))
                continue
            try:
                self.put(session, order.message)
            except (
                LocalProtocolError
            ) as error:  # larger than the venue takes: it will not do better next time
                self._orders.tell(NotSent(order.request_id, str(error), final=True))
            else:
                # Said before the bytes leave: from here on the order may have reached the venue (P1).
                self._orders.tell(Written(order.request_id, epoch, now, self._seam.wall()))
        while self._requests:
            self.put(session, self._requests.popleft())

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
        while self._due:
            self.refuse(self._due.popleft(), reason)
        dropped = len(self._requests)
        self._requests.clear()
        return dropped
