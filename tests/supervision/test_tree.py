"""The tree as values and as text (row D7)."""

from __future__ import annotations

import trio

from potrio.supervision import (
    Backoff,
    Context,
    Limit,
    SupervisorFailed,
    child,
    open_supervisor,
    render,
    service,
    supervisor,
)


async def works(ctx: Context[object]) -> None:
    async for message in ctx.inbox:
        match message:
            case "crash":
                raise ValueError("bad frame")
            case "slow":
                await trio.sleep(10)


TREE = supervisor(
    supervisor(child(works, id="conn"), child(works, id="router"), id="link", strategy="rest_for_one"),
    service(trio.sleep_forever, id="ticker", ready="immediately"),
    child(works, id="monitor", shutdown=0),
    id="root",
    backoff=Backoff(1, 1, "none"),
)


async def test_D7_every_field_of_a_node(autojump_clock) -> None:
    async with open_supervisor(TREE) as sup:
        await trio.sleep(5)
        for message in ("slow", "b", "c"):
            sup.ref("monitor").tell(message)
        await trio.sleep(2)
        root = sup.tree()
        link, ticker, monitor = root.children
        assert (root.path, root.kind, root.state, root.incarnation) == ("root", "one_for_one", "running", 1)
        assert (link.kind, [node.path for node in link.children]) == (
            "rest_for_one",
            ["root/link/conn", "root/link/router"],
        )
        assert (ticker.kind, ticker.mailbox, ticker.uptime) == ("service", None, 7)
        assert (monitor.message, monitor.message_age) == ("str", 2)
        box = monitor.mailbox
        assert (box.depth, box.peak, box.accepted, box.handled, box.in_hand) == (2, 3, 3, 0, 1)
        assert box.oldest_wait == 2


async def test_D7_backoff_failure_and_restarts_are_seen(autojump_clock) -> None:
    async with open_supervisor(TREE) as sup:
        sup.ref("monitor").tell("crash")
        await trio.sleep(0.25)
        node = sup.tree().children[2]
        assert (node.state, node.restart_in, node.uptime) == ("backoff", 0.75, 0)
        assert node.last_failure.text == "bad frame"
        await trio.sleep(2)
        node = sup.tree().children[2]
        assert (node.state, node.restart_in, node.incarnation, node.restarts) == ("running", None, 2, 1)


async def test_D7_works_on_a_stopping_and_on_an_ended_tree(autojump_clock) -> None:
    async with open_supervisor(TREE) as sup:
        sup.ref("link/router").tell("slow")
        await trio.sleep(1)
        sup.request_stop()
        await trio.sleep(1)
        assert sup.tree().state in ("running", "stopping")
        assert "router" in render(sup.tree())
    assert sup.tree().state == "ended"
    assert render(sup.tree()).startswith("root")


async def test_D7_works_on_a_failing_tree(autojump_clock) -> None:
    seen = []
    tree = supervisor(child(works, id="a"), child(works, id="b"), id="root", limit=Limit(0, 1))
    handle = []

    def observe(event: object) -> None:
        if handle:
            seen.append(render(handle[0].tree()))

    try:
        async with open_supervisor(tree, observers=[observe]) as sup:
            handle.append(sup)
            sup.ref("a").tell("crash")
            await trio.sleep_forever()
    except SupervisorFailed:
        pass
    assert len(seen) > 3


async def test_D7_text(autojump_clock) -> None:
    async with open_supervisor(TREE) as sup:
        sup.ref("monitor").tell("crash")
        sup.ref("link/conn").tell("slow")
        await trio.sleep(0.5)
        text = render(sup.tree())
    lines = text.splitlines()
    assert lines[0].split() == ["root", "one_for_one", "running"]
    assert lines[1].startswith("├─ link")
    assert lines[2].startswith("│  ├─ conn")
    assert "in hand: str for 0.5 s" in lines[2]
    assert lines[3].startswith("│  └─ router")
    assert lines[5].startswith("└─ monitor")
    assert "restart in 0.5 s" in lines[5]
    assert "last: ValueError: bad frame" in lines[5]
    assert len({line.index("running") for line in lines[:5]}) == 1, "columns line up"
