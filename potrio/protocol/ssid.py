"""The SSID: what a browser sends to log in, in every form users have it; a bad one is told what exactly is wrong.

Laws: the token stays inside a `Secret`; what the user gave is sent byte for byte; nothing is repaired but what
`parse_ssid` lists; no error text, repr or local variable of a raised error repeats any of it.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from potrio.errors import SsidError
from potrio.protocol.messages.base import shown_text
from potrio.protocol.php import PhpError, PhpValue, read_php
from potrio.protocol.ssid_faults import fault_of_json, fault_of_text
from potrio.secrets import Secret

__all__ = ["Ssid", "SsidKind", "explain", "parse_ssid"]

SsidKind: TypeAlias = Literal["demo", "live", "guest", "raw"]

TEXT_BYTES_MAX: Final = 64 * 1024
SESSION_CHARS_MIN: Final = 10
"""A demo session has 26 characters; a shorter one than this was cut."""

LIVE_TAIL_CHARS: Final = 32
"""An md5 follows the serialised part of a live session."""

PREFIX: Final = '42["auth",'
_PREFIX: Final = re.compile(r"""42\[(?:"auth"|'auth'|auth),""")
_HEX: Final = re.compile(r"[0-9a-fA-F]*")
_GUEST_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{10,64}")
_RAW_SESSION: Final = re.compile(r"[A-Za-z0-9,_-]+|a:[0-9]+:\{.*", re.DOTALL)
_DECODE: Final = msgspec.json.Decoder().decode


class Ssid(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed SSID. It prints as its kind, uid and account; the rest is secret.

    Attributes:
        kind: ``"raw"`` for one that was built from a bare session id.
        uid: None for a guest.
        is_demo: which account it opens; the venue's `Balance` has the last word.
        session: the session, or a guest's token.
        payload: the JSON text of the auth object as it came, unknown fields and spacing included.
    """

    kind: SsidKind
    uid: int | None
    is_demo: bool
    session: Secret
    payload: Secret
    platform: int | None = None
    is_fast_history: bool = False

    def auth_payload(self) -> Secret:
        """The JSON text to send after ``42["auth",``, byte for byte what the user gave."""
        return self.payload

    def frame(self) -> Secret:
        """The whole frame, ``42["auth",{...}]``."""
        return Secret(f"{PREFIX}{self.payload.reveal()}]")

    @property
    def is_guest(self) -> bool:
        """Whether it is an anonymous "try demo" login."""
        return self.kind == "guest"

    def __repr__(self) -> str:
        return f"<Ssid {self.kind} uid={self.uid} is_demo={self.is_demo}>"

    __str__ = __repr__


class _Read(NamedTuple):
    """What came of reading: an `Ssid`, or a fault in words; with the live session's own fields."""

    ssid: Ssid | None
    fault: str = ""
    php: dict[int | str, PhpValue] | None = None


def parse_ssid(
    text: str | Secret, *, uid: int | None = None, is_demo: bool = True, platform: int = 1
) -> Ssid:
    """Read an SSID.

    Understood are the whole frame ``42["auth",{...}]``, its JSON object alone, and, where ``uid`` is given, a bare
    session id. Normalised, and nothing else: white space around it; ``42['auth',`` and ``42[auth,`` for ``42["auth",``;
    ``sessionToken`` for ``session``; a uid in a string.

    Args:
        text: the SSID.
        uid: only for a bare session id: the user's number.
        is_demo: only for a bare session id. Compare `Ssid.is_demo` where a whole SSID may contradict you.
        platform: only for a bare session id: 1 is the web.

    Raises:
        SsidError: it is not one; the text says what is wrong and does not repeat it.
    """
    found = _read(text.reveal() if isinstance(text, Secret) else text, uid, is_demo, platform)
    del text  # a traceback that shows local values must not show it
    if found.ssid is None:
        raise SsidError(found.fault)
    return found.ssid


def explain(text: str | Secret, *, uid: int | None = None, is_demo: bool = True) -> str:
    """Say in one line what an SSID is, or what exactly is wrong with it; the token is not repeated."""
    found = _read(text.reveal() if isinstance(text, Secret) else text, uid, is_demo, 1)
    if found.ssid is None:
        return found.fault
    ssid = found.ssid
    account = {"demo": "demo account", "live": "live account", "guest": "guest on a demo account"}.get(
        ssid.kind, "bare session of a demo account" if ssid.is_demo else "bare session of a live account"
    )
    parts = [account if ssid.uid is None else f"{account} of user {ssid.uid}"]
    if ssid.platform is not None:
        parts.append(f"platform {ssid.platform}")
    for key, label in (("ip_address", "bound to the address"), ("user_agent", "and the browser")):
        if found.php and isinstance(value := found.php.get(key), str):
            parts.append(f"{label} {shown_text(value)[:120]}")
    return ", ".join(parts)


# --- reading; faults are values here, so that no traceback can hold what was read ------------------------------------


def _read(text: str, uid: int | None, is_demo: bool, platform: int) -> _Read:
    if not isinstance(text, str):
        return _Read(None, "must be a text")
    text = text.strip(" \t\r\n\ufeff")
    if not text:
        return _Read(None, "is empty")
    if len(text) > TEXT_BYTES_MAX:
        return _Read(None, f"is longer than {TEXT_BYTES_MAX // 1024} KiB: more than an SSID was pasted")
    fault = fault_of_text(text)
    if fault:
        return _Read(None, fault)
    if match := _PREFIX.match(text):
        if not text.endswith("]"):
            if "}]" in text:
                return _Read(None, "goes on after its closing bracket: copy the frame alone")
            return _Read(None, "ends before its closing bracket: the paste was cut off")
        return _read_object(text[match.end() : -1])
    if text.startswith("{"):
        return _read_object(text)
    if _RAW_SESSION.fullmatch(text):
        return _read_raw(text, uid, is_demo, platform)
    return _Read(None, 'is neither a frame 42["auth",{...}] nor its JSON object nor a session id')


def _read_object(payload: str) -> _Read:
    fields = _fields(payload)
    if isinstance(fields, str):
        return _Read(None, fields)
    if "session" not in fields and "sessionToken" not in fields:
        if "token" in fields:
            return _read_guest(fields, payload)
        return _Read(None, "the field session is missing")
    session = fields.get("session", fields.get("sessionToken"))
    if not isinstance(session, str):
        return _Read(None, "the field session is not a text")
    uid = _uid(fields)
    if isinstance(uid, str):
        return _Read(None, uid)
    demo = fields.get("isDemo")
    if demo is None:
        return _Read(None, "the field isDemo is missing: 1 is the demo account, 0 the live one")
    if demo not in (0, 1) or isinstance(demo, float):
        return _Read(None, "the field isDemo is neither 0 nor 1")
    fault, php = _check_session(session, is_demo=bool(demo))
    if fault:
        return _Read(None, fault)
    platform = fields.get("platform")
    return _Read(
        Ssid(
            kind="demo" if demo else "live",
            uid=uid,
            is_demo=bool(demo),
            session=Secret(session),
            payload=Secret(payload),
            platform=platform if isinstance(platform, int) else None,
            is_fast_history=fields.get("isFastHistory") is True,
        ),
        php=php,
    )


def _read_guest(fields: dict[str, Any], payload: str) -> _Read:
    token = fields["token"]
    if not isinstance(token, str) or not _GUEST_TOKEN.fullmatch(token):
        return _Read(None, "the field token is not a guest's token: 10 letters, digits, - or _")
    return _Read(
        Ssid(
            kind="guest",
            uid=None,
            is_demo=True,
            session=Secret(token),
            payload=Secret(payload),
            is_fast_history=fields.get("isFastHistory") is True,
        )
    )


def _read_raw(session: str, uid: int | None, is_demo: bool, platform: int) -> _Read:
    if uid is None:
        return _Read(
            None, "is a bare session id: the uid is missing; give it too, or copy the whole auth frame"
        )
    if isinstance(uid, bool) or not isinstance(uid, int) or not 0 < uid < 10**18:
        return _Read(None, "the uid given is not a positive number")
    fault, php = _check_session(session, is_demo=is_demo)
    if fault:
        return _Read(None, fault)
    fields = {
        "session": session,
        "isDemo": int(is_demo),
        "uid": uid,
        "platform": platform,
        "isFastHistory": True,
    }
    return _Read(
        Ssid(
            kind="raw",
            uid=uid,
            is_demo=is_demo,
            session=Secret(session),
            payload=Secret(msgspec.json.encode(fields).decode()),
            platform=platform,
            is_fast_history=True,
        ),
        php=php,
    )


# --- parts -----------------------------------------------------------------------------------------------------------


def _fields(payload: str) -> dict[str, Any] | str:
    try:
        fields = _DECODE(payload) if payload.count("[") + payload.count("{") <= 64 else None
    except (msgspec.MsgspecError, RecursionError) as error:
        fault = fault_of_json(payload, error)
    except UnicodeError:
        fault = "holds characters that are no Unicode text"
    else:
        if isinstance(fields, dict):
            return fields
        fault = "holds too many brackets" if fields is None else "the auth argument is not a JSON object"
    return fault


def _uid(fields: dict[str, Any]) -> int | str:
    """Give the uid, or the fault in words."""
    uid = fields.get("uid")
    if uid is None:
        return "the field uid is missing"
    if isinstance(uid, str) and uid.isascii() and uid.isdigit() and len(uid) < 19:
        uid = int(uid)
    if isinstance(uid, bool) or not isinstance(uid, int):
        return "the field uid is not a number"
    if not 0 < uid < 10**18:
        return "the field uid is out of bounds"
    return uid


def _check_session(session: str, *, is_demo: bool) -> tuple[str, dict[int | str, PhpValue] | None]:
    """Check a session; give the fault in words, empty where there is none, and what a live session holds."""
    if not session.isprintable():
        return "the session holds control characters", None
    if not session.startswith("a:"):
        if len(session) < SESSION_CHARS_MIN:
            return f"the session has {len(session)} characters: it was cut off", None
        if not is_demo:
            return (
                "isDemo is 0, but the session is a demo one: a live session starts with a: and ends in 32 hex digits",
                None,
            )
        return "", None
    body, brace, tail = session.rpartition("}")
    signed = brace and _HEX.fullmatch(tail)
    try:
        php = read_php((body + brace if signed else session).encode())
    except PhpError as error:
        if '\\"' in session:
            return "the session is escaped twice: copy the frame itself, not a quoted copy of it", None
        return f"the live session is damaged: {error}", None
    if not isinstance(php, dict):
        return "the live session is no array", None
    if len(tail) != LIVE_TAIL_CHARS and (tail or not is_demo):
        return f"the live session has {len(tail)} hex digits at its end instead of {LIVE_TAIL_CHARS}", None
    return "", php
