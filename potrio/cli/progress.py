"""What takes long tells how far it is: one line on standard error that is written over, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TextIO

import trio

from potrio.cli.show import CLEAR_LINE

__all__ = ["progress"]

FIRST_S: Final = 0.5
"""What is done by then needs no telling."""

AGAIN_S: Final = 0.2


@asynccontextmanager
async def progress(text: Callable[[], str], stream: TextIO | None = None) -> AsyncIterator[None]:
    """Show a text, again and again, while the block runs; nothing is left of it afterwards.

    Args:
        text: how far it is.
        stream: where to, in the place of standard error.

    Entering and leaving never wait; cancelling ends the block as it would without.
    """
    out = sys.stderr if stream is None else stream
    if not out.isatty():
        yield
        return
    fault: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_show, text, out)
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised below: the nursery would put it into a group
            fault = error
        nursery.cancel_scope.cancel()
    if fault is not None:
        raise fault


async def _show(text: Callable[[], str], out: TextIO) -> None:
    shown = False
    try:
        await trio.sleep(FIRST_S)
        while True:
            out.write(f"{CLEAR_LINE}{text()}")
            out.flush()
            shown = True
            await trio.sleep(AGAIN_S)
    finally:
        if shown:
            out.write(CLEAR_LINE)
            out.flush()
