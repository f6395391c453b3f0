"""The algebra of matchers: the laws of logic as properties, each test of its own, and functions that raise."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConfigError
from potrio.limits import JSON_DEPTH_MAX
from potrio.protocol.matchers import (
    ANYTHING,
    NOTHING,
    Matcher,
    RawEvent,
    all_of,
    any_of,
    contains,
    custom,
    ends_with,
    equals,
    event,
    fits,
    json_at,
    regex,
    starts_with,
)

EVENTS = st.builds(
    RawEvent,
    st.sampled_from(["updateStream", "successauth", "x"]),
    st.sampled_from([b"", b"1", b'{"a":[{"b":2}]}', b'"text"', b"\xff", b"[1,2]"]),
)
LEAVES = st.sampled_from(
    [
        ANYTHING,
        NOTHING,
        event("x"),
        event("x", "successauth"),
        starts_with('["u'),
        ends_with("]]"),
        contains("b", of="payload"),
        equals("x", of="name"),
        regex("^[a-z]+$", of="name"),
        json_at("a.0.b"),
        fits(list[int]),
        custom(lambda event: 1 / 0, "broken"),
        custom(lambda event: len(event.payload) > 1, "long"),
    ]
)
MATCHERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda one: ~one),
        st.tuples(inner, inner).map(lambda two: two[0] & two[1]),
        st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
        st.lists(inner, max_size=3).map(lambda some: all_of(*some)),
        st.lists(inner, max_size=3).map(lambda some: any_of(*some)),
    ),
    max_leaves=8,
)


@given(a=MATCHERS, b=MATCHERS, c=MATCHERS, e=EVENTS)
def test_the_laws_of_logic(a, b, c, e):
    assert (~(a & b))(e) == (~a | ~b)(e), "De Morgan"
    assert (~(a | b))(e) == (~a & ~b)(e), "De Morgan"
    assert (~~a)(e) == a(e)
    assert (a & b)(e) == (b & a)(e)
    assert (a | b)(e) == (b | a)(e)
    assert (a & (b | c))(e) == ((a & b) | (a & c))(e)
    assert (a | (b & c))(e) == ((a | b) & (a | c))(e)
    assert (a & a)(e) == (a | a)(e) == a(e)
    assert (a & ANYTHING)(e) == (a | NOTHING)(e) == a(e)
    assert (a | ~a)(e)
    assert not (a & ~a)(e)


@given(a=MATCHERS, b=MATCHERS, e=EVENTS)
def test_and_or_and_not_mean_what_they_say(a, b, e):
    assert (a & b)(e) == (a(e) and b(e))
    assert (a | b)(e) == (a(e) or b(e))
    assert (~a)(e) == (not a(e))


@given(a=MATCHERS, e=EVENTS)
def test_no_matcher_fails_and_each_prints(a, e):
    assert a(e) in (True, False)
    assert repr(a)


def test_a_matcher_prints_as_it_is_written():
    written = event("x") & ~(contains("y") | starts_with("z", of="payload"))
    assert repr(written) == "event('x') & ~(contains('y') | starts_with('z', of='payload'))"
    assert repr(all_of()) == "ANYTHING"
    assert repr(any_of()) == "NOTHING"
    assert repr(json_at("a.b", 1)) == "json_at('a.b', 1)"
    assert repr(custom(len)) == "custom(len)"
    assert repr(fits(int) | custom(lambda e: True, "mine")) == "fits(int) | custom(mine)"


def test_texts():
    e = RawEvent("updateStream", b'[["EURUSD_otc",1.5,2]]')
    assert e.text == '["updateStream",[["EURUSD_otc",1.5,2]]]'
    assert RawEvent("ps").text == '["ps"]'
    assert starts_with('["updateStream"')(e)
    assert ends_with("2]]]")(e)
    assert ends_with("2]]", of="payload")(e)
    assert contains("EURUSD")(e)
    assert not contains("EURUSD", of="name")(e)
    assert equals("updateStream", of="name")(e)
    assert regex(r"EUR[A-Z]{3}_otc")(e)
    assert e.without("[[", "]]") == '"EURUSD_otc",1.5,2'
    assert e.without("{", "}") == e.payload_text


@pytest.mark.parametrize(
    ("path", "wanted", "says"),
    [
        ("", {"deals": [{"id": 7}]}, True),
        ("deals.0.id", 7, True),
        ("deals.0.id", 8, False),
        ("deals.0.id", lambda value: value > 6, True),
        ("deals.1.id", 7, False),
        ("deals.x.id", 7, False),
        ("nothing", None, False),
        ("deals.0.id.deeper", 7, False),
        ("deals.0.id", lambda value: value.wrong, False),
    ],
)
def test_json_paths(path, wanted, says):
    assert json_at(path, wanted)(RawEvent("x", b'{"deals":[{"id":7}]}')) is says


def test_a_path_alone_asks_whether_there_is_anything():
    assert json_at("a")(RawEvent("x", b'{"a":null}'))
    assert not json_at("b")(RawEvent("x", b'{"a":null}'))
    assert not json_at("a")(RawEvent("x", b"no json"))


class Shape(msgspec.Struct):
    a: int


def test_a_type_is_a_schema():
    assert fits(Shape)(RawEvent("x", b'{"a":1}'))
    assert not fits(Shape)(RawEvent("x", b'{"a":"1"}'))
    assert not fits(Shape)(RawEvent("x"))
    assert RawEvent("x", b'{"a":1}').json(Shape) == Shape(1)


def test_deep_json_is_refused_and_no_crash():
    deep = RawEvent("x", b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1))
    assert not json_at("0")(deep)
    with pytest.raises(ValueError, match="does not fit"):
        deep.json()


def test_a_function_that_raises_means_no_and_is_counted():
    broken = custom(lambda event: event.wrong, "broken")
    nested = ANYTHING & (broken | ~broken)
    assert nested(RawEvent("x"))
    assert not broken(RawEvent("x"))
    assert nested.errors == 3
    assert event("x").errors == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: event(),
        lambda: event(1),
        lambda: contains(b"x"),
        lambda: starts_with("x", of="body"),
        lambda: custom("no function"),
        lambda: all_of(lambda event: True),
        lambda: event("x") & True,
        lambda: regex("("),
    ],
)
def test_what_is_no_matcher_is_refused_when_it_is_made(make):
    with pytest.raises(ConfigError):
        make()


def test_every_kind_is_a_matcher():
    assert all(isinstance(one, Matcher) for one in (ANYTHING, ~ANYTHING, event("x"), custom(len)))
