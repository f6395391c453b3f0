"""Whatever a command is given: one line that says what is wrong, an exit code that is not 0, and never a traceback."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from potrio.cli import main

GOOD = '42["auth",{"session":"k3v9examplesession0demo0x1","isDemo":1,"uid":12345678,"platform":2}]'
TAIL = "/socket.io/?EIO=4&transport=websocket"


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def potrio(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run the command ``potrio`` in this process, with an SSID in the environment: ``potrio(*arguments, ssid=...)``."""

    def command(*arguments: str, ssid: str | None = GOOD) -> subprocess.CompletedProcess[str]:
        monkeypatch.delenv("POCKETOPTION_SSID", raising=False)
        if ssid is not None:
            monkeypatch.setenv("POCKETOPTION_SSID", ssid)
        code = main.run(list(arguments))
        output, errors = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, output, errors)

    return command


def run(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a process of its own, to its end."""
    command = [sys.executable, "-m", module, *arguments]
    everything = {**os.environ, **environment}
    return subprocess.run(command, env=everything, capture_output=True, text=True, timeout=60, check=False)


def check_one_line(done: subprocess.CompletedProcess[str], *words: str, code: int) -> None:
    """One line on standard error, with these words in it; nothing on standard output."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that does something to each connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        pass  # the client did not like it, as it should

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(60)


@pytest.mark.parametrize(
    ("ssid", "word"),
    [
        ("", "POCKETOPTION_SSID"),
        (None, "POCKETOPTION_SSID"),
        ("hello", "ssid"),
        ('42["auth",{"session":"k3v9examplesession0demo0x1"', "ssid"),
        ('42["auth",{"isDemo":1,"uid":1}]', "ssid"),
        ('42["ps"]', "ssid"),
    ],
)
def test_wrong_ssid(potrio: Command, ssid: str | None, word: str) -> None:
    check_one_line(potrio("balance", "--url", f"ws://127.0.0.1:9{TAIL}", ssid=ssid), word, code=2)


def test_an_ssid_file_that_is_not_there(potrio: Command, tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")

    check_one_line(potrio("balance", "--ssid-file", missing), "nothing", code=2)


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://127.0.0.1/", "ws://", "ws://127.0.0.1:99999/", "ws://example.com/"]
)
def test_wrong_url(potrio: Command, url: str) -> None:
    """The last one would carry the token in clear to another host."""
    check_one_line(potrio("balance", "--url", url), code=2)


def test_wrong_region(potrio: Command) -> None:
    check_one_line(potrio("balance", "--region", "atlantis"), "region", code=2)


def test_in_a_process_of_its_own() -> None:
    url = f"ws://127.0.0.1:9{TAIL}"

    check_one_line(run("potrio", "balance", "--url", url, POCKETOPTION_SSID="hello"), "ssid", code=2)
    check_one_line(run("potrio", "balance", "--url", url, POCKETOPTION_SSID=GOOD), "tcp", code=3)


def test_closed_port(potrio: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    check_one_line(potrio("balance", "--url", f"ws://127.0.0.1:{port}{TAIL}"), "tcp", code=3)


def test_a_certificate_nobody_vouches_for(potrio: Command) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def shake_hands(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with listening(shake_hands) as port:
        check_one_line(potrio("balance", "--url", f"wss://127.0.0.1:{port}{TAIL}"), "tls", code=3)


def test_tls_to_a_port_that_does_not_speak_it(potrio: Command) -> None:
    with listening(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        check_one_line(potrio("balance", "--url", f"wss://127.0.0.1:{port}{TAIL}"), "tls", code=3)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff" * 50_000,
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    ],
    ids=["nothing", "garbage", "ssh", "200", "redirect", "bare 101", "wrong key"],
)
def test_a_server_that_is_no_venue(potrio: Command, answer: bytes) -> None:
    def reply(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answer)

    with listening(reply) as port:
        check_one_line(potrio("balance", "--url", f"ws://127.0.0.1:{port}{TAIL}"), "http", code=3)


@pytest.mark.parametrize(
    "arguments", [["venue", "--port", "99999"], ["venue", "--config", "no-such-file.toml"]]
)
def test_the_venue_with_wrong_settings(arguments: list[str]) -> None:
    done = run("loadsim", *arguments)

    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_the_venue_on_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = run("loadsim", "venue", "--port", str(listener.getsockname()[1]))

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
