"""Runs the Autobahn WebSocket suite against the codec, both roles, and writes docs/autobahn.md; see `make autobahn`.

The suite (autobahntestsuite, Python 2.7) lives in an environment of its own. Everything runs in a private network
namespace, so that nothing can reach, or be reached by, anything else. Exit code 0 only if every case of both roles has
run, none failed, every connection was closed cleanly, and nothing but compression is unimplemented.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "autobahn.md"
PORT = 9001
FAMILIES = {
    "1": "text and binary messages, 0 to 64 KiB",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "reserved opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits and performance: messages to 16 MiB, frames from 64 bytes",
    "10": "automatic fragmentation",
    "12": "compression (permessage-deflate)",
    "13": "compression (permessage-deflate, parameters)",
}
COMPRESSION = ("12", "13")
CLEAN = ("OK", "INFORMATIONAL")


class Case(NamedTuple):
    """What the suite says of one case."""

    id: str
    behavior: str
    close: str
    duration_ms: int

    @property
    def family(self) -> str:
        """The first number of the id."""
        return self.id.split(".")[0]

    @property
    def fault(self) -> str:
        """Why it does not pass, or nothing."""
        if self.behavior == "UNIMPLEMENTED" and self.family in COMPRESSION:
            return ""
        if self.behavior not in ("OK", "NON-STRICT", "INFORMATIONAL"):
            return f"{self.id}: {self.behavior}"
        return "" if self.close in CLEAN else f"{self.id}: closed: {self.close}"


def cases_of(index: dict[str, Any], agent: str) -> list[Case]:
    """The cases of one agent in the suite's index.json, in the order of their numbers."""
    found = [
        Case(name, entry["behavior"], entry["behaviorClose"], entry["duration"])
        for name, entry in index.get(agent, {}).items()
    ]
    return sorted(found, key=lambda case: [int(part) for part in case.id.split(".")])


def faults_of(cases: Sequence[Case], families: Sequence[str]) -> list[str]:
    """Everything that makes a run fail; that a whole family is missing is one."""
    there = {case.family for case in cases}
    return [f"{family}.*: did not run" for family in families if family not in there] + [
        case.fault for case in cases if case.fault
    ]


# --- the page --------------------------------------------------------------------------------------------------------

PREFACE = """\
# The Autobahn suite

How the WebSocket codec (`potrio/protocol/websocket.py`, fast path on) scores in both roles. `make autobahn` runs the
suite (autobahntestsuite 25.10.1) against the echo of `potrio/testing/ws_echo.py` in a private network namespace and
writes this page. It fails on any failed case, on any connection that is not closed cleanly, and on anything
unimplemented but compression, which potrio does not offer on purpose.

"""

NON_STRICT = """\
*Non-strict* cases send a good message and then break the protocol, or close, in one go. The suite's strict expectation
is that the message is echoed first; the RFC lets an endpoint fail the connection at once (section 7.1.7). That is what
happens where both come in one read: the application is given the message, but nothing can be sent any more. So their
number varies a little from run to run.
"""


def render(results: dict[str, list[Case]], facts: str) -> str:
    """The page: a table for each role, and what is not plain OK."""
    lines = [f"{PREFACE}Last run: {facts}.", ""]
    for role, cases in results.items():
        lines += [
            f"## {role}",
            "",
            "| cases | | run | OK | non-strict | informational | unimplemented | failed |",
        ]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for family, about in FAMILIES.items():
            mine = [case for case in cases if case.family == family]
            if mine:
                lines.append(f"| {family}.* | {about} | {_counts(mine)} |")
        lines += [f"| **all** | | {_counts(cases)} |", ""]
        unclean = sum(case.close not in CLEAN for case in cases if case.behavior != "UNIMPLEMENTED")
        lines.append(f"Connections that were not closed cleanly: {unclean}.")
        named = [case.id for case in cases if case.behavior == "NON-STRICT"]
        lines += [f"Non-strict: {', '.join(named) or 'none'}.", ""]
    if any(case.behavior == "NON-STRICT" for cases in results.values() for case in cases):
        lines.append(NON_STRICT)
    return "\n".join(lines).rstrip() + "\n"


def _counts(cases: Sequence[Case]) -> str:
    count = collections.Counter(case.behavior for case in cases)
    good = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED")
    failed = sum(bool(case.fault) for case in cases)
    return " | ".join(str(number) for number in (len(cases), *(count[name] for name in good), failed))


