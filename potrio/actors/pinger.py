"""The pinger: sends ``ps`` every 20 s while the link is up, and watches that the venue has not gone silent.

The Engine.IO heartbeat itself is answered by the session at once; what needs a clock is here: one sleep until
whichever comes first of the next ``ps`` and the session's deadline.
"""

from __future__ import annotations

from typing import Any

import trio

from potrio.actors.keys import CONNECTION
from potrio.actors.link import CheckDeadline, LinkState, Transmit
from potrio.limits import PS_INTERVAL
from potrio.protocol.messages.auth import Ps
from potrio.supervision.context import Context
from potrio.supervision.ref import Ref

__all__ = ["pinger"]


async def pinger(ctx: Context[object], link: LinkState) -> None:
    """Ping until stopped; cancelling sends nothing more. Takes no messages: it lives by the state of the link."""
    connection: Ref[Any] = ctx.lookup(CONNECTION.name)  # of this session
    ctx.ready()
    epoch, due = 0, 0.0
    while True:
        now = trio.current_time()
        if link.ready and link.epoch != epoch:
            epoch, due = link.epoch, now
        wake = link.deadline if link.deadline is not None else now + PS_INTERVAL
        if link.ready:
            if now >= due:
                connection.tell(Transmit(Ps(), epoch=epoch))
                due = now + PS_INTERVAL
            wake = min(wake, due)
        if wake <= now:
            connection.tell(CheckDeadline())
            # The connection looks at once and moves the deadline; until it has, do not ask in a tight loop.
            wake = now + 0.1
        await link.wait_deadline(wake)
