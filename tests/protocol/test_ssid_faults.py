"""The words for mistakes, apart from reading: which text they look at, and that they never repeat it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.protocol.ssid_faults import fault_of_json, fault_of_text

MALFORMED = msgspec.DecodeError("JSON is malformed: invalid character (byte 17)")
TRUNCATED = msgspec.DecodeError("Input data was truncated")


@pytest.mark.parametrize(
    "text", ['42["auth",{}]', "42['auth',{}]", "42[auth,{}]", "{}", "k3v9session", "a:1:{}"]
)
def test_texts_that_may_be_ssids(text: str) -> None:
    assert fault_of_text(text) == ""


@pytest.mark.parametrize("text", ["“42[", "42[“auth”,{}]", "{“session”:1}", "{ ”session”:1}", "«42[", "‘42["])
def test_typographic_quotes_where_plain_ones_belong(text: str) -> None:
    assert fault_of_text(text) == "has typographic quotes: an editor changed the plain ones"


def test_typographic_quotes_inside_a_good_text_are_no_fault() -> None:
    assert fault_of_text('42["auth",{"session":"“x”"}]') == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("'42[", "is wrapped in quotes: take them off"),
        ('"k3v9"', "is wrapped in quotes: take them off"),
        ('"{\\"session\\"', "is a quoted copy with every quote escaped: copy the frame itself"),
        ('"a:4:{s:1', "is wrapped in quotes: take them off"),
        ("ssid = x", "starts with the name of a variable: give only what stands after the equals sign"),
        ('0{"sid":"x"}', 'is another frame: the auth frame starts with 42["auth",'),
        ('40{"sid":"x"}', 'is another frame: the auth frame starts with 42["auth",'),
        ('42["openOrder",{}]', "is a frame, but not an auth frame"),
    ],
)
def test_faults_of_text(text: str, fault: str) -> None:
    assert fault_of_text(text) == fault


@pytest.mark.parametrize(
    ("payload", "error", "fault"),
    [
        ("{'session':'x'}", MALFORMED, "has single quotes where JSON has double ones"),
        ("x", MALFORMED, "the auth argument is not a JSON object"),
        ('{"a":1', MALFORMED, "ends in the middle of the auth object: the paste was cut off"),
        ('{"a":"{}', TRUNCATED, "ends in the middle of the auth object: the paste was cut off"),
        ("{uid:5}", MALFORMED, "has field names without quotes"),
        ('{"a":None}', MALFORMED, "has True, False or None where JSON has true, false or null"),
        ('{"a":1, }', MALFORMED, "has a comma after the last field"),
        ('{"a":"b\nc"}', MALFORMED, "has a line break inside a text: the paste was wrapped"),
        ('{"a" 1}', MALFORMED, "the auth object is not JSON: bad at byte 17"),
        ('{"a" 1}', RecursionError(), "the auth object is not JSON"),
    ],
)
def test_faults_of_json(payload: str, error: Exception, fault: str) -> None:
    assert fault_of_json(payload, error) == fault


@given(st.text(min_size=1).filter(str.strip), st.sampled_from([MALFORMED, TRUNCATED]))
def test_words_are_ours_alone(text: str, error: Exception) -> None:
    for fault in (fault_of_text(text.strip()), fault_of_json(text, error)):
        assert fault.isascii()
        assert "\n" not in fault
