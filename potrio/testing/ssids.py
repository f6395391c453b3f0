"""Hypothesis strategies for SSIDs of every kind, none of them real, and the PHP serialisation that live ones need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import strategies as st

from potrio.protocol.php import PhpValue
from potrio.testing.strategies import json_values, printable_text

__all__ = ["demo_ssids", "guest_ssids", "live_sessions", "live_ssids", "php_values", "write_php"]

ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"


def write_php(value: PhpValue) -> str:
    """Serialise a value as PHP does."""
    match value:
        case None:
            return "N;"
        case bool():
            return f"b:{int(value)};"
        case int():
            return f"i:{value};"
        case float():
            return f"d:{value!r};"
        case str():
            return f's:{len(value.encode())}:"{value}";'
        case dict():
            items = "".join(write_php(key) + write_php(item) for key, item in value.items())
            return f"a:{len(value)}:{{{items}}}"


def php_values() -> st.SearchStrategy[PhpValue]:
    """Any value PHP serialises, objects apart, not deep."""
    text = st.text(st.characters(codec="utf-8"), max_size=12)
    whole = st.integers(-(10**18), 10**18)
    leaves = st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | text
    return st.recursive(leaves, lambda inner: st.dictionaries(whole | text, inner, max_size=4), max_leaves=8)


def sessions() -> st.SearchStrategy[str]:
    """Session ids of demo accounts."""
    return st.text(ALPHANUMERIC, min_size=20, max_size=32)


def live_sessions() -> st.SearchStrategy[str]:
    """Sessions of live accounts: a serialised array and 32 hex digits."""
    array = st.fixed_dictionaries(
        {
            "session_id": st.text("0123456789abcdef", min_size=32, max_size=32),
            "ip_address": st.ip_addresses(v=4).map(str),
            "user_agent": printable_text(),
            "last_activity": st.integers(0, 2**31),
        }
    )
    return st.builds(
        lambda fields, tail: write_php(fields) + tail,
        array,
        st.text("0123456789abcdef", min_size=32, max_size=32),
    )


def demo_ssids() -> st.SearchStrategy[str]:
    """Frames that log in to a demo account."""
    return st.builds(_frame, sessions(), st.just(1), _uids(), _extras())


def live_ssids() -> st.SearchStrategy[str]:
    """Frames that log in to a live account."""
    return st.builds(_frame, live_sessions(), st.just(0), _uids(), _extras())


def guest_ssids() -> st.SearchStrategy[str]:
    """Frames that log in as a guest."""
    token = st.text(f"{ALPHANUMERIC}_-ABC", min_size=10, max_size=10)
    fields = st.fixed_dictionaries({"token": token, "balance": st.integers(1, 10**6)})
    return fields.map(lambda it: f'42["auth",{_json(it)}]')


def _uids() -> st.SearchStrategy[int | str]:
    number = st.integers(1, 10**9)
    return number | number.map(str)


def _extras() -> st.SearchStrategy[dict[str, Any]]:
    """Fields nobody asked for, and the known ones that may be there."""
    known = st.fixed_dictionaries(
        {},
        optional={
            "platform": st.integers(1, 3),
            "isFastHistory": st.booleans(),
            "isOptimized": st.booleans(),
        },
    )
    others = st.dictionaries(printable_text().map(lambda name: f"x{name}"), json_values(), max_size=2)
    return st.builds(lambda first, second: {**second, **first}, known, others)


def _frame(session: str, is_demo: int, uid: int | str, extras: Mapping[str, Any]) -> str:
    return f'42["auth",{_json({"session": session, "isDemo": is_demo, "uid": uid, **extras})}]'


def _json(fields: Mapping[str, Any]) -> str:
    return msgspec.json.encode(fields).decode()
