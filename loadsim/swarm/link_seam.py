"""A link that can be hurt: a `Seam` whose connections can be cut, or fall silent, while they are used."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio

from potrio.seam import Seam

__all__ = ["LinkSeam"]

T = TypeVar("T")


class LinkSeam(Seam):
    """The seam of one client; everything but the hurting is the inner one's.

    Args:
        inner: the door to the network.
    """

    def __init__(self, inner: Seam) -> None:
        self._inner = inner
        self._streams: list[HurtStream] = []
        self._running = trio.Event()
        self._running.set()
        self._readers: set[trio.CancelScope] = set()

    # --- hurting -----------------------------------------------------------------------------------------------------

    async def drop(self) -> None:
        """Cut every connection, without a word to either side. Cancelling does not stop it."""
        for stream in tuple(self._streams):
            await stream.cut()

    def stall(self) -> None:
        """From now on nothing is heard and nothing said, and no connection ends."""
        if self._running.is_set():
            self._running = trio.Event()
            for scope in self._readers:
                scope.cancel("the link falls silent")

    def resume(self) -> None:
        """What was held up goes on."""
        self._running.set()

    async def wait_running(self) -> None:
        """Wait while the link is silent. Cancelling only stops the waiting."""
        while not self._running.is_set():
            await self._running.wait()

    @contextmanager
    def until_silent(self) -> Iterator[None]:
        """Leave a reading where the link falls silent; nothing that has come is lost."""
        with trio.CancelScope() as scope:
            self._readers.add(scope)
            try:
                yield
            finally:
                self._readers.discard(scope)

    def forget(self, stream: HurtStream) -> None:
        """A connection is closed."""
        if stream in self._streams:
            self._streams.remove(stream)

    # --- the seam ----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """As the inner one."""
        return self._inner.now()

    def wall(self) -> float:
        """As the inner one."""
        return self._inner.wall()

    async def wait_until(self, event: trio.Event, deadline: float) -> None:
        """As the inner one; waiting and cancelling, too."""
        await self._inner.wait_until(event, deadline)

    def generator(self) -> random.Random:
        """As the inner one."""
        return self._inner.generator()

    def new_id(self) -> str:
        """As the inner one."""
        return self._inner.new_id()

    def mask_bytes(self, count: int) -> bytes:
        """As the inner one."""
        return self._inner.mask_bytes(count)

    async def resolve(self, host: str, port: int) -> list[tuple[int, tuple[str | int, ...]]]:
        """As the inner one."""
        return await self._inner.resolve(host, port)

    async def connect_tcp(self, family: int, address: tuple[str | int, ...]) -> trio.abc.Stream:
        """Connect; OSError, waiting and cancelling are the inner one's."""
        await self.wait_running()
        stream = HurtStream(self, await self._inner.connect_tcp(family, address))
        self._streams.append(stream)
        return stream

    def wrap_tls(self, stream: trio.abc.Stream, context: ssl.SSLContext, host: str) -> Any:
        """As the inner one."""
        return self._inner.wrap_tls(stream, context, host)

    def read_file(self, path: Path) -> bytes:
        """As the inner one."""
        return self._inner.read_file(path)

    def environment(self) -> dict[str, str]:
        """As the inner one."""
        return self._inner.environment()

    async def in_thread(self, function: Callable[[], T]) -> T:
        """As the inner one."""
        return await self._inner.in_thread(function)


class HurtStream(trio.abc.Stream):
    """One connection of such a link."""

    def __init__(self, link: LinkSeam, inner: trio.abc.Stream) -> None:
        self._link = link
        self._inner = inner
        self._is_cut = False

    async def cut(self) -> None:
        """End it, as a network does that is gone."""
        self._is_cut = True
        self._link.forget(self)
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._inner)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write; waits while the link is silent, then as the inner one.

        Raises:
            trio.BrokenResourceError: it was cut, or what the inner one raises.
        """
        await self._link.wait_running()
        try:
            await self._inner.send_all(data)
        except trio.ClosedResourceError:
            self._check()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        """As the inner one."""
        await self._link.wait_running()
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Read; waits while the link is silent, then as the inner one.

        Raises:
            trio.BrokenResourceError: it was cut, or what the inner one raises.
        """
        while True:
            await self._link.wait_running()
            try:
                with self._link.until_silent():
                    return await self._inner.receive_some(max_bytes)
            except trio.ClosedResourceError:
                self._check()
                raise

    def _check(self) -> None:
        if self._is_cut:
            raise trio.BrokenResourceError("the link was cut") from None

    async def aclose(self) -> None:
        """As the inner one."""
        self._link.forget(self)
        await self._inner.aclose()
