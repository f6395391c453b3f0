"""Chance by counting: streams are independent, repeat, and have the distributions they are named after."""

from __future__ import annotations

from statistics import mean, pstdev

import pytest

from loadsim.plan.chance import Chance


def draws(seed: int = 1, purpose: str = "p", index: int = 0, count: int = 4000) -> list[float]:
    chance = Chance(seed, purpose, index)
    return [chance.uniform() for _ in range(count)]


def test_a_stream_repeats() -> None:
    assert draws() == draws()


@pytest.mark.parametrize("other", [{"seed": 2}, {"purpose": "q"}, {"index": 1}])
def test_another_key_is_another_stream(other: dict[str, object]) -> None:
    a, b = draws(), draws(**other)
    covariance = mean((x - 0.5) * (y - 0.5) for x, y in zip(a, b, strict=True))

    assert a[:3] != b[:3]
    assert abs(covariance) < 0.006


def test_distributions() -> None:
    chance = Chance(1, "p")
    uniform = [chance.uniform() for _ in range(8000)]
    exponential = [chance.exponential() for _ in range(8000)]
    normal = [chance.normal() for _ in range(8000)]

    assert all(0 <= each < 1 for each in uniform)
    assert mean(uniform) == pytest.approx(0.5, abs=0.02)
    assert mean(exponential) == pytest.approx(1.0, abs=0.05)
    assert mean(normal) == pytest.approx(0.0, abs=0.05)
    assert pstdev(normal) == pytest.approx(1.0, abs=0.05)


def test_every_choice_comes() -> None:
    chance = Chance(1, "p")

    assert {chance.choice("abc") for _ in range(100)} == set("abc")
    assert {chance.below(3) for _ in range(100)} == {0, 1, 2}


def test_the_first_numbers_never_change() -> None:
    """A recorded run can be replayed by another release: these are part of the format."""
    chance = Chance(7, "arrivals", 3)

    assert [chance.bits() for _ in range(2)] == [14925195123368966998, 11984832922981489374]
