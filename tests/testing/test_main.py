"""The commands of the test kit as processes: ready line, both roles against each other, one-line errors."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from potrio.testing.__main__ import main
from potrio.transport.dial import dial

COMMAND = [sys.executable, "-m", "potrio.testing"]


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An echo server in its own process, and its URL."""
    process = subprocess.Popen(
        [*COMMAND, "ws-echo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ws-echo ready ws://127.0.0.1:"), line
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate()


async def test_the_server_says_where_it_is_and_ends_on_an_interrupt(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = server
    async with dial(url) as transport:
        await transport.send(["a", b"b"])
        assert await transport.receive() == ["a", b"b"]
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors) == (0, "", "")


def test_a_port_that_is_taken_is_one_line(server: tuple[subprocess.Popen[str], str]) -> None:
    port = server[1].rpartition(":")[2]
    done = subprocess.run(
        [*COMMAND, "ws-echo", "--port", port], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_judge_that_is_not_there_is_one_line() -> None:
    with subprocess.Popen(
        [*COMMAND, "ws-echo-client", "ws://127.0.0.1:1", "potrio"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        output, errors = process.communicate(timeout=60)

    assert (process.returncode, output) == (1, "")
    assert errors.startswith("error: cannot connect to ")
    assert errors.count("\n") == 1


def test_input_that_cannot_be_used_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ws-echo-client", "http://127.0.0.1:1", "potrio"]) == 2
    assert main(["ws-echo", "--port", "70000"]) == 2
    assert main(["nothing"]) == 2
    assert capsys.readouterr().err.count("rror: ") == 3
