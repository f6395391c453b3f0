"""child(), service() and supervisor(): a tree is a value that can be started any number of times."""

from __future__ import annotations

import functools

import pytest
import trio

from potrio.supervision import (
    ChildSpecInvalid,
    Context,
    Key,
    Ref,
    child,
    open_supervisor,
    service,
    supervisor,
)


async def quiet(ctx: Context[str]) -> None:
    async for _ in ctx.inbox:
        pass


def test_the_id_is_the_name_of_the_function_where_it_is_left_out() -> None:
    assert child(quiet).id == "quiet"
    assert child(functools.partial(quiet)).id == "quiet"
    assert service(trio.sleep_forever, ready="immediately").id == "sleep_forever"


def test_a_service_with_an_unknown_readiness_is_refused() -> None:
    with pytest.raises(ChildSpecInvalid, match="ready"):
        service(quiet, id="s", ready="soon")  # type: ignore[arg-type]  # what the test is about


async def test_A1_the_same_spec_started_twice_gives_two_actors(autojump_clock) -> None:
    got: dict[str, list[str]] = {}

    async def keep(ctx: Context[str]) -> None:
        async for message in ctx.inbox:
            got.setdefault(ctx.path, []).append(message)

    spec = child(keep, id="a")
    tree = supervisor(supervisor(spec, id="x"), supervisor(spec, id="y"), id="root")

    async with open_supervisor(tree) as one, open_supervisor(tree) as two:
        refs: list[Ref[str]] = [sup.ref(path) for sup in (one, two) for path in ("x/a", "y/a")]
        for number, ref in enumerate(refs):
            ref.tell(str(number))
        await trio.sleep(1)

    assert {path: sorted(each) for path, each in got.items()} == {
        "root/x/a": ["0", "2"],
        "root/y/a": ["1", "3"],
    }
    assert len(set(refs)) == 4


async def test_arguments_reach_the_function(autojump_clock) -> None:
    seen = []

    async def takes(ctx: Context[str], first: int, second: str) -> None:
        seen.append((first, second))
        await quiet(ctx)

    async with open_supervisor(supervisor(child(takes, 1, "two", id="a"), id="root")):
        pass

    assert seen == [(1, "two")]


async def test_B1_a_trio_function_runs_as_a_service(autojump_clock) -> None:
    order = []

    async def server(port: int, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        await trio.sleep(2)
        order.append("server is up")
        task_status.started(f"port {port}")
        await trio.sleep_forever()

    async def after(ctx: Context[str]) -> None:
        order.append("next child")
        await quiet(ctx)

    async with open_supervisor(
        supervisor(service(server, 80, id="s"), child(after, id="a"), id="root")
    ) as sup:
        assert trio.current_time() == 2
        assert sup.value("s") == "port 80"

    assert order == ["server is up", "next child"]


async def test_B1_a_service_may_be_ready_immediately(autojump_clock) -> None:
    tree = supervisor(service(trio.sleep_forever, id="s", ready="immediately"), id=Key[str]("root").name)

    async with open_supervisor(tree) as sup:
        assert sup.tree().children[0].state == "running"
        assert not sup.ref("s").tell("x"), "a service takes no messages"
