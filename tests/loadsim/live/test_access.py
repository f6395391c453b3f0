"""Strangers see nothing and end nothing; who has the address or the token does."""

from __future__ import annotations

import pytest

from loadsim.live.access import Access, parse_address
from potrio.errors import ConfigError
from potrio.secrets import Secret

OPEN = Access("127.0.0.1")
GUARDED = Access("0.0.0.0", Secret("s3cret-token"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8089", ("127.0.0.1", 8089)),
        ("", ("127.0.0.1", 0)),
        (":8089", ("127.0.0.1", 8089)),
        ("localhost", ("localhost", 0)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:8089", ("::1", 8089)),
        ("[::1]", ("::1", 0)),
        ("::1", ("::1", 0)),
    ],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert parse_address(text) == found


@pytest.mark.parametrize(
    "text", ["a:b", "127.0.0.1:99999", "http://x:1", "user@host:1", "x:-1", "x:²", "a b:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="dashboard"):
        parse_address(text)


def test_an_address_that_others_can_reach_needs_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(ConfigError, match="token"):
            Access(host)
    assert Access("::1").base == "/"
    assert GUARDED.base == "/s3cret-token/"


def test_the_token_is_part_of_every_path() -> None:
    assert OPEN.place("/events") == "events"
    assert GUARDED.place("/s3cret-token/events") == "events"
    assert GUARDED.place("/s3cret-token/") == ""
    for path in (
        "/",
        "/events",
        "/s3cret-toke/events",
        "/s3cret-token",
        "/S3CRET-TOKEN/",
        "//s3cret-token/",
        "/é/x",
    ):
        assert GUARDED.place(path) is None, path


def test_it_is_not_shown_by_accident() -> None:
    assert "s3cret" not in repr(GUARDED)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8089", "127.0.0.1", "localhost:9", "LOCALHOST", "[::1]:80", "127.9.9.9"]
)
def test_hosts_that_lead_here(host: str) -> None:
    assert OPEN.knows_host(host)


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example:8089", "localhost.evil.example", "192.0.2.1:80", "127.0.0.1.evil.example"],
)
def test_hosts_that_do_not(host: str | None) -> None:
    assert not OPEN.knows_host(host)


def test_with_a_token_any_address_leads_here_but_no_strange_name() -> None:
    assert GUARDED.knows_host("192.0.2.1:80")
    assert not GUARDED.knows_host("evil.example:80")
    assert Access("box.example", Secret("t")).knows_host("box.example:80")


def test_who_may_end_a_run() -> None:
    assert OPEN.may_stop("http://127.0.0.1:8089", "127.0.0.1:8089")
    for origin in (None, "null", "http://evil.example", "http://127.0.0.1:1", "file://127.0.0.1:8089", ""):
        assert not OPEN.may_stop(origin, "127.0.0.1:8089"), origin
    assert GUARDED.may_stop(None, "192.0.2.1:80")
    assert not GUARDED.may_stop("http://evil.example", "192.0.2.1:80")
