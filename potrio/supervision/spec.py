"""Child specs and trees as values: what to run, and how it is restarted and stopped (pure).

A spec may be started any number of times; each start makes an independent actor. Whatever is wrong with a spec is
said when it is built: `ChildSpecInvalid`, a ``ValueError``.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Never, TypeVar, TypeVarTuple

from potrio.actor_errors import ChildSpecInvalid
from potrio.supervision.backoff import Backoff
from potrio.supervision.child_spec import AutoShutdown, ChildSpec, Key, Restart, Strategy, SupervisorSpec
from potrio.supervision.intensity import Limit
from potrio.supervision.mailbox_spec import MailboxSpec, bounded

__all__ = ["child", "service", "supervisor"]

M = TypeVar("M")
Ts = TypeVarTuple("Ts")

ASK_TIMEOUT = 5.0
"""Seconds an `ask` waits unless it says otherwise: OTP's figure."""

SHUTDOWN = 5.0
"""Seconds an actor has to end when asked to, before it is cancelled: OTP's figure."""

STASH_MAX = 1024
"""Messages an actor may set aside."""


def child(
    fn: Callable[[Any, *Ts], Awaitable[object]],
    *args: *Ts,
    id: str | Key[M] | None = None,
    restart: Restart = "permanent",
    shutdown: float = SHUTDOWN,
    start_timeout: float = math.inf,
    mailbox: MailboxSpec[Any] | None = None,
    drain: bool = True,
    significant: bool = False,
    stop_on: tuple[type[Exception], ...] = (),
    backoff: Backoff | None = None,
    redeliver: int = 0,
    stash_max: int = STASH_MAX,
    ask_timeout: float | None = ASK_TIMEOUT,
) -> ChildSpec[M]:
    """Describe an actor: an async function ``fn(ctx, *args)`` that loops over ``ctx.inbox``.

    Args:
        fn: called anew for every incarnation with a `Context` and ``args``.
        args: its further arguments; shared by all incarnations.
        id: name among its siblings, or a `Key`; the function's name where it is left out.
        restart: ``permanent``, ``transient`` or ``temporary``.
        shutdown: seconds to end by itself when asked to; then it is cancelled. 0 cancels at once, ``inf`` waits.
        start_timeout: seconds until it must be ready (ask for its first message, or call ``ctx.ready()``).
        mailbox: ``bounded(1024)`` unless said otherwise.
        drain: at a stop for good, handle what is queued first; otherwise the inbox ends at once.
        significant: its own end may end the supervisor (``auto_shutdown``).
        stop_on: crashes with these are terminal: a permanent child then takes its supervisor with it, any other ends.
        backoff: in place of the supervisor's.
        redeliver: how often a message that crashed the actor is handed out again before it counts as poison.
        stash_max: bound of ``inbox.stash()``.
        ask_timeout: seconds `Ref.ask` waits for this actor where the caller names none; None waits without end.

    Raises:
        ChildSpecInvalid: a value cannot be used.
    """
    key, name = (id, id.name) if isinstance(id, Key) else (None, id if id is not None else name_of(fn))
    return ChildSpec(
        id=name,
        key=key,
        kind="actor",
        fn=fn,
        args=args,
        restart=restart,
        shutdown=shutdown,
        start_timeout=start_timeout,
        mailbox=mailbox if mailbox is not None else bounded(),
        drain=drain,
        significant=significant,
        stop_on=stop_on,
        backoff=backoff,
        redeliver=redeliver,
        stash_max=stash_max,
        ask_timeout=ask_timeout,
    )


