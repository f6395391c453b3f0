"""The demo's venue: it serves, is killed and started at the same address, and never outlives the demo."""

from __future__ import annotations

import signal
import socket
import sys
import threading

import pytest
import trio

from potrio.cli import venue_process
from potrio.cli.venue_process import VenueProcess, open_venue_process
from potrio.errors import PotrioError


def accepts(port: int) -> bool:
    """Does anyone listen there?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


async def test_it_is_killed_and_started_again_at_the_same_address(tmp_path):
    async with open_venue_process(tmp_path / "venue.json", seed=7) as venue:
        url = venue.url
        assert (await venue.stats())["connections"]["opened"] == 0
        await venue.kill()
        assert not accepts(venue.port)
        with pytest.raises(PotrioError, match="counters"):
            await venue.stats()
        await venue.start()
        assert (venue.url, venue.starts) == (url, 2)
        assert (await venue.stats())["frames"]["text_sent"] == 0
    assert not accepts(venue.port)


async def test_it_ends_with_an_exception_too(tmp_path):
    with pytest.raises(ZeroDivisionError):
        async with open_venue_process(tmp_path / "venue.json", seed=7) as venue:
            raise ZeroDivisionError
    assert not accepts(venue.port)


async def test_one_that_ends_before_it_is_ready_is_reported(tmp_path):
    (tmp_path / "venue.json").write_text("not a state")
    with pytest.raises(PotrioError, match="exit code 2 before it was ready"):
        async with open_venue_process(tmp_path / "venue.json", seed=7):
            raise AssertionError("it must not come up")


async def test_one_that_never_gets_ready_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(venue_process, "START_TIMEOUT_S", 0.2)
    monkeypatch.setattr(
        VenueProcess, "command", lambda self, port: [sys.executable, "-c", "import time; time.sleep(60)"]
    )
    venue = VenueProcess(tmp_path / "venue.json", 7)
    monkeypatch.setattr(venue_process, "VenueProcess", lambda state, seed: venue)
    with pytest.raises(PotrioError, match="did not start within"):
        async with open_venue_process(tmp_path / "venue.json", 7):
            raise AssertionError("it must not come up")
    assert venue.returncode is not None


async def test_one_that_does_not_listen_to_reason_is_killed(tmp_path, monkeypatch):
    deaf = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('venue ready ws://127.0.0.1:9/', flush=True)\nsignal.pause()"
    )
    monkeypatch.setattr(venue_process, "STOP_TIMEOUT_S", 0.3)
    monkeypatch.setattr(VenueProcess, "command", lambda self, port: [sys.executable, "-c", deaf])
    async with open_venue_process(tmp_path / "venue.json", 7) as venue:
        assert venue.port == 9
    assert venue.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "answer",
    [b"", b"garbage\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"],
)
async def test_counters_that_are_none(tmp_path, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        venue = VenueProcess(tmp_path / "venue.json", 7)
        venue.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        with trio.fail_after(60), pytest.raises(PotrioError, match="counters"):
            await venue.stats()
        thread.join(60)


async def test_the_venue_ends_with_the_process_that_started_it(tmp_path):
    async with open_venue_process(tmp_path / "venue.json", seed=1) as venue:
        assert venue._process is not None
        assert venue._process.stdin is not None
        await venue._process.stdin.aclose()  # what the system does for us, however we end
        with trio.fail_after(60):
            assert await venue._process.wait() == 0
