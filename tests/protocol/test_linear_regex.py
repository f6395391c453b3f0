"""Against `re`: the same answer for every pattern both can read, and no pattern that runs away."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConfigError
from potrio.limits import REGEX_STATES_MAX, REGEX_TEXT_CHARS_MAX
from potrio.protocol.linear_regex import PATTERN_CHARS_MAX, LinearRegex

ATOMS = st.sampled_from(
    ["a", "b", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", "[ab]", "[^a]", r"[a-c\d]", r"\.", "é"]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)
TEXTS = st.text(alphabet="abc1 .é_\n", max_size=12)


@given(
    pattern=PATTERNS,
    start=st.sampled_from(["", "^", r"\A"]),
    end=st.sampled_from(["", "$", r"\Z"]),
    text=TEXTS,
)
def test_it_says_what_re_says(pattern, start, end, text):
    pattern = start + pattern + end
    assert LinearRegex(pattern).search(text) == bool(re.search(pattern, text))


@pytest.mark.parametrize(
    "pattern", ["", "a|", "(|a)b", "^$", "x*$", "(a*)*", "((a|b)*|c)*d", "a{0}b", "(?:a|b)+?c"]
)
@pytest.mark.parametrize("text", ["", "a", "b", "ab", "d\n", "\n", "aabbc", "cd"])
def test_odd_patterns(pattern, text):
    assert LinearRegex(pattern).search(text) == bool(re.search(pattern, text))


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "(a|aa)+b", "(.*)*x", "(a+)+$x"])
def test_what_makes_others_run_away_ends_at_once(pattern):
    """What is exponential would not end in the life of the universe."""
    assert not LinearRegex(pattern).search("a" * REGEX_TEXT_CHARS_MAX)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a)\1",
        "(?=a)",
        "(?<!a)b",
        r"\bword",
        "(?i)a",
        "a++",
        "(?>a)b",
        "(?P<x>a)(?P=x)",
        "(",
        "[",
        "*a",
    ],
)
def test_what_needs_backtracking_or_is_no_pattern_is_refused(pattern):
    with pytest.raises(ConfigError) as refused:
        LinearRegex(pattern)
    assert refused.value.path == "pattern"


@pytest.mark.parametrize(
    "pattern",
    [
        "a" * (PATTERN_CHARS_MAX + 1),
        f"a{{{REGEX_STATES_MAX + 1}}}",
        "((a{50}){50}){50}",
        "a{1,100000}",
        "(a{9}){99}",
    ],
)
def test_what_is_too_large_is_refused(pattern):
    with pytest.raises(ConfigError):
        LinearRegex(pattern)


def test_only_the_first_characters_are_looked_at():
    text = "a" * REGEX_TEXT_CHARS_MAX
    assert LinearRegex("a$").search(text + "b")
    assert not LinearRegex("b").search(text + "b")
