"""The strategies for SSIDs make what `parse_ssid` takes for the kind they say, and PHP as PHP writes it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from potrio.protocol.php import read_php
from potrio.protocol.ssid import parse_ssid
from potrio.testing.ssids import demo_ssids, guest_ssids, live_sessions, live_ssids, php_values, write_php

FEW = settings(max_examples=50, deadline=None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "N;"),
        (True, "b:1;"),
        (-5, "i:-5;"),
        (1.5, "d:1.5;"),
        ("é", 's:2:"é";'),
        ({"a": 1, 0: {}}, 'a:2:{s:1:"a";i:1;i:0;a:0:{}}'),
    ],
)
def test_php_as_php_writes_it(value: Any, text: str) -> None:
    assert write_php(value) == text


@FEW
@given(php_values())
def test_php_values_come_back(value: Any) -> None:
    assert read_php(write_php(value).encode()) == value


@FEW
@given(demo_ssids())
def test_demo(text: str) -> None:
    assert parse_ssid(text).kind == "demo"


@FEW
@given(live_ssids())
def test_live(text: str) -> None:
    assert parse_ssid(text).kind == "live"


@FEW
@given(guest_ssids())
def test_guest(text: str) -> None:
    assert parse_ssid(text).kind == "guest"


@FEW
@given(live_sessions())
def test_live_sessions_are_signed(session: str) -> None:
    assert set(session[-32:]) <= set("0123456789abcdef")
    assert "ip_address" in read_php(session[:-32].encode())  # type: ignore[operator]  # it is an array
