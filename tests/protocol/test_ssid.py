"""SSIDs: every form is read, sent byte for byte, never printed; what is wrong with a bad one is said in words."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.errors import ConfigError, SsidError
from potrio.protocol.ssid import Ssid, explain, parse_ssid
from potrio.secrets import Secret
from potrio.testing.ssids import demo_ssids, guest_ssids, live_sessions, live_ssids

SESSION = "k3v9examplesession0demo0x1"
DEMO = (
    f'42["auth",{{"session":"{SESSION}","isDemo":1,"uid":12345678,"platform":2,'
    '"isFastHistory":true,"isOptimized":true}]'
)
LIVE_SESSION = (
    'a:4:{s:10:"session_id";s:32:"0123456789abcdef0123456789abcdef";s:10:"ip_address";s:9:"127.0.0.1";'
    's:10:"user_agent";s:11:"Mozilla/5.0";s:13:"last_activity";i:1732926685;}31666d2d31666d2d31666d2d31666d2d'
)
ESCAPED = LIVE_SESSION.replace('"', '\\"')
LIVE = f'42["auth",{{"session":"{ESCAPED}","isDemo":0,"uid":12345678,"platform":1}}]'
GUEST = '42["auth",{"token":"EXAMPLEtok","balance":50000,"isFastHistory":true}]'
FEW = settings(max_examples=100, deadline=None)

# --- forms -----------------------------------------------------------------------------------------------------------


def test_demo() -> None:
    ssid = parse_ssid(DEMO)

    assert (ssid.kind, ssid.uid, ssid.is_demo, ssid.platform, ssid.is_fast_history) == (
        "demo",
        12345678,
        True,
        2,
        True,
    )
    assert ssid.session == Secret(SESSION)
    assert not ssid.is_guest


def test_live() -> None:
    ssid = parse_ssid(LIVE)

    assert (ssid.kind, ssid.uid, ssid.is_demo, ssid.platform) == ("live", 12345678, False, 1)
    assert ssid.session.reveal() == LIVE_SESSION


def test_guest() -> None:
    ssid = parse_ssid(GUEST)

    assert (ssid.kind, ssid.uid, ssid.is_demo, ssid.is_guest) == ("guest", None, True, True)


def test_a_bare_session_id_with_a_uid() -> None:
    ssid = parse_ssid(SESSION, uid=5)

    assert (ssid.kind, ssid.uid, ssid.is_demo) == ("raw", 5, True)
    assert ssid.frame().reveal() == (
        f'42["auth",{{"session":"{SESSION}","isDemo":1,"uid":5,"platform":1,"isFastHistory":true}}]'
    )
    assert parse_ssid(ssid.frame()).kind == "demo"


def test_a_bare_live_session_with_a_uid() -> None:
    ssid = parse_ssid(LIVE_SESSION, uid=5, is_demo=False, platform=2)

    assert (ssid.kind, ssid.is_demo, ssid.platform) == ("raw", False, 2)
    assert parse_ssid(ssid.frame()).session.reveal() == LIVE_SESSION


@FEW
@given(demo_ssids() | live_ssids() | guest_ssids())
def test_a_frame_is_sent_byte_for_byte(text: str) -> None:
    ssid = parse_ssid(text)

    assert ssid.frame().reveal() == text
    assert f'42["auth",{ssid.auth_payload().reveal()}]' == text


@FEW
@given(demo_ssids() | live_ssids() | guest_ssids(), st.sampled_from(["", " ", "\n", "\r\n\t", "\ufeff"]))
def test_other_forms_of_the_same(text: str, space: str) -> None:
    ssid = parse_ssid(text)
    payload = text[len('42["auth",') : -1]

    assert parse_ssid(space + text + space) == ssid
    assert parse_ssid(payload) == ssid
    assert parse_ssid(f"42['auth',{payload}]") == ssid
    assert parse_ssid(f"42[auth,{payload}]") == ssid
    assert parse_ssid(Secret(text)) == ssid


def test_spacing_and_unknown_fields_are_kept() -> None:
    text = f'42["auth", {{ "session" : "{SESSION}", "isDemo":1, "uid": "77" ,"new":{{"a":[1]}}, "n":1.50 }} ]'

    ssid = parse_ssid(text)

    assert ssid.frame().reveal() == text
    assert ssid.uid == 77


def test_the_other_spelling_of_session() -> None:
    ssid = parse_ssid(DEMO.replace('"session"', '"sessionToken"'))

    assert ssid.session == Secret(SESSION)
    assert '"sessionToken"' in ssid.auth_payload().reveal()


@FEW
@given(live_sessions())
def test_any_live_session_survives_its_escapes(session: str) -> None:
    text = '42["auth",' + msgspec.json.encode({"session": session, "isDemo": 0, "uid": 1}).decode() + "]"

    assert parse_ssid(text).session.reveal() == session


def test_a_live_session_may_open_the_demo_account() -> None:
    ssid = parse_ssid(LIVE.replace('"isDemo":0', '"isDemo":1'))

    assert (ssid.kind, ssid.is_demo) == ("demo", True)


# --- faults ----------------------------------------------------------------------------------------------------------

QUOTED = '"' + DEMO.replace('"', '\\"') + '"'
FAULTS: list[tuple[Any, str]] = [
    ("", "is empty"),
    (" \n ", "is empty"),
    (None, "must be a text"),
    ("x" * 70_000, "is longer than 64 KiB: more than an SSID was pasted"),
    ("hello world", 'is neither a frame 42["auth",{...}] nor its JSON object nor a session id'),
    (SESSION, "is a bare session id: the uid is missing; give it too, or copy the whole auth frame"),
    (LIVE_SESSION, "is a bare session id: the uid is missing; give it too, or copy the whole auth frame"),
    (DEMO.replace('"uid":12345678,', ""), "the field uid is missing"),
    (DEMO.replace("12345678", '"12x"'), "the field uid is not a number"),
    (DEMO.replace("12345678", "true"), "the field uid is not a number"),
    (DEMO.replace("12345678", "1.5"), "the field uid is not a number"),
    (DEMO.replace("12345678", "null"), "the field uid is missing"),
    (DEMO.replace("12345678", "0"), "the field uid is out of bounds"),
    (DEMO.replace("12345678", "-5"), "the field uid is out of bounds"),
    (DEMO.replace("12345678", "1" + "0" * 30), "the field uid is out of bounds"),
    (DEMO.replace('"isDemo":1,', ""), "the field isDemo is missing: 1 is the demo account, 0 the live one"),
    (DEMO.replace('"isDemo":1', '"isDemo":"1"'), "the field isDemo is neither 0 nor 1"),
    (DEMO.replace('"isDemo":1', '"isDemo":2'), "the field isDemo is neither 0 nor 1"),
    (DEMO.replace('"isDemo":1', '"isDemo":1.0'), "the field isDemo is neither 0 nor 1"),
    (DEMO.replace('"isDemo":1', '"isDemo":[1]'), "the field isDemo is neither 0 nor 1"),
    (DEMO.replace('"session"', '"sid"'), "the field session is missing"),
    (DEMO.replace(f'"{SESSION}"', "5"), "the field session is not a text"),
    (DEMO.replace(SESSION, "k3v9e"), "the session has 5 characters: it was cut off"),
    (DEMO.replace(SESSION, "k3v9\\u0000xxxxxxxxxxx"), "the session holds control characters"),
    (DEMO.replace('"isDemo":1', '"isDemo":0'),
     "isDemo is 0, but the session is a demo one: a live session starts with a: and ends in 32 hex digits"),
    (LIVE.replace('\\"', '\\\\\\"'), "the session is escaped twice: copy the frame itself, not a quoted copy of it"),
    (LIVE.replace('\\"', '"'),
     "has lost the backslashes before the quotes inside the session: a shell or an editor took them"),
    (LIVE.replace("s:11:", "s:12:"), "the live session is damaged: a string is not as long as it says at byte 115"),
    (LIVE.replace("Mozilla", "M"), "the live session is damaged: a string is not as long as it says at byte 115"),
    (LIVE.replace("31666d2d31666d2d31666d2d31666d2d", ""),
     "the live session has 0 hex digits at its end instead of 32"),
    (LIVE.replace("2d31666d2d\"", '2d31"'), "the live session has 26 hex digits at its end instead of 32"),
    (DEMO[:-1], "ends before its closing bracket: the paste was cut off"),
    (DEMO[:-2] + "]", "ends in the middle of the auth object: the paste was cut off"),
    (DEMO[:40], "ends before its closing bracket: the paste was cut off"),
    (DEMO[10:-2], "ends in the middle of the auth object: the paste was cut off"),
    (DEMO + ",", "goes on after its closing bracket: copy the frame alone"),
    (f"'{DEMO}'", "is wrapped in quotes: take them off"),
    (f"`{DEMO}`", "is wrapped in quotes: take them off"),
    (f'"{DEMO}"', "is wrapped in quotes: take them off"),
    (f"{DEMO}'", "is wrapped in quotes: take them off"),
    (QUOTED, "is a quoted copy with every quote escaped: copy the frame itself"),
    (QUOTED[1:-1], "is escaped: take the backslashes before the outer quotes away, or copy the frame itself"),
    (QUOTED[13:-2], "is escaped: take the backslashes before the outer quotes away, or copy the frame itself"),
    (DEMO.replace('"', "“"), "has typographic quotes: an editor changed the plain ones"),
    (DEMO.replace('"session"', "“session”"), "has typographic quotes: an editor changed the plain ones"),
    (DEMO.replace('"', "'"), "has single quotes where JSON has double ones"),
    (DEMO.replace('"uid"', "uid"), "has field names without quotes"),
    (DEMO.replace("true", "True"), "has True, False or None where JSON has true, false or null"),
    (DEMO.replace("}]", ",}]"), "has a comma after the last field"),
    (DEMO.replace("example", "exam\nple"), "has a line break inside a text: the paste was wrapped"),
    (DEMO.replace(":1,", ":1;"), "the auth object is not JSON: bad at byte 50"),
    (f"SSID={DEMO}", "starts with the name of a variable: give only what stands after the equals sign"),
    (f"export PO_SSID={DEMO}", "starts with the name of a variable: give only what stands after the equals sign"),
    ('42["ps"]', "is a frame, but not an auth frame"),
    ('451-["successauth",{"_placeholder":true,"num":0}]', 'is another frame: the auth frame starts with 42["auth",'),
    ('["auth",{}]', 'is another frame: the auth frame starts with 42["auth",'),
    ('42["auth",5]', "the auth argument is not a JSON object"),
    ('42["auth",[' + "[" * 100 + "]", "holds too many brackets"),
    ('42["auth",{}]', "the field session is missing"),
    (GUEST.replace("EXAMPLEtok", "short"), "the field token is not a guest's token: 10 letters, digits, - or _"),
    (GUEST.replace('"EXAMPLEtok"', "5"), "the field token is not a guest's token: 10 letters, digits, - or _"),
    (DEMO.replace("example", "\udcff"), "holds characters that are no Unicode text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fault"), FAULTS, ids=[fault[:40] for _, fault in FAULTS])
def test_the_fault_is_named(text: Any, fault: str) -> None:
    assert explain(text) == fault
    with pytest.raises(SsidError) as caught:
        parse_ssid(text)
    assert caught.value.reason == fault
    assert str(caught.value) == f"ssid: {fault}"
    assert isinstance(caught.value, ConfigError)
    assert "\n" not in fault


@pytest.mark.parametrize("uid", [0, -5, True, 10**18, "5"])
def test_a_uid_given_must_be_one(uid: Any) -> None:
    assert explain(SESSION, uid=uid) == "the uid given is not a positive number"


def test_a_bare_demo_session_does_not_open_a_live_account() -> None:
    with pytest.raises(SsidError, match="isDemo is 0"):
        parse_ssid(SESSION, uid=5, is_demo=False)


@FEW
@given(st.one_of(demo_ssids(), live_ssids(), guest_ssids()), st.data())
def test_every_truncation_is_found(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(text) - 1))

    with pytest.raises(SsidError):
        parse_ssid(text[:cut])


@FEW
@given(
    st.text(max_size=80) | st.one_of(demo_ssids(), live_ssids()).map(lambda text: text.replace('"', "", 1))
)
def test_anything_ends_in_an_ssid_or_in_one_line(text: str) -> None:
    line = explain(text)

    assert line
    assert line.isprintable()
    try:
        assert isinstance(parse_ssid(text), Ssid)
    except SsidError as error:
        assert error.reason == line  # noqa: PT017  # either outcome is fine; the words must be the same


# --- explain ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (DEMO, "demo account of user 12345678, platform 2"),
        (
            LIVE,
            "live account of user 12345678, platform 1, bound to the address 127.0.0.1, and the browser Mozilla/5.0",
        ),
        (GUEST, "guest on a demo account"),
    ],
)
def test_explain(text: str, line: str) -> None:
    assert explain(text) == line


def test_explain_a_bare_session() -> None:
    assert explain(SESSION, uid=5) == "bare session of a demo account of user 5, platform 1"
    assert explain(LIVE_SESSION, uid=5, is_demo=False).startswith(
        "bare session of a live account of user 5, platform 1"
    )


# --- secrecy ---------------------------------------------------------------------------------------------------------

MARK = "canary7f3a"


def marked(text: str) -> str:
    return text.replace("example", MARK)


@pytest.mark.parametrize(
    "fault", [lambda it: it, lambda it: it[:-1], lambda it: it.replace("12345678", '"x"')]
)
def test_nothing_printed_holds_the_token(fault: Any) -> None:
    text = fault(marked(DEMO))

    assert MARK not in explain(text)
    assert MARK not in explain(marked(SESSION))


def test_an_ssid_prints_as_what_may_be_known() -> None:
    ssid = parse_ssid(marked(DEMO))

    assert repr(ssid) == str(ssid) == f"{ssid}" == "<Ssid demo uid=12345678 is_demo=True>"


def test_an_ssid_cannot_be_pickled_or_encoded() -> None:
    ssid = parse_ssid(DEMO)

    for leave in (pickle.dumps, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        with pytest.raises(TypeError):
            leave(ssid)
    assert copy.copy(ssid) == ssid


@pytest.mark.parametrize(
    "text",
    [marked(text) for text, _ in FAULTS if isinstance(text, str) and "example" in text],
    ids=lambda _: "",
)
@pytest.mark.parametrize("wrap", [str, Secret])
def test_a_traceback_with_local_values_does_not_show_it(text: str, wrap: Any) -> None:
    with pytest.raises(SsidError) as caught:
        parse_ssid(wrap(text))

    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in shown.stack if frame.filename.endswith(("ssid.py", "ssid_faults.py", "php.py"))
            and "tests" not in frame.filename]  # fmt: skip
    assert len(ours) == 1
    assert MARK not in "".join(traceback.StackSummary.from_list(ours).format())
    assert caught.value.__context__ is None
    assert MARK not in repr(caught.value)
