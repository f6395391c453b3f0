"""Ctrl-C as a value: what runs is closed first; a second one does not wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import click
import pytest
import trio

from potrio.cli.interrupt import run_until_interrupted


def interrupt() -> None:
    """Ctrl-C, as the system sends it."""
    os.kill(os.getpid(), signal.SIGINT)


async def nothing(value: object = None) -> object:
    await trio.lowlevel.checkpoint()
    return value


def test_the_result_comes_back():
    async def main():
        return await nothing({"a": 1})

    assert run_until_interrupted(main) == {"a": 1}
    assert run_until_interrupted(nothing) is None


def test_an_error_is_not_wrapped():
    async def main():
        await nothing()
        raise LookupError("x")

    with pytest.raises(LookupError, match="x"):
        run_until_interrupted(main)


def test_several_errors_stay_a_group():
    async def fail():
        raise LookupError

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(fail)

    with pytest.raises(ExceptionGroup) as caught:
        run_until_interrupted(main)
    assert len(caught.value.exceptions) == 2


def test_an_interrupt_closes_everything_first():
    told = []

    async def main():
        try:
            interrupt()
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)
            told.append("closed")

    with pytest.raises(click.Abort):
        run_until_interrupted(main)
    assert told == ["closed"]


def test_an_interrupt_is_never_raised_where_the_program_happens_to_be():
    async def main():
        interrupt()
        for _ in range(10_000):
            pass  # KeyboardInterrupt would come here
        reached.append(True)
        await trio.sleep_forever()

    reached: list[bool] = []
    with pytest.raises(click.Abort):
        run_until_interrupted(main)
    assert reached == [True]


def test_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    run_until_interrupted(nothing)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_does_not_wait():
    program = (
        "import trio\n"
        "from potrio.cli.interrupt import run_until_interrupted\n"
        "async def main():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        await trio.sleep_forever()\n"
        "    finally:\n"
        "        print('closing', flush=True)\n"
        "        with trio.CancelScope(shield=True):\n"
        "            await trio.sleep(60)\n"
        "run_until_interrupted(main)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in ("ready\n", "closing\n"):
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=50)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
