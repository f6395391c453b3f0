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

from potrio.secrets import Secret

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
