"""A pipeline with back-pressure: a fast source, a slow sink, and never more than a few items in between.

Run it: ``python examples/pipeline.py``
"""

from __future__ import annotations

import trio

from potrio.supervision import Context, Key, bounded, child, open_supervisor, render, supervisor

ITEMS = 200
PARSE, STORE = Key[str]("parse"), Key[int]("store")


async def source(ctx: Context[str]) -> None:
    """Produce as fast as the next stage takes: ``send`` waits for room."""
    parse = ctx.lookup(PARSE)
    ctx.ready()
    for number in range(ITEMS):
        await parse.send(f" {number} ")


async def parse(ctx: Context[str]) -> None:
    """Turn text into numbers; what is no number is left out."""
    store = ctx.lookup(STORE)
    async for text in ctx.inbox:
        if text.strip().isdigit():
            await store.send(int(text))


async def store(ctx: Context[int], stored: list[int], done: trio.Event) -> None:
    """The slow end: takes what is there in one go, as a database would."""
    while True:
        batch = list(await ctx.inbox.burst())
        await trio.sleep(0.005)
        stored.extend(batch)
        if len(stored) >= ITEMS:
            done.set()


async def main() -> None:
    """Run everything through, and show how little ever waited."""
    stored: list[int] = []
    done = trio.Event()
    # Sinks first: a stage is ready before the one that feeds it starts, and is stopped after it.
    tree = supervisor(
        child(store, stored, done, id=STORE, mailbox=bounded(8)),
        child(parse, id=PARSE, mailbox=bounded(8)),
        child(source, id="source", restart="transient"),
        id="pipeline",
        strategy="rest_for_one",
    )
    async with open_supervisor(tree) as sup:
        await done.wait()
        print(render(sup.tree()))
        peaks = [node.mailbox.peak for node in sup.tree().children if node.mailbox is not None]
    print(
        f"{len(stored)} items in order: {stored == list(range(ITEMS))}; at most {max(peaks)} waited anywhere"
    )


if __name__ == "__main__":
    trio.run(main)
