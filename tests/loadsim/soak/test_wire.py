"""The soak over TCP: eight seconds of it hold; and its own eyes are open."""

from __future__ import annotations

import socket
import sys

import pytest

from loadsim.soak.wire import PROMISES, WirePlan, run_wire, sockets


@pytest.mark.timeout(90)
def test_eight_seconds_hold():
    part = run_wire(WirePlan(seed=1, seconds=8.0, drop_every_s=2.0))
    assert part.held, part.breaches
    figures = part.figures
    assert figures["drops"] >= 2
    assert figures["orders"] >= 1
    assert figures["ticks"] > 50
    assert figures["connections_opened"] >= figures["clients"] + figures["drops"]
    assert set(PROMISES) <= set(figures["checks"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not list their descriptors so")
def test_sockets_are_counted():
    before = sockets()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert sockets() == before + 2
    assert sockets() == before
