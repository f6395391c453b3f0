"""What a child spec is made of, with one validator per field (pure).

A spec may be started any number of times; each start makes an independent actor. Whatever is wrong with a spec is
said when it is built: `ChildSpecInvalid`, a ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, Literal, TypeVar

import msgspec

from potrio.actor_errors import ChildSpecInvalid, DuplicateChild
from potrio.supervision.backoff import Backoff
from potrio.supervision.intensity import Limit
from potrio.supervision.mailbox_spec import MailboxSpec

__all__ = [
    "AutoShutdown",
    "ChildSpec",
    "Key",
    "Kind",
    "Restart",
    "Strategy",
    "SupervisorSpec",
    "keys_of",
]

M = TypeVar("M")

Restart = Literal["permanent", "transient", "temporary"]
"""permanent: restarted after any exit. transient: after a crash only. temporary: never."""

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Who is restarted with a crashed child: nobody, all its siblings, or those that were started after it."""

AutoShutdown = Literal["never", "any_significant", "all_significant"]

Kind = Literal["actor", "service_started", "service_immediate", "supervisor"]


class Key(Generic[M]):
    """The typed name of an actor that takes messages of type ``M``; unique in its tree.

    Example:
        >>> ROUTER = Key[int]("router")
        >>> ROUTER
        Key('router')
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Key({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.name == self.name

    def __hash__(self) -> int:
        return hash((Key, self.name))


class SupervisorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor has beyond a child: its own children and how it treats them."""

    children: tuple[ChildSpec[Any], ...]
    strategy: Strategy
    limit: Limit
    backoff: Backoff
    auto_shutdown: AutoShutdown
    max_children: int | None


class ChildSpec(msgspec.Struct, Generic[M], frozen=True, kw_only=True):
    """One child, as an immutable value. Built by `child`, `service` and `supervisor`; see there for the fields."""

    id: str
    key: Key[M] | None
    kind: Kind
    fn: Callable[..., Awaitable[object]] | None
    args: tuple[Any, ...]
    restart: Restart
    shutdown: float
    start_timeout: float
    mailbox: MailboxSpec[Any]
    drain: bool
    significant: bool
    stop_on: tuple[type[Exception], ...]
    backoff: Backoff | None
    redeliver: int
    stash_max: int
    ask_timeout: float | None
    supervisor: SupervisorSpec | None = None

    def __post_init__(self) -> None:
        for check in CHECKS:
            fault = check(self)
            if fault is not None:
                raise ChildSpecInvalid(self.id, fault)


def keys_of(spec: ChildSpec[Any]) -> Iterator[Key[Any]]:
    """Every key in a tree."""
    if spec.key is not None:
        yield spec.key
    if spec.supervisor is not None:
        for below in spec.supervisor.children:
            yield from keys_of(below)


# --- one validator per field: each returns what is wrong, or None ----------------------------------------------------


def check_id(spec: ChildSpec[Any]) -> str | None:
    if not isinstance(spec.id, str) or not spec.id or "/" in spec.id:
        return "id must be a string, not empty and without a slash"
    return None


def check_fn(spec: ChildSpec[Any]) -> str | None:
    return (
        None
        if spec.kind == "supervisor" or callable(spec.fn)
        else "the first argument must be an async function"
    )


def check_restart(spec: ChildSpec[Any]) -> str | None:
    if spec.restart not in ("permanent", "transient", "temporary"):
        return f"restart must be permanent, transient or temporary, not {spec.restart!r}"
    return None


def check_shutdown(spec: ChildSpec[Any]) -> str | None:
    return None if spec.shutdown >= 0 else f"shutdown must be >= 0 seconds, not {spec.shutdown}"


def check_start_timeout(spec: ChildSpec[Any]) -> str | None:
    return None if spec.start_timeout > 0 else f"start_timeout must be > 0 seconds, not {spec.start_timeout}"


def check_ask_timeout(spec: ChildSpec[Any]) -> str | None:
    if spec.ask_timeout is None or spec.ask_timeout > 0:
        return None
    return f"ask_timeout must be > 0 seconds or None, not {spec.ask_timeout}"


def check_mailbox(spec: ChildSpec[Any]) -> str | None:
    return (
        None
        if isinstance(spec.mailbox, MailboxSpec)
        else "mailbox must be bounded(), unbounded(), latest() or lanes()"
    )


def check_redeliver(spec: ChildSpec[Any]) -> str | None:
    return None if spec.redeliver >= 0 else f"redeliver must be >= 0, not {spec.redeliver}"


def check_stash(spec: ChildSpec[Any]) -> str | None:
    return None if spec.stash_max >= 1 else f"stash_max must be >= 1, not {spec.stash_max}"


def check_stop_on(spec: ChildSpec[Any]) -> str | None:
    if all(isinstance(cls, type) and issubclass(cls, Exception) for cls in spec.stop_on):
        return None
    return "stop_on must be a tuple of subclasses of Exception"


def check_significant(spec: ChildSpec[Any]) -> str | None:
    if spec.significant and spec.restart == "permanent":
        return "a permanent child never ends by itself and cannot be significant"
    return None


def check_supervisor(spec: ChildSpec[Any]) -> str | None:
    if spec.supervisor is None:
        return None
    own = spec.supervisor
    if own.strategy not in ("one_for_one", "one_for_all", "rest_for_one"):
        return f"strategy must be one_for_one, one_for_all or rest_for_one, not {own.strategy!r}"
    if own.auto_shutdown not in ("never", "any_significant", "all_significant"):
        return f"auto_shutdown must be never, any_significant or all_significant, not {own.auto_shutdown!r}"
    if own.max_children is not None and own.max_children < len(own.children):
        return f"max_children is {own.max_children} but {len(own.children)} are listed"
    return None


def check_children(spec: ChildSpec[Any]) -> str | None:
    if spec.supervisor is None:
        return None
    seen: set[str] = set()
    for below in spec.supervisor.children:
        if not isinstance(below, ChildSpec):
            return f"a child must be a value made by child(), service() or supervisor(), not {below!r}"
        if below.id in seen:
            raise DuplicateChild(below.id, f"two children of {spec.id!r} have this id")
        seen.add(below.id)
        if below.significant and spec.supervisor.auto_shutdown == "never":
            return f"child {below.id!r} is significant while auto_shutdown is never"
    keys: set[Key[Any]] = set()
    for key in keys_of(spec):
        if key in keys:
            raise DuplicateChild(key.name, f"two actors below {spec.id!r} have this key")
        keys.add(key)
    return None


CHECKS: tuple[Callable[[ChildSpec[Any]], str | None], ...] = (
    check_id,
    check_fn,
    check_restart,
    check_shutdown,
    check_start_timeout,
    check_ask_timeout,
    check_mailbox,
    check_redeliver,
    check_stash,
    check_stop_on,
    check_significant,
    check_supervisor,
    check_children,
)