def service(
    fn: Callable[..., Awaitable[object]],
    *args: Any,
    id: str | Key[Never] | None = None,
    ready: Literal["started", "immediately"] = "started",
    restart: Restart = "permanent",
    shutdown: float = 0.0,
    start_timeout: float = math.inf,
    significant: bool = False,
    stop_on: tuple[type[Exception], ...] = (),
    backoff: Backoff | None = None,
) -> ChildSpec[Never]:
    """Describe a plain trio function as a child without a mailbox.

    Args:
        fn: with ``ready="started"`` it is called as ``fn(*args, task_status=...)`` like by ``nursery.start`` and is
            ready when it calls ``task_status.started(value)``; with ``"immediately"`` as ``fn(*args)``.
        args: see `child`, as for all others.
        shutdown: a plain function does not know that it is asked to stop, so it is cancelled at once by default.

    Raises:
        ChildSpecInvalid: a value cannot be used.
    """
    if ready not in ("started", "immediately"):
        raise ChildSpecInvalid(str(id), f"ready must be started or immediately, not {ready!r}")
    key, name = (id, id.name) if isinstance(id, Key) else (None, id if id is not None else name_of(fn))
    return ChildSpec(
        id=name,
        key=key,
        kind="service_started" if ready == "started" else "service_immediate",
        fn=fn,
        args=args,
        restart=restart,
        shutdown=shutdown,
        start_timeout=start_timeout,
        mailbox=bounded(1),
        drain=False,
        significant=significant,
        stop_on=stop_on,
        backoff=backoff,
        redeliver=0,
        stash_max=STASH_MAX,
        ask_timeout=ASK_TIMEOUT,
    )


def supervisor(
    *children: ChildSpec[Any],
    id: str,
    strategy: Strategy = "one_for_one",
    limit: Limit | None = None,
    backoff: Backoff | None = None,
    auto_shutdown: AutoShutdown = "never",
    restart: Restart = "permanent",
    significant: bool = False,
    max_children: int | None = None,
    stop_on: tuple[type[Exception], ...] = (),
    start_timeout: float = math.inf,
) -> ChildSpec[Never]:
    """Describe a supervisor and what is below it: a tree is a value.

    Args:
        children: started in this order, each when the one before is ready; stopped in reverse.
        id: name among its siblings; the first part of the path at the top of a tree.
        strategy: who is restarted with a crashed child.
        limit: how many restarts within how many seconds; past it the supervisor gives up. Default ``Limit(3, 5)``.
        backoff: how long to wait before a restart. Default ``Backoff()``.
        auto_shutdown: end, normally, when the first (``any_significant``) or last (``all_significant``) significant
            child has ended by itself.
        restart: what its own supervisor does when this one ends.
        significant: its own end may end the supervisor above.
        max_children: bound for `Supervisor.start_child`, children in backoff included.
        stop_on: as for `child`, matched against the crash and everything in its chain of causes.
        start_timeout: seconds until the whole of it must be ready.

    A limit that backoff makes unreachable (``limit.within < limit.restarts * backoff.cap / 2``) is allowed: many
    supervisors are meant to try for ever. Write ``Limit.never()`` to say so, or widen the window.

    Raises:
        ChildSpecInvalid: a value cannot be used.
        DuplicateChild: two children share an id, or two of the tree a key.
    """
    below = SupervisorSpec(
        children=children,
        strategy=strategy,
        limit=limit if limit is not None else Limit(),
        backoff=backoff if backoff is not None else Backoff(),
        auto_shutdown=auto_shutdown,
        max_children=max_children,
    )
    return ChildSpec(
        id=id,
        key=None,
        kind="supervisor",
        fn=None,
        args=(),
        restart=restart,
        shutdown=math.inf,  # bounded by the deadlines of its own children
        start_timeout=start_timeout,
        mailbox=bounded(1),
        drain=False,
        significant=significant,
        stop_on=stop_on,
        backoff=None,
        redeliver=0,
        stash_max=STASH_MAX,
        ask_timeout=ASK_TIMEOUT,
        supervisor=below,
    )


def name_of(fn: Callable[..., object]) -> str:
    """The name of a function, also of one wrapped by ``functools.partial``."""
    inner = getattr(fn, "func", fn)
    return str(getattr(inner, "__name__", type(inner).__name__))
