"""A Secret cannot be seen: not printed, not formatted, not pickled, not encoded, not captured with the locals."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import traceback
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConnectionBroken, HandshakeFailed
from potrio.secrets import Secret, redact, redact_error

CANARY = "canary-5f1e-token"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        lambda secret: "{:>40}".format(secret),  # noqa: UP032  this is the form under test
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  this is the form under test
        lambda secret: pprint.pformat({"a": [secret]}),
        lambda secret: repr({secret: 1}),
        lambda secret: repr(getattr(secret, "__dict__", None)),
        lambda secret: repr([getattr(secret, name) for name in Secret.__slots__]),
    ],
)
def test_no_form_shows_it(show: Any) -> None:
    assert CANARY not in show(Secret(CANARY))


def test_reveal_gives_it_back() -> None:
    assert Secret(CANARY).reveal() == CANARY


@pytest.mark.parametrize(
    "encode",
    [pickle.dumps, json.dumps, msgspec.json.encode, msgspec.msgpack.encode, lambda s: pickle.dumps([s])],
)
def test_it_cannot_be_encoded(encode: Any) -> None:
    with pytest.raises(TypeError) as caught:
        encode(Secret(CANARY))

    assert CANARY not in str(caught.value)


def test_a_copy_is_the_same_object() -> None:
    secret = Secret(CANARY)

    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": secret})["a"] is secret


def test_it_is_only_made_of_text_and_the_error_does_not_repeat_it() -> None:
    with pytest.raises(TypeError) as caught:
        Secret(CANARY.encode())  # type: ignore[arg-type]  the mistake under test

    assert CANARY not in str(caught.value)


def test_it_stays_out_of_logs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("t").debug("%s %r %s", Secret(CANARY), Secret(CANARY), {"token": Secret(CANARY)})

    assert "***" in caplog.text
    assert CANARY not in caplog.text


def test_it_stays_out_of_tracebacks_with_captured_locals() -> None:
    def fail(token: Secret) -> None:
        held = {"token": token}
        raise ValueError(held)

    text = ""
    try:
        fail(Secret(CANARY))
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())

    assert "held" in text
    assert CANARY not in text.replace(f'"{CANARY}"', ""), "the constant of this test apart"


def test_equality_and_hash_are_of_the_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert {Secret("a"): 1}[Secret("a")] == 1
    assert Secret("é") == Secret("é")


def test_truth_says_whether_there_is_one() -> None:
    assert Secret("a")
    assert not Secret("")


# --- what others say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("nothing of it", "nothing of it"),
        (CANARY, "***"),
        (f"bad session {CANARY}, sorry", "bad session ***, sorry"),
        (f"{CANARY}{CANARY}", "******"),
        (f"{CANARY}, {CANARY}", "***, ***"),
        (f"<{CANARY[:12]}...", "<***..."),
        (f"...{CANARY[4:]}>", "...***>"),
        (f"{CANARY[:11]} is too little to be of use", f"{CANARY[:11]} is too little to be of use"),
    ],
)
def test_its_parts_are_taken_out_of_a_text(text: str, expected: str) -> None:
    assert redact(text, Secret(CANARY)) == expected


def test_nothing_is_left_of_two_secrets_that_overlap_in_a_text() -> None:
    one, two = Secret("abcdefghijklmnopqrst"), Secret("opqrstuvwxyz0123")
    for text in ("see abcdefghijklmnopqrstuvwxyz0123!", "see opqrstuvwxyz0123!", "see abcdefghijklmnopqrst!"):
        assert redact(text, one, two) == redact(text, two, one) == "see ***!"
    assert redact("kept", one, two) == "kept"
    assert redact("nothing", Secret("")) == redact("nothing") == "nothing"
    assert redact("a pin 1234 abcdefghijklmnopqrst1234", one, Secret("1234")) == "a pin *** ******"


@pytest.mark.parametrize(("value", "expected"), [("short", "a *** one"), ("", "a short one")])
def test_a_short_secret_is_found_whole(value: str, expected: str) -> None:
    assert redact("a short one", Secret(value)) == expected


@given(
    secret=st.text("abc", max_size=30),
    before=st.text("abc ", max_size=20),
    after=st.text("abc ", max_size=20),
)
def test_property_no_part_of_use_is_left_and_other_text_is_kept(secret: str, before: str, after: str) -> None:
    text = redact(f"{before}{secret}{after}", Secret(secret))
    size = min(12, len(secret))
    assert not size or not any(secret[i : i + size] in text for i in range(len(secret) - size + 1))
    assert redact("your only query", Secret(secret)) == "your only query"


@given(value=st.text("abc", min_size=1, max_size=40), around=st.text("abc ", max_size=20), data=st.data())
def test_property_a_part_of_use_is_found_wherever_it_is_cut_off(
    value: str, around: str, data: st.DataObject
) -> None:
    """What is searched for first, pieces of it, misses none."""
    size = min(12, len(value))
    start = data.draw(st.integers(0, len(value) - size))
    end = data.draw(st.integers(start + size, len(value)))
    text = f"{around}{value[start:end]}-{around}"
    assert "***" in redact(text, Secret(value))
    assert value[start:end] not in redact(text, Secret("another of no use"), Secret(value))


def leaking_error() -> HandshakeFailed:
    """An error with the token in every place an error has."""

    def fail(token: str) -> None:
        raise ValueError(f"no {token}", [token], token.encode())

    token = CANARY
    try:
        try:
            fail(token)
        except ValueError as error:
            raise ConnectionBroken(f"closed: {token}") from error
    except ConnectionBroken as error:
        failure = HandshakeFailed("server", f"it said {token}", "auth")
        failure.__cause__ = ExceptionGroup("several", [error])
        failure.__context__ = failure
        failure.add_note(f"then: {token}")
    return failure


def test_an_error_and_all_that_hangs_on_it_forget() -> None:
    assert CANARY in shown_with_locals(leaking_error()), "the search finds it"
    error = leaking_error()

    redact_error(error, Secret(CANARY))

    assert CANARY not in shown_with_locals(error)
    assert (error.target, error.reason, error.stage) == ("server", "it said ***", "auth")
    assert error.args == ("server", "it said ***", "auth")
    assert isinstance(error.__cause__, ExceptionGroup)
    broken = error.__cause__.exceptions[0]
    assert str(broken) == "closed: ***"
    assert isinstance(broken.__cause__, ValueError)
    assert broken.__cause__.args == ("no ***", ["***"], b"***")


def test_an_error_without_the_secret_keeps_its_words() -> None:
    error = OSError(104, "Connection reset by peer")

    redact_error(error, Secret(CANARY))

    assert (error.errno, str(error)) == (104, "[Errno 104] Connection reset by peer")


def shown_with_locals(error: BaseException) -> str:
    """A traceback with captured locals."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
