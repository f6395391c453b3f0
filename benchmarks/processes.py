"""The processes of a benchmark: the blasting venue, the contenders, and the private network all of them live in."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "CONTENDERS",
    "PEERS_PYTHON",
    "ROOT",
    "BlasterAddress",
    "PeersMissing",
    "bring_loopback_up",
    "can_isolate",
    "check_peers",
    "open_blaster",
    "run_contender",
    "run_isolated",
]

ROOT = Path(__file__).parents[1]
CONTENDERS = Path(__file__).parent / "contenders"
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
UNSHARE = ["unshare", "--map-root-user", "--net"]
CONTENDER_SECONDS = 60


class PeersMissing(Exception):
    """The environment of the peers is not there."""


class BlasterAddress(NamedTuple):
    """Where the blasting venue listens: for WebSocket clients, and for bare ones."""

    url: str
    bare_port: int


def check_peers() -> None:
    """Make sure that there are peers.

    Raises:
        PeersMissing: there are not.
    """
    if not PEERS_PYTHON.exists():
        raise PeersMissing("the peers are not installed: run `make bench-peers`")


def can_isolate() -> bool:
    """Whether this system lets us have a network namespace of our own."""
    try:
        return (
            subprocess.run([*UNSHARE, "true"], capture_output=True, timeout=10, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False


def run_isolated(arguments: Sequence[str]) -> int:
    """Run this program again, where no route leads outside; return its exit code."""
    command = [*UNSHARE, sys.executable, "-m", "benchmarks", "--isolated", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def bring_loopback_up() -> None:
    """Set IFF_UP on ``lo``: in a fresh network namespace it is down."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, get_flags, struct.pack("16sH14x", b"lo", 0))
        (flags,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(probe, set_flags, struct.pack("16sH14x", b"lo", flags | up))


@contextmanager
def open_blaster(
    *, count: int = 0, rate: float = 0.0, streams: int = 4, repeat: int = 1
) -> Iterator[BlasterAddress]:
    """Run the blasting venue while the block runs."""
    command = [sys.executable, "-m", "benchmarks.blaster"]
    command += ["--count", str(count), "--rate", str(rate), "--streams", str(streams)]
    command += ["--repeat", str(repeat)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield BlasterAddress(**json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_contender(
    script: str,
    *arguments: str,
    ours: bool = False,
    peers: Path = PEERS_PYTHON,
    seconds: float = CONTENDER_SECONDS,
) -> dict[str, Any]:
    """Run one contender to its end and return the figures it printed.

    Args:
        script: its file, without folder and ending.
        arguments: of its command line.
        ours: run it with this Python, which has potrio; otherwise with ``peers``.
        peers: the Python of the peers' environment.
        seconds: it has to be done by then.

    Raises:
        RuntimeError: it failed; its last words are the text.
        subprocess.TimeoutExpired: it did not finish.
    """
    python = sys.executable if ours else str(peers)
    environment = os.environ | {"PYTHONPATH": str(ROOT)} if ours else os.environ
    done = subprocess.run(
        [python, str(CONTENDERS / f"{script}.py"), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode or not done.stdout:
        raise RuntimeError(f"{script} failed: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
