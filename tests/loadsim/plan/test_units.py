"""Durations, rates and distributions are read strictly, and mean what they say."""

from __future__ import annotations

from statistics import mean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.plan.chance import Chance
from loadsim.plan.units import parse_distribution, parse_duration, parse_rate


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1d", 86_400.0),
        ("0s", 0.0),
        ("1.5m", 90.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5sx", "x5s", "5s 3s", "1e3s", "５s" + "!"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is written like"):
        parse_duration(text)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_an_error(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except ValueError:
        pass


@pytest.mark.parametrize(("text", "rate"), [("5/s", 5.0), ("30/m", 0.5), ("0.5 / s", 0.5), ("36/h", 0.01)])
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "5", "5/d", "s/5", "-1/s", "1e9/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="a rate is written like"):
        parse_rate(text)


def drawn(text: str) -> list[float]:
    chance = Chance(1, "p")
    every = parse_distribution(text)
    return [every.draw(chance) for _ in range(4000)]


def test_a_plain_duration_is_always_the_same() -> None:
    assert set(drawn("2s")) == {2.0}


def test_distributions_have_their_middle() -> None:
    assert mean(drawn("exp(2s)")) == pytest.approx(2.0, rel=0.06)
    assert median(drawn("lognormal(10m, 0.4)")) == pytest.approx(600, rel=0.06)
    assert mean(drawn("uniform(1s, 3s)")) == pytest.approx(2.0, rel=0.06)
    assert all(1 <= each <= 3 for each in drawn("uniform(1s, 3s)"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gauss(1s)", "a distribution is"),
        ("exp()", "a duration is"),
        ("exp(1s,2s)", "exp takes 1 argument, not 2"),
        ("uniform(1s)", "uniform takes 2 arguments"),
        ("uniform(3s,1s)", "the larger one"),
        ("lognormal(1s,x)", "sigma"),
        ("lognormal(1s,-1)", "sigma"),
        ("lognormal(1s,nan)", "sigma"),
    ],
)
def test_what_is_no_distribution(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_distribution(text)
