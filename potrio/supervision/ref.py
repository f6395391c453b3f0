"""How everybody else talks to an actor: `Ref`, which names the logical actor and stays valid over restarts."""

from __future__ import annotations

import math
from threading import get_ident
from typing import Final, Generic, TypeVar

import trio

from potrio.actor_errors import ActorDead, AskCycle, MailboxFull, NoReply
from potrio.supervision.call import Call, Pending, Request
from potrio.supervision.cell import Cell
from potrio.supervision.events import ChildBlocked
from potrio.supervision.exit import Exit
from potrio.supervision.ledger import MARK_MASK, NOTHING

__all__ = ["Ref"]

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")

ACTORS_DEFAULT: Final = -1.0
"""``timeout=`` was left out: the callee's spec says how long."""


class Ref(Generic[M_contra]):
    """A handle to an actor that takes messages of type ``M``. Cheap, hashable, stable over restarts."""

    __slots__ = ("_box", "_cell", "path")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._box = cell.box
        self.path = cell.path

    # --- sending ---

    def tell(self, message: M_contra) -> bool:
        """Queue a message. Never waits, never raises for what the actor is or does.

        Returns:
            False where it was not queued: the mailbox is full, or the actor is stopping or has ended. A dead letter
            says why.

        Raises:
            RuntimeError: called from another thread; that is what `Supervisor.post` is for.
        """
        box = self._box
        if get_ident() != box.thread:
            return box.put(message)
        # The fast part of `MailboxQueue.offer`, in one piece because a call costs as much as all of it.
        try:
            box.put_fast(message)
        except trio.WouldBlock:
            return box.put(message)
        box.accepted = number = box.accepted + 1
        depth = number - box.gone
        if depth > box.peak:
            box.peak = depth
        if message.__class__ is Call:
            box.adopt(message._pending)  # type: ignore[attr-defined]  # is a Call
        if depth <= 1:
            box.fresh = number
            box.fresh_at = box.now()
        elif not number & MARK_MASK:
            box.mark(number)
        if box.sleeper is not None:
            box.wake()
        return True

    async def send(self, message: M_contra) -> None:
        """Queue a message, waiting for room where the mailbox is full (and its overflow rule is ``reject``).

        Waiting senders are served first come, first served. *Not* a checkpoint where there is room. Cancelling means
        that the message has not been queued.

        Raises:
            ActorDead: the actor is stopping or has ended, or does so while this waits.
        """
        await self._box.send(message)

    async def ask(self, request: Request[R], *, timeout: float | None = ACTORS_DEFAULT) -> R:
        """Send a request and wait for its reply.

        Cancelling, or the timeout, abandons the request: if it still waits in the mailbox it will never be handled.

        Args:
            timeout: seconds; None waits as long as the actor lives. Default: ``ask_timeout`` of the actor's spec.

        Raises:
            AskTimeout: no reply in time (also a `trio.TooSlowError`).
            ActorDead: the actor has ended, or ended while the request waited. `ActorCrashed`: it crashed while it
                held the request; whether the request was carried out is not known.
            MailboxFull: there was no room; nothing was queued.
            NoReply: the actor dropped the request, or its mailbox gave it up.
            AskCycle: an actor asked itself.
            Exception: whatever the actor passed to ``call.fail()``.
        """
        cell = self._cell
        runtime = cell.runtime
        task = trio.lowlevel.current_task()
        asker: Cell | None = runtime.tasks.get(task)
        if asker is cell:
            raise AskCycle(self.path)
        if cell.box.refuse_as is not None:
            cell.box.refused(request, cell.box.refuse_as)
            raise ActorDead(self.path, "is stopping" if cell.box.refuse_as == "stopping" else "has ended")
        seconds = timeout if timeout != ACTORS_DEFAULT else cell.spec.ask_timeout
        due = math.inf if seconds is None else runtime.now() + seconds
        pending = Pending(cell, request, task, due, seconds or 0.0)
        if cell.calls is None:
            cell.calls = {}
        cell.calls[pending] = None
        # The Call must have no other owner than the mailbox, so that a dropped one is noticed.
        if not self.tell(Call(pending)):  # type: ignore[arg-type]  # a Ref[M] takes the requests in M as calls
            pending.close()
            if (
                cell.box.counts
                and cell.box.lane is not None
                and cell.box.lane.overflow(request) == "drop_newest"
            ):
                raise NoReply(self.path, "gave the request up unread (dropped)")
            raise MailboxFull(self.path)
        if due != math.inf:
            pending.timer = runtime.timers.at(due, pending.expire)
        if asker is not None:
            asker.waiting_on = cell
            report_cycle(asker, cell)

        def abort(_: object) -> trio.lowlevel.Abort:
            pending.abandon()
            return trio.lowlevel.Abort.SUCCEEDED

        try:
            await trio.lowlevel.wait_task_rescheduled(abort)
        finally:
            if asker is not None:
                asker.waiting_on = None
        reply: R = pending.result()
        return reply

    # --- life ---

    @property
    def alive(self) -> bool:
        """Whether the logical actor has not ended for good; it may be between two incarnations."""
        return self._cell.state != "ended"

    async def join(self) -> Exit:
        """Wait until the actor has ended for good, and tell how. Cancelling only stops the waiting."""
        return await self._cell.join()

    async def wait_ready(self) -> None:
        """Wait until an incarnation of the actor is ready. Cancelling only stops the waiting.

        Raises:
            ActorDead: it has ended for good.
        """
        await self._cell.wait_ready()

    # --- operations ---

    async def suspend(self) -> None:
        """Stop handing out messages, and wait until none is in hand. Cancelling resumes the actor.

        Messages are queued meanwhile; `resume` lets them through. Stopping works as always.
        """
        box = self._box
        box.suspend()
        if box.in_hand is not NOTHING:
            if box.waiting_for_idle is None:
                box.waiting_for_idle = trio.Event()
            try:
                await box.waiting_for_idle.wait()
            except trio.Cancelled:
                box.resume()
                raise
        else:
            await trio.lowlevel.checkpoint()

    def resume(self) -> None:
        """Hand out messages again."""
        self._box.resume()

    def inspect(self) -> object:
        """Call the function that the actor handed to ``ctx.expose()`` and return what it returns.

        Raises:
            LookupError: the current incarnation has exposed nothing.
        """
        if self._cell.exposed is None:
            raise LookupError(f"{self.path} has exposed nothing")
        return self._cell.exposed()

    def channel(self) -> trio.abc.SendChannel[M_contra]:
        """This ref as a trio channel, for code that wants one. Closing it does nothing to the actor."""
        return RefChannel(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other._cell is self._cell

    def __hash__(self) -> int:
        return hash(id(self._cell))

    def __repr__(self) -> str:
        return f"<Ref {self.path}>"


class RefChannel(trio.abc.SendChannel[M_contra]):
    """A `Ref` behind trio's interface."""

    def __init__(self, ref: Ref[M_contra]) -> None:
        self._ref = ref
        self._closed = False

    async def send(self, value: M_contra) -> None:
        """Like `Ref.send`, but always a checkpoint. Cancelling means that the message has not been queued.

        Raises:
            trio.BrokenResourceError: the actor has ended.
            trio.ClosedResourceError: this channel was closed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise trio.ClosedResourceError
        try:
            await self._ref.send(value)
        except ActorDead as error:
            raise trio.BrokenResourceError(str(error)) from error
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def aclose(self) -> None:
        """Close this channel; the actor lives on. Cancelling is noticed at its one checkpoint, after closing."""
        self._closed = True
        await trio.lowlevel.checkpoint()


def report_cycle(asker: Cell, callee: Cell) -> None:
    """Report actors that wait for each other; each waits for at most one other, so the chain is a line."""
    chain = [asker.path]
    following: Cell | None = callee
    while following is not None and following is not asker:
        if following.path in chain:
            return  # a circle further on, which was reported when it closed
        chain.append(following.path)
        following = following.waiting_on
    if following is asker:
        runtime = asker.runtime
        runtime.emit(ChildBlocked(runtime.now(), asker.path, tuple(chain)))