# --- the run ---------------------------------------------------------------------------------------------------------


@contextmanager
def running(command: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A process for the length of the block; what it says on stderr goes to a file."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True, cwd=log.parent
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def judge_server(wstest: Path, folder: Path, cases: dict[str, list[str]], seconds: float) -> list[Case]:
    """The suite as a client, our echo as the server."""
    with running([sys.executable, "-m", "potrio.testing", "ws-echo"], folder / "echo.log") as server:
        assert server.stdout is not None
        ready = server.stdout.readline()
        if not ready.startswith("ws-echo ready "):
            raise SystemExit(f"the echo server did not start: {(folder / 'echo.log').read_text()}")
        agent = {"agent": "potrio", "url": ready.split()[-1]}
        spec = {"outdir": str(folder / "server"), "servers": [agent], "exclude-agent-cases": {}, **cases}
        (folder / "server.json").write_text(json.dumps(spec))
        command = [wstest, "-m", "fuzzingclient", "-s", folder / "server.json"]
        with (folder / "suite.log").open("w") as log:
            subprocess.run(command, cwd=folder, stdout=log, stderr=log, timeout=seconds, check=True)
    return cases_of(json.loads((folder / "server" / "index.json").read_text()), "potrio")


def judge_client(wstest: Path, folder: Path, cases: dict[str, list[str]], seconds: float) -> list[Case]:
    """The suite as a server, our echo as the client."""
    url = f"ws://127.0.0.1:{PORT}"
    spec = {"outdir": str(folder / "client"), "url": url, "webport": 0, "exclude-agent-cases": {}, **cases}
    (folder / "client.json").write_text(json.dumps(spec))
    suite = [wstest, "-m", "fuzzingserver", "-s", folder / "client.json", "-o", folder / "client"]
    with running(suite, folder / "fuzzing.log"):
        wait_for(PORT)
        command = [sys.executable, "-m", "potrio.testing", "ws-echo-client", url, "potrio"]
        subprocess.run(command, cwd=folder, timeout=seconds, check=True, stdout=subprocess.DEVNULL)
    return cases_of(json.loads((folder / "client" / "index.json").read_text()), "potrio")


def wait_for(port: int, seconds: float = 20) -> None:
    """Wait until something listens on a port of this machine."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise SystemExit(f"the suite does not listen on port {port}") from None
            time.sleep(0.1)


def in_namespace(arguments: Sequence[str]) -> int:
    """Run this program again where there is no network but its own loopback."""
    script = 'ip link set lo up && exec "$@"'
    command = ["unshare", "-rn", "sh", "-c", script, "sh", sys.executable, __file__, "--inside", *arguments]
    return subprocess.run(command, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both roles, say what failed, write the page."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wstest", type=Path, required=True, help="the command of the suite")
    parser.add_argument("--cases", nargs="+", default=["*"], help="patterns of cases to run")
    parser.add_argument(
        "--skip", nargs="+", default=[], metavar="CASES", help="patterns of cases to leave out"
    )
    parser.add_argument("--seconds", type=float, default=900, help="bound on one role")
    parser.add_argument("--keep", type=Path, help="folder for the suite's own reports")
    parser.add_argument("--inside", action="store_true", help="we are in the network namespace already")
    options = parser.parse_args(given)
    if not options.inside:
        return in_namespace(given)
    cases = {"cases": options.cases, "exclude-cases": options.skip}
    whole = options.cases == ["*"] and not options.skip
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        wstest = options.wstest.absolute()
        results = {
            "Server": judge_server(wstest, folder, cases, options.seconds),
            "Client": judge_client(wstest, folder, cases, options.seconds),
        }
    faults = [
        f"{role}: {fault}"
        for role, found in results.items()
        for fault in faults_of(found, list(FAMILIES) if whole else [])
    ]
    for role, found in results.items():
        print(f"{role}: {dict(collections.Counter(case.behavior for case in found))}")
    print("\n".join(faults) or "no case failed, no connection was closed uncleanly")
    if whole:
        PAGE.write_text(render(results, facts()), "utf-8")
    return int(bool(faults))


def facts() -> str:
    """What ran: interpreter and commit."""
    git = ["git", "-C", str(ROOT), "log", "-1", "--format=%cs, commit %h"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    version = re.sub(r"\+$", "", platform.python_version())
    return f"{commit or 'a tree without history'}, {platform.python_implementation()} {version}, {os.uname().sysname}"


if __name__ == "__main__":
    sys.exit(main())
