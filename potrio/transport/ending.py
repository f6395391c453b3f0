"""How a transport ended: set once, raised as often as it is asked for."""

from __future__ import annotations

from typing import Final, TypeAlias

import trio

from potrio.errors import ClosedForPolicy, ConnectionBroken, ConnectionClosed, RemoteProtocolError

__all__ = ["EndError", "Ending", "closed_by_peer", "closed_here", "fresh", "lost"]

POLICY_VIOLATION: Final = 1008
"""RFC 6455 7.4.1."""

EndError: TypeAlias = ConnectionClosed | RemoteProtocolError


class Ending:
    """The first cause of the end wins: what happens to a connection that has ended says nothing about why."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: EndError | None = None

    def set(self, error: EndError) -> None:
        """Note the cause, unless there is one already."""
        if self.error is None:
            self.error = error

    def check(self) -> None:
        """Do nothing before the end.

        Raises:
            ConnectionClosed, ConnectionBroken, RemoteProtocolError: the cause. Each call raises an error of
                its own, since two tasks may see the end at once and a traceback belongs to one of them.
        """
        if self.error is not None:
            raise fresh(self.error) from self.error.__cause__


def fresh(error: EndError) -> EndError:
    """Return an equal error without a traceback."""
    copy: EndError = type(error)(*error.args)
    return copy


def closed_here() -> ConnectionClosed:
    """Say that the end was our own doing."""
    return ConnectionClosed("the connection has been closed on this side")


def closed_by_peer(code: int, reason: str) -> ConnectionBroken:
    """Say that the peer sent a Close frame. Its reason is shown escaped: it may hold anything."""
    shown = "no code" if code == 1005 else f"code {code}"
    kind = ClosedForPolicy if code == POLICY_VIOLATION else ConnectionBroken
    return kind(f"the peer closed the connection ({shown}{f', {reason!r}' if reason else ''})")


def lost(error: trio.BrokenResourceError | trio.ClosedResourceError) -> ConnectionBroken:
    """Say that the stream under a transport failed; the system's own words are in the text, the error is the cause."""
    cause = error.__cause__
    detail = getattr(cause, "strerror", None) or (
        type(cause).__name__ if cause is not None else "broken stream"
    )
    broken = ConnectionBroken(f"the connection was lost: {detail}")
    broken.__cause__ = error
    return broken
