"""`Opening`: a stream that is about to be opened, with ``async with`` for a block of code or ``await`` for a handle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Opening"]


class Closable(Protocol):
    """A stream: closing it unsubscribes its reader and nobody else."""

    def close(self) -> None:
        """Stop reading."""


S = TypeVar("S", bound=Closable)


class Opening(Generic[S]):
    """What the calls that open streams return. To be used once.

    ``async with opening as stream: ...`` closes the stream when the block is left. ``stream = await opening`` leaves
    that to you: ``await stream.aclose()``; streams that are left open end with the client.
    """

    def __init__(self, open_stream: Callable[[], Awaitable[S]]) -> None:
        self._open = open_stream
        self._stream: S | None = None

    def __await__(self) -> Generator[Any, Any, S]:
        return self._open().__await__()

    async def __aenter__(self) -> S:
        """Open the stream; waits and raises as the call says. Cancelled, it leaves no reader behind."""
        self._stream = await self._open()
        return self._stream

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it; no checkpoint."""
        assert self._stream is not None
        self._stream.close()
