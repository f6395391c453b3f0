"""Many children, many crashes, and nothing left behind (test 30 of the plan)."""

from __future__ import annotations

import gc

import trio

from potrio.supervision import Backoff, Context, Limit, bounded, child, open_supervisor, supervisor


async def quiet(ctx: Context[object]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")


def test_D12_ten_thousand_dynamic_children_start_and_stop() -> None:
    async def main() -> None:
        async with open_supervisor(supervisor(id="root")) as sup:
            for number in range(10_000):
                await sup.start_child(child(quiet, id=str(number)))
            assert len(sup.tree().children) == 10_000
        assert trio.lowlevel.current_statistics().tasks_living <= 3

    trio.run(main)


def test_D12_two_thousand_listed_children_start_and_stop_in_order() -> None:
    ended = []

    async def notes(ctx: Context[object], number: int) -> None:
        await quiet(ctx)
        ended.append(number)

    async def main() -> None:
        tree = supervisor(*(child(notes, number, id=str(number)) for number in range(2000)), id="root")
        async with open_supervisor(tree):
            pass

    trio.run(main)
    assert ended == list(range(1999, -1, -1))


def test_B10_ten_thousand_crashes_leave_no_growth() -> None:
    async def main() -> tuple[int, int]:
        tree = supervisor(
            child(quiet, id="a", mailbox=bounded(20_000)),
            id="root",
            limit=Limit.never(),
            backoff=Backoff.none(),
        )
        async with open_supervisor(tree) as sup:
            ref = sup.ref("a")

            async def crash(times: int) -> int:
                for _ in range(times):
                    ref.tell("crash")
                goal = sup.tree().children[0].incarnation + times
                while sup.tree().children[0].incarnation < goal:
                    await trio.lowlevel.checkpoint()
                await ref.wait_ready()
                gc.collect()
                assert len(sup._engine.runtime.timers._heap) < 200
                assert len(sup._engine.runtime.tasks) == 1
                return len(gc.get_objects())

            before = await crash(1000)
            after = await crash(9000)
            assert sup.tree().children[0].incarnation == 10_001
            return before, after

    before, after = trio.run(main)
    assert after - before < 200, f"{after - before} more objects after 9000 more crashes"
