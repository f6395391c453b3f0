"""One coroutine for trio and asyncio: results, errors and cancellation pass through."""

from __future__ import annotations

import asyncio

import pytest
import trio

from loadsim.tester.bridge import in_trio


async def answer() -> int:
    await trio.sleep(0.01)
    return 42


async def fail() -> None:
    await trio.sleep(0.01)
    raise LookupError("of the job")


async def test_under_trio_it_is_the_function_itself(autojump_clock) -> None:
    assert await in_trio(answer) == 42
    with pytest.raises(LookupError, match="of the job"):
        await in_trio(fail)


def test_under_asyncio_it_gives_the_result_or_the_error() -> None:
    assert asyncio.run(in_trio(answer)) == 42
    with pytest.raises(LookupError, match="of the job"):
        asyncio.run(in_trio(fail))


def test_the_loop_goes_on_meanwhile() -> None:
    beats = 0

    async def rest() -> None:
        with trio.fail_after(60):
            while beats < 5:  # noqa: ASYNC110  # of another loop
                await trio.sleep(0.01)

    async def main() -> None:
        nonlocal beats
        job = asyncio.ensure_future(in_trio(rest))
        while not job.done():
            await asyncio.sleep(0.01)
            beats += 1
        await job

    asyncio.run(main())
    assert beats >= 5


def test_cancelling_cancels_and_waits() -> None:
    seen: list[str] = []

    async def job() -> None:
        seen.append("began")
        try:
            await trio.sleep_forever()
        finally:
            seen.append("ended")

    async def main() -> None:
        task = asyncio.ensure_future(in_trio(job))
        while not seen:  # noqa: ASYNC110  # of another loop
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        seen.append("told")

    asyncio.run(main())

    assert seen == ["began", "ended", "told"]
