"""Plant faults in the supervision engine, one at a time in a copy, and see that the tests catch every one.

Run it from the checkout: ``python tools/mutation_check.py [NAME ...]``; it prints a table in Markdown and exits with 1
if a fault survived. ``--write`` puts the table into ``docs/supervision/mutation.md``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 300.0
SLOW = {"test_call.py", "test_docs.py", "test_inbox.py", "test_machine.py", "test_scale.py"}
"""Run last: a fault is caught sooner, and by the test that is about it."""


class Fault(NamedTuple):
    """One deliberate fault: a piece of source text and what stands there instead."""

    name: str
    file: str
    old: str
    new: str


FAULTS = [
    Fault(
        "reset the backoff on every successful start",
        "backoff.py",
        "return 1 if 0 < self.reset_after <= ready_for else attempt + 1",
        "return 1 if ready_for >= 0 else attempt + 1",
    ),
    Fault(
        "never reset the backoff",
        "backoff.py",
        "return 1 if 0 < self.reset_after <= ready_for else",
        "return",
    ),
    Fault("ignore the cap of the backoff", "backoff.py", "min(self.cap, self.base *", "max(0.0, self.base *"),
    Fault(
        "restart on a cancellation from outside",
        "exit.py",
        'return Verdict(Exit("cancelled"), True)',
        'return Verdict(Exit("crashed", Failure.of(error)), False)',
    ),
    Fault(
        "let a stray Cancelled through to the tree",
        "exit.py",
        '            if around_cancelled:\n                return Verdict(Exit("cancelled"), True)',
        '            if True:\n                return Verdict(Exit("cancelled"), True)',
    ),
    Fault(
        "restart after KeyboardInterrupt", "exit.py", "elif not isinstance(error, Exception):", "elif False:"
    ),
    Fault("forget the incarnation number", "engine.py", "or row.incarnation != incarnation or", "or"),
    Fault(
        "deliver an abandoned request",
        "mailbox_queue.py",
        "            self.tombstones -= 1\n            return False",
        "            self.tombstones -= 1\n            return True",
    ),
    Fault(
        "deliver a request whose time is over",
        "mailbox_queue.py",
        "if pending.deadline <= self.now():",
        "if False:",
    ),
    Fault("stop in start order", "regions.py", "row = region.stop[-1]", "row = region.stop[0]"),
    Fault(
        "stop all at once",
        "regions.py",
        "if row.dynamic and not region.parallel:",
        "if not region.parallel:",
    ),
    Fault(
        "lose the queue on restart",
        "mailbox.py",
        'if self.spec.mailbox.on_restart == "drop":',
        "if True:",
    ),
    Fault(
        "redeliver the message in hand although nobody asked for it",
        "mailbox.py",
        "limit = self.spec.redeliver",
        "limit = self.spec.redeliver + 1",
    ),
    Fault(
        "forget to dead-letter the message in hand",
        "cell.py",
        "            box.lose_in_hand(exit.failure)",
        "            box.finish() if box.in_hand is not NOTHING else None",
    ),
    Fault(
        "count restarts per window off by one",
        "intensity.py",
        "len(moments) <= self._limit.restarts",
        "len(moments) < self._limit.restarts",
    ),
    Fault(
        "count a restart exactly at the window's edge",
        "intensity.py",
        "moments[0] <= now - self",
        "moments[0] < now - self",
    ),
    Fault(
        "count each crash of a group restart",
        "engine.py",
        'if row.want == "rest" and not',
        "if False and not",
    ),
    Fault(
        "start the next child before the one before is ready",
        "regions.py",
        "                self.start(row)\n                return",
        "                self.start(row)\n                region.start.pop(0)",
    ),
    Fault(
        "restart only the crashed child for rest_for_one",
        "plan.py",
        "return [row, *table.after(row)]",
        "return [row]",
    ),
    Fault(
        "restart a transient child that returned",
        "plan.py",
        'or (restart == "transient" and not crashed)',
        "",
    ),
    Fault(
        "restart temporary bystanders of a group",
        "regions.py",
        'if each is not row and each.spec.restart == "temporary":',
        "if False:",
    ),
    Fault(
        "start a merged group at the earlier time",
        "plan.py",
        "due = max(due, group.due)",
        "due = min(due, group.due)",
    ),
    Fault("ignore stop_on", "plan.py", 'if terminal and restart == "permanent":', "if False:"),
    Fault(
        "answer stop_child with a restart",
        "supervisor.py",
        '    row.want = "end"\n    if not row.alive:',
        '    row.want = "rest"\n    if not row.alive:',
    ),
    Fault("keep accepting messages while stopping", "cell.py", 'self.box.close("stopping")', "pass"),
    Fault("let the shutdown deadline pass", "cell.py", "self.scope.deadline = min(", "_ = min("),
    Fault(
        "no shield around the tree",
        "opening.py",
        "self.hard = trio.CancelScope(shield=True)",
        "self.hard = trio.CancelScope()",
    ),
    Fault(
        "wrap the body's error in a group",
        "opening.py",
        "return errors[0] if errors else None",
        'return BaseExceptionGroup("one", errors) if errors else None',
    ),
    Fault("ignore a second interrupt", "opening.py", 'self.hard.cancel(reason="second interrupt")', "pass"),
    Fault(
        "let timers fire after their incarnation",
        "context.py",
        '        """End it with its incarnation."""\n        if self._timer is not None:',
        '        """End it with its incarnation."""\n        if False:',
    ),
    Fault("queue a second copy of a periodic message", "context.py", "elif not self.unread:", "else:"),
    Fault("drift", "context.py", "timer.due + (missed + 1) * self._period", "now + self._period"),
    Fault(
        "no turn for others while messages are queued",
        "inbox.py",
        "            await trio.lowlevel.checkpoint()\n            self._begin_slice()",
        "            self._begin_slice()",
    ),
    Fault(
        "drop the newest instead of the oldest",
        "mailbox_queue.py",
        'self.discard(self.lane.drop_oldest(item), "dropped")\n'
        "                self.queued(message, self.put_lane(item))",
        'self.accepted += 1\n                self.discard(item, "dropped")',
    ),
    Fault(
        "let a waiting sender overtake",
        "mailbox_queue.py",
        "for waiting in self.senders:",
        "for waiting in reversed(self.senders):",
    ),
    Fault(
        "queue the message of a cancelled send", "mailbox_queue.py", "self.senders.remove(waiting)", "pass"
    ),
    Fault(
        "move a key to the end of a latest mailbox",
        "lanes.py",
        "self._items[key] = item",
        "self._items.pop(key, None)\n        self._items[key] = item",
    ),
    Fault(
        "hold the caller's snapshot for ever",
        "cell.py",
        "if self.snapshot is not None and self.snapshot_deaths >= SNAPSHOT_DEATHS_MAX:",
        "if False:",
    ),
    Fault(
        "tell watchers at every restart", "context.py", "        if self._restarts:\n", "        if True:\n"
    ),
    Fault(
        "free the key after the report",
        "cell.py",
        "        self.runtime.unregister(self.spec.key, self)\n",
        "",
    ),
    Fault(
        "let the stash vanish on restart",
        "mailbox.py",
        "        self.ending = None\n        self.unstash()",
        "        self.ending = None",
    ),
    Fault(
        "keep the exception of a crash alive",
        "cell.py",
        "            self.last_failure = exit.failure",
        "            self.last_failure = exit.failure\n            self.value = error",
    ),
    Fault(
        "count Lagged wrong by one",
        "topic.py",
        "        self.lost += 1\n        self._lagged += 1",
        "        self.lost += 1\n        self._lagged += 2",
    ),
    Fault(
        "lose the subscription at a restart",
        "topic.py",
        "        except BaseException:\n            owned.busy = False\n            raise",
        "        except BaseException:\n            self._drop(owner)\n            raise",
    ),
    Fault(
        "an observer's error breaks the tree",
        "runtime.py",
        "            except Exception:\n",
        "            except ArithmeticError:\n",
    ),
]


def run(fault: Fault, folder: Path) -> tuple[bool, str]:
    """Plant one fault in a fresh copy and run the tests; tell whether they failed, and at which test."""
    copy = folder / "copy"
    shutil.copytree(ROOT / "potrio", copy / "potrio", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        ROOT / "tests" / "supervision",
        copy / "tests" / "supervision",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copytree(ROOT / "docs" / "supervision", copy / "docs" / "supervision")
    shutil.copy(ROOT / "pyproject.toml", copy)
    file = copy / "potrio" / "supervision" / fault.file
    text = file.read_text()
    if text.count(fault.old) != 1:
        raise SystemExit(
            f"{fault.name}: the text to replace is in {fault.file} {text.count(fault.old)} times, not once"
        )
    file.write_text(text.replace(fault.old, fault.new))
    tests = sorted(
        (copy / "tests" / "supervision").glob("test_*.py"), key=lambda path: (path.name in SLOW, path.name)
    )
    names = [path.relative_to(copy).as_posix() for path in tests]
    options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-o", "timeout=20"]
    command = [sys.executable, "-m", "pytest", *options, *names]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return True, "the tests hang"
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    found = re.search(r"^(?:FAILED|ERROR) \S*?(test_\w+\.py(?:::\w+)?)", done.stdout, re.MULTILINE)
    return done.returncode != 0, found.group(1) if found else ("a test that hangs" if done.returncode else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only faults whose name contains one of these")
    parser.add_argument("--write", action="store_true", help="write docs/supervision/mutation.md")
    options = parser.parse_args()
    chosen = [
        fault for fault in FAULTS if not options.names or any(name in fault.name for name in options.names)
    ]
    lines = ["| # | fault planted | in | caught by |", "|---|---|---|---|"]
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, fault in enumerate(chosen, 1):
            caught, where = run(fault, Path(folder))
            survived += not caught
            lines.append(
                f"| {number} | {fault.name} | `{fault.file}` | {f'`{where}`' if caught else '**survived**'} |"
            )
            print(lines[-1], flush=True)
    summary = f"{len(chosen) - survived} of {len(chosen)} faults were caught."
    print(summary)
    if options.write:
        text = (
            "# Mutation check of the supervision engine\n\n"
            "`python tools/mutation_check.py --write` plants these faults one at a time in a copy of the sources,\n"
            "runs `tests/supervision` until the first failure, and writes this page.\n\n"
            f"{summary}\n\n" + "\n".join(lines) + "\n"
        )
        (ROOT / "docs" / "supervision" / "mutation.md").write_text(text)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
