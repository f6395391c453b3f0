"""A worker that is another release, plays another plan, or lives at another time is refused before it has a shard."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.engines.base import EngineError
from loadsim.engines.dask_greeting import best_offset, check_greeting, shake_hands
from loadsim.engines.dask_task import Greeting, greet, read_clock
from potrio.seam import REAL

from .conftest import spec_of


class Workers:
    """A client of Dask whose workers answer as they are told to."""

    def __init__(self, greeting: bytes | Exception, ahead_s: float | Exception = 0.0) -> None:
        self.greeting = greeting
        self.ahead_s = ahead_s
        self.asked = 0

    def run(self, question, *values, workers, on_error):
        assert on_error == "return"
        if question is greet:
            return dict.fromkeys(workers, self.greeting)
        assert question is read_clock
        self.asked += 1
        told = self.ahead_s if isinstance(self.ahead_s, Exception) else REAL.wall() + self.ahead_s
        return dict.fromkeys(workers, told)


def greeting_with(**changes) -> Greeting:
    greeting = msgspec.json.decode(greet(spec_of("short").encode()), type=Greeting)
    distributed = changes.pop("distributed", greeting.distributed)
    return Greeting(msgspec.structs.replace(greeting.hello, **changes), distributed)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"potrio": "0.0.0"}, "worker w: shard 0 runs potrio 0.0.0"),
        ({"plan_digest": "sha256:other"}, "worker w: shard 0 has read another plan"),
        ({"python": "3.1.4"}, "worker w runs Python 3.1, the controller 3"),
        ({"distributed": "1.0"}, "worker w runs distributed 1.0"),
        ({"nofile": 99}, "may open 99 descriptors, its shard needs 100"),
    ],
)
def test_what_differs_is_named(changes, words):
    with pytest.raises(EngineError, match=words):
        check_greeting(greeting_with(**changes), spec_of("short"), 100, "w")


def test_a_patch_of_python_may_differ():
    python = greeting_with().hello.python
    check_greeting(greeting_with(python=python.rpartition(".")[0] + ".99"), spec_of("short"), 100, "w")


async def test_ten_samples_of_the_clock(monkeypatch):
    workers = Workers(msgspec.json.encode(greeting_with()), ahead_s=0.25)
    found = await shake_hands(workers, {"w": spec_of("short")}, 0)

    assert workers.asked == 10
    clock = found["w"][1]
    assert abs(clock.seconds - 0.25) <= clock.uncertainty_s + 1e-6


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        (Workers(ModuleNotFoundError("No module named 'loadsim'")), "ModuleNotFoundError: No module named"),
        (Workers(msgspec.json.encode(greeting_with()), 5.5), r"is off by \+5\.\d+ s"),
        (Workers(msgspec.json.encode(greeting_with()), -0.75), r"is off by -0\.\d+ s"),
        (Workers(msgspec.json.encode(greeting_with()), OSError("gone")), "went away"),
    ],
)
async def test_a_worker_that_does_not_fit_is_refused(workers, words):
    with pytest.raises(EngineError, match=words):
        await shake_hands(workers, {"w": spec_of("short")}, 0)


@given(
    st.floats(-1, 1),
    st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.2)), min_size=1, max_size=10),
)
def test_the_true_offset_is_within_the_uncertainty(offset, ways):
    samples, now = [], 1000.0
    for there, back in ways:
        samples.append((now, now + there + offset, now + there + back))
        now += 1
    found = best_offset(samples)

    assert abs(found.seconds - offset) <= found.uncertainty_s + 1e-6
    assert found.uncertainty_s == pytest.approx(min(there + back for there, back in ways) / 2, abs=1e-6)
