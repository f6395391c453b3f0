"""The bookkeeping of handlers: queues, counters, who is slow next; without a client."""

from __future__ import annotations

import time

import trio

from potrio.actors.callbacks import CallbackHandle, Callbacks, serve_callback, watch_callbacks
from potrio.actors.stream import Stream
from potrio.seam import REAL


def made(handler, *, topic="x", capacity=4, **options) -> CallbackHandle:
    return CallbackHandle(topic, handler, Stream(capacity=capacity), **options)


async def test_each_handler_has_a_queue_of_its_own(autojump_clock, nursery):
    callbacks, one, two = Callbacks(), [], []
    for handle in (made(one.append), made(two.append), made(two.append, topic="y")):
        callbacks.add(handle)
        nursery.start_soon(serve_callback, handle, callbacks, REAL)
    callbacks.publish("x", 1)
    callbacks.publish("nobody", 2)
    await trio.sleep(1)
    assert (one, two) == ([1], [1])
    assert callbacks.wanted("x")
    assert not callbacks.wanted("nobody")
    callbacks.end()


async def test_what_waits_is_handled_before_the_end(autojump_clock):
    callbacks, seen = Callbacks(), []
    handle = made(seen.append)
    callbacks.add(handle)
    for number in range(6):
        callbacks.publish("x", number)
    callbacks.end()
    await serve_callback(handle, callbacks, REAL)
    assert seen == [2, 3, 4, 5]
    assert handle.statistics().dropped == 2
    assert handle.statistics().handled == 4


async def test_a_function_that_blocks_is_told_about_afterwards():
    callbacks, slow = Callbacks(), []
    handle = made(lambda value: time.sleep(0.02), slow_after_s=0.01, on_slow=slow.append)
    callbacks.add(handle)
    callbacks.publish("x", 1)
    callbacks.end()
    await serve_callback(handle, callbacks, REAL)
    assert [each.still_running for each in slow] == [False]
    assert slow[0].seconds >= 0.02
    assert callbacks.slow == handle.statistics().slow == 1


async def test_who_takes_long_is_told_once_for_each_call(autojump_clock, nursery):
    callbacks, slow = Callbacks(), []

    async def handler(seconds):
        await trio.sleep(seconds)

    handle = made(handler, slow_after_s=2, on_slow=slow.append)
    callbacks.add(handle)
    nursery.start_soon(watch_callbacks, callbacks, REAL)
    nursery.start_soon(serve_callback, handle, callbacks, REAL)
    for seconds in (1, 10, 3):
        callbacks.publish("x", seconds)
    await trio.sleep(60)
    assert [(each.still_running, each.seconds) for each in slow] == [(True, 2.0), (True, 2.0)]
    assert handle.statistics().handled == 3
    nursery.cancel_scope.cancel()


async def test_a_hook_that_fails_ends_nothing(autojump_clock):
    callbacks = Callbacks()

    def broken(value):
        raise ValueError("broken")

    handle = made(broken, on_error=broken)
    callbacks.add(handle)
    callbacks.publish("x", 1)
    callbacks.publish("x", 2)
    callbacks.end()
    await serve_callback(handle, callbacks, REAL)
    assert handle.statistics().failed == 2
    assert callbacks.errors == 4


async def test_taken_off_before_its_task_ran():
    callbacks, seen = Callbacks(), []
    handle = made(seen.append)
    callbacks.add(handle)
    callbacks.publish("x", 1)
    handle.cancel()
    await serve_callback(handle, callbacks, REAL)
    assert (seen, handle.active, callbacks.handles) == ([], False, [])
