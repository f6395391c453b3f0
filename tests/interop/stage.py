"""Plays one scene: a venue in its own process, one third-party client in another, and the venue's own account of it.

``python stage.py [--isolated] PEERS_PYTHON DRIVER SSID TASK [VENUE ARGUMENTS...]`` prints one JSON object. With
``--isolated`` it has been started inside a fresh network namespace (``unshare -rn``) and first brings loopback up
there: both processes then live where no route leads outside, which is the only place BinaryOptionsToolsV2 may run.
"""

from __future__ import annotations

import fcntl
import json
import signal
import socket
import struct
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"
PEER_SECONDS = 60


def bring_loopback_up() -> None:
    """Set IFF_UP on ``lo`` (the work of ``ip link set lo up``, without needing iproute2)."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, get_flags, struct.pack("16sH14x", b"lo", 0))
        (flags,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(probe, set_flags, struct.pack("16sH14x", b"lo", flags | up))


def stats_of(url: str) -> dict[str, Any]:
    """The venue's own counters."""
    address = url.replace("ws://", "http://").partition("/socket.io")[0] + "/stats"
    with urllib.request.urlopen(address, timeout=30) as answer:
        return dict(json.load(answer))


def play(peers_python: str, driver: str, ssid: str, task: str, venue_arguments: list[str]) -> dict[str, Any]:
    """Start the venue, run the client against it, ask the venue what it saw, stop the venue as a user would."""
    venue = subprocess.Popen(
        [sys.executable, "-m", "loadsim", "venue", "--port", "0", *venue_arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert venue.stdout is not None
        ready = venue.stdout.readline().strip()
        if not ready.startswith("venue ready ws://"):
            venue.kill()
            raise SystemExit(f"the venue said {ready!r}: {venue.communicate()[1][-2000:]}")
        url = ready.removeprefix("venue ready ")
        peer = subprocess.run(
            [peers_python, str(PEERS / f"{driver}.py"), url, ssid, task],
            capture_output=True,
            text=True,
            timeout=PEER_SECONDS,
            check=False,
        )
        stats = stats_of(url)
    finally:
        venue.send_signal(signal.SIGINT)
        try:
            _, venue_errors = venue.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            venue.kill()
            raise
    lines = peer.stdout.strip().splitlines()
    return {
        "peer": json.loads(lines[-1]) if peer.returncode == 0 and lines else None,
        "peer_exit": peer.returncode,
        "peer_errors": peer.stderr[-3000:],
        "stats": stats,
        "venue_exit": venue.returncode,
        "venue_errors": venue_errors[-3000:],
    }


def main(arguments: list[str]) -> None:
    """Read the arguments, play, print."""
    if arguments[0] == "--isolated":
        arguments = arguments[1:]
        bring_loopback_up()
    peers_python, driver, ssid, task, *venue_arguments = arguments
    print(json.dumps(play(peers_python, driver, ssid, task, venue_arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
