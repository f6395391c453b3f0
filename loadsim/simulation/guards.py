"""Real time, chance, sockets and threads are forbidden in a simulation: two runs of one seed would differ by them."""

from __future__ import annotations

import gc
import importlib
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["FORBIDDEN", "RealWorld", "elders_set_aside", "guarded"]

FORBIDDEN: Final = (
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "sleep"),
    ("random", "random"),
    ("random", "randrange"),
    ("random", "randint"),
    ("random", "uniform"),
    ("random", "choice"),
    ("random", "shuffle"),
    ("random", "getrandbits"),
    ("os", "urandom"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
    ("secrets", "token_bytes"),
    ("secrets", "token_hex"),
    ("secrets", "token_urlsafe"),
    ("socket", "socket"),
    ("socket", "create_connection"),
    ("socket", "getaddrinfo"),
    ("threading", "Thread"),
    ("trio.to_thread", "run_sync"),
)
"""(module, name): what raises `RealWorld`. `datetime.now` cannot be replaced; the lint of the sources bans it."""

SEEDED: Final = {"wsproto.utilities": "urandom"}
"""Libraries that ask the system for chance by themselves (the key of a handshake) are given the seed's."""

SET_ASIDE_AT_START: Final = 1_000
"""Python 3.12 sets a few hundred objects aside by itself; whoever else does so does it with everything there is."""

HARMLESS: Final = frozenset({"logging"})
"""The time in a log record decides nothing."""


class RealWorld(AssertionError):
    """Something in a simulation asked the real world."""


@contextmanager
def guarded(chance: random.Random) -> Iterator[None]:
    """Forbid all that; to be entered inside of `trio.run`, which itself needs a socket pair to start.

    Args:
        chance: for the few libraries that ask for some on their own.

    The garbage collector is off meanwhile: finalisers would run when it pleases.
    """
    kept: list[tuple[Any, str, Any]] = []
    was_on = gc.isenabled()
    for module_name, name in FORBIDDEN:
        module = importlib.import_module(module_name)
        real = getattr(module, name)
        kept.append((module, name, real))
    gc.disable()
    try:
        for module, name, real in kept:
            setattr(module, name, _forbidden(f"{module.__name__}.{name}", real, chance))
        yield
    finally:
        for module, name, real in kept:
            setattr(module, name, real)
        if was_on:
            gc.enable()


@contextmanager
def elders_set_aside() -> Iterator[None]:
    """Let the passes of the garbage collector look only at what is made in the block, and be one at its end.

    A process has some hundred thousand objects that every pass would look at anew. Where somebody has set objects aside
    already, it stays at those: nobody else's are brought back.
    """
    is_ours = gc.get_freeze_count() < SET_ASIDE_AT_START
    if is_ours:
        gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        if is_ours:
            gc.unfreeze()


def _forbidden(called: str, real: Callable[..., Any], chance: random.Random) -> Callable[..., Any]:
    def refuse(*arguments: Any, **options: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller in HARMLESS:
            return real(*arguments, **options)
        if called == f"os.{SEEDED.get(caller)}":
            return chance.randbytes(*arguments)
        raise RealWorld(f"{called}() was called in a simulation: take it from the Seam")

    return refuse
