"""Supervised actors for trio: functions with a mailbox, restarted when they crash, stopped in order.

An actor is an async function that loops over its inbox; a tree of supervisors is a value; ``open_supervisor`` runs it::

    import trio
    from potrio.supervision import Call, Context, Key, Request, child, open_supervisor, supervisor

    class Count(Request[int], frozen=True):
        '''How many words so far?'''

    COUNTER = Key[str | Call[int]]("counter")

    async def counter(ctx: Context[str | Call[int]]) -> None:
        words = 0
        async for message in ctx.inbox:                     # asking for the first message: the actor is ready
            match message:
                case str(): words += len(message.split())
                case Call(Count()) as call: call.reply(words)

    TREE = supervisor(child(counter, id=COUNTER), id="root")

    async def main() -> None:
        async with open_supervisor(TREE) as sup:            # ready when the whole tree is ready
            counter = sup.ref(COUNTER)
            counter.tell("one two three")                   # never waits, never raises
            print(await counter.ask(Count(), timeout=1))    # 3
                                                            # here: all stopped, in reverse order
    trio.run(main)

What holds (each sentence is a test, ``tests/supervision``): a `Ref` stays valid over restarts, and so do its mailbox
and the messages in it; the message in hand at a crash is lost and becomes a dead letter; a request whose asker has
gone is never handled; a child starts when the one before is ready, and stops before the one before is asked to; a
cancellation or Ctrl-C from outside still stops in order.
"""

from potrio.actor_errors import (
    ActorCrashed,
    ActorDead,
    ActorError,
    AskCycle,
    ChildNotFound,
    ChildSpecInvalid,
    ChildStartFailed,
    DuplicateChild,
    MailboxFull,
    NoReply,
    StashFull,
    SupervisorError,
    SupervisorFailed,
    SupervisorStopping,
    TooManyChildren,
)
from potrio.supervision.backoff import Backoff, Jitter
from potrio.supervision.call import AskTimeout, Call, Request
from potrio.supervision.child_spec import AutoShutdown, ChildSpec, Key, Strategy
from potrio.supervision.child_spec import Restart as Restart
from potrio.supervision.context import ActorTimer, Context, Down, Watch
from potrio.supervision.events import (
    ActorEnded,
    ChildBlocked,
    ChildCrashed,
    ChildExited,
    ChildReady,
    ChildStarted,
    ChildStopError,
    ChildStopping,
    ChildStuck,
    DeadLetter,
    DeadLetterReason,
    Event,
    RestartScheduled,
    SnapshotDropped,
    SupervisorEscalated,
)
from potrio.supervision.exit import EarlyExit, Exit, ExitKind, Failure, StartTimeout
from potrio.supervision.inbox import Inbox
from potrio.supervision.intensity import Limit
from potrio.supervision.ledger import Traced
from potrio.supervision.log import log_events
from potrio.supervision.mailbox_spec import MailboxSpec, Overflow, bounded, lanes, latest, unbounded
from potrio.supervision.opening import open_supervisor, run_supervisor
from potrio.supervision.ref import Ref
from potrio.supervision.runtime import MessageTimes, Observer
from potrio.supervision.spec import child, service, supervisor
from potrio.supervision.supervisor import Supervisor
from potrio.supervision.topic import Feed, Lagged, Subscription, SubscriptionStatistics, Topic
from potrio.supervision.topic_policy import Policy, blocking, disconnect, latest_of, ring
from potrio.supervision.tree import MailboxStatistics, Node, render

__all__ = [
    "ActorCrashed",
    "ActorDead",
    "ActorEnded",
    "ActorError",
    "ActorTimer",
    "AskCycle",
    "AskTimeout",
    "AutoShutdown",
    "Backoff",
    "Call",
    "ChildBlocked",
    "ChildCrashed",
    "ChildExited",
    "ChildNotFound",
    "ChildReady",
    "ChildSpec",
    "ChildSpecInvalid",
    "ChildStartFailed",
    "ChildStarted",
    "ChildStopError",
    "ChildStopping",
    "ChildStuck",
    "Context",
    "DeadLetter",
    "DeadLetterReason",
    "Down",
    "DuplicateChild",
    "EarlyExit",
    "Event",
    "Exit",
    "ExitKind",
    "Failure",
    "Feed",
    "Inbox",
    "Jitter",
    "Key",
    "Lagged",
    "Limit",
    "MailboxFull",
    "MailboxSpec",
    "MailboxStatistics",
    "MessageTimes",
    "NoReply",
    "Node",
    "Observer",
    "Overflow",
    "Policy",
    "Ref",
    "Request",
    "Restart",
    "RestartScheduled",
    "SnapshotDropped",
    "StartTimeout",
    "StashFull",
    "Strategy",
    "Subscription",
    "SubscriptionStatistics",
    "Supervisor",
    "SupervisorError",
    "SupervisorEscalated",
    "SupervisorFailed",
    "SupervisorStopping",
    "TooManyChildren",
    "Topic",
    "Traced",
    "Watch",
    "blocking",
    "bounded",
    "child",
    "disconnect",
    "lanes",
    "latest",
    "latest_of",
    "log_events",
    "open_supervisor",
    "render",
    "ring",
    "run_supervisor",
    "service",
    "supervisor",
    "unbounded",
]
