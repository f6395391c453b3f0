"""The actor cases with pykka: an actor is a thread. Rates are by the clock: processor time would hide its waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pykka
from actor_case import CLIENTS, DEADLINE_S, Figures, Lateness, absent, main, resident_bytes


def by_the_clock(count: int, started: float) -> Figures:
    """Items in a second since ``time.perf_counter()`` was ``started``."""
    return {"items": count, "per_second": count / (time.perf_counter() - started)}


class Counter(pykka.ThreadingActor):
    """Counts to the last message."""

    def __init__(self, last: int, done: threading.Event) -> None:
        super().__init__()
        self.last, self.done = last, done

    def on_receive(self, message: int) -> None:
        """Take one."""
        if message == self.last:
            self.done.set()


class Echo(pykka.ThreadingActor):
    """Sends back what it is asked."""

    def on_receive(self, message: int) -> int:
        """Answer one."""
        return message


class Busy(pykka.ThreadingActor):
    """Is never without a message."""

    def __init__(self, lateness: Lateness, handler_s: float) -> None:
        super().__init__()
        self.lateness, self.handler_s = lateness, handler_s

    def on_receive(self, message: int) -> None:
        """Take one, send the next."""
        if self.lateness.work(self.handler_s):
            self.actor_ref.tell(message)


def stopping_all(case: Callable[..., Figures]) -> Callable[..., Figures]:
    """Stop all actors at the end, or the process would wait for them for ever."""

    def run(*arguments: Any) -> Figures:
        try:
            return case(*arguments)
        finally:
            pykka.ActorRegistry.stop_all()

    return run


@stopping_all
def tell(count: int) -> Figures:
    """Tell all messages; the actor's thread takes them when it can."""
    done = threading.Event()
    actor = Counter.start(count - 1, done)
    started = time.perf_counter()
    for number in range(count):
        actor.tell(number)
    done.wait()
    return by_the_clock(count, started)


@stopping_all
def ask(clients: int, timeout: float | None, count: int) -> Figures:
    """Ask from one thread or many."""
    actor = Echo.start()

    def client() -> None:
        for number in range(count // clients):
            assert actor.ask(number, timeout=timeout) == number

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return by_the_clock(count // clients * clients, started)


def idle(count: int) -> Figures:
    """Threads that wait: a tenth as many, for each takes a place in the system's tables."""
    count = max(1, count // 10)
    before, started = resident_bytes(), time.process_time()
    for _ in range(count):
        Echo.start()
    start_s = time.process_time() - started
    size = resident_bytes() - before
    started = time.process_time()
    pykka.ActorRegistry.stop_all()
    stop_s = time.process_time() - started
    return {"bytes": size / count, "start_us": start_s / count * 1e6, "stop_us": stop_s / count * 1e6}


@stopping_all
def fair(handler_s: float, milliseconds: int) -> Figures:
    """The task that wants to run every millisecond is a thread as well."""
    lateness = Lateness(milliseconds)
    actor = Busy.start(lateness, handler_s)
    actor.tell(0)
    actor.tell(0)
    while not lateness.over:
        due = time.perf_counter() + lateness.PERIOD_S
        time.sleep(lateness.PERIOD_S)
        lateness.ran(due, time.perf_counter())
    return lateness.figures()


if __name__ == "__main__":
    main(
        {
            "tell": tell,
            "burst": absent("it hands out one message at a time"),
            "ask_1": partial(ask, 1, None),
            "ask_64": partial(ask, CLIENTS, None),
            "ask_1_deadline": partial(ask, 1, DEADLINE_S),
            "ask_64_deadline": partial(ask, CLIENTS, DEADLINE_S),
            "restart": absent("an actor that crashes stays dead"),
            "idle": idle,
            "fair_4us": partial(fair, 4e-6),
            "fair_35us": partial(fair, 35e-6),
        }
    )
