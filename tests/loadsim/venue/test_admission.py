"""Admission: strangers are counted by address and until they have logged in; this machine is spared."""

from __future__ import annotations

import pytest

from loadsim.venue.admission import Admission, is_loopback
from loadsim.venue.config import VenueConfig
from potrio.limits import VENUE_PER_HOST_MAX, VENUE_UNAUTHENTICATED_MAX


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (None, True),
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
def test_is_loopback(peer: str | None, expected: bool) -> None:
    assert is_loopback(peer) is expected


def test_strangers_are_limited_by_address() -> None:
    admission = Admission(per_host_max=3, unauthenticated_max=100)
    guests = [admission.admit("10.0.0.1") for _ in range(3)]
    assert admission.admit("10.0.0.1") is None
    other = admission.admit("10.0.0.2")
    assert all(admission.admit("127.0.0.1") for _ in range(10))
    assert guests[0] is not None
    guests[0].leave()
    guests[0].leave()
    again = admission.admit("10.0.0.1")
    assert admission.admit("10.0.0.1") is None
    for guest in (*guests, again, other):
        assert guest is not None
        guest.leave()
    assert admission.per_host == {}
    assert admission.unauthenticated == 0


def test_strangers_are_limited_until_they_have_logged_in() -> None:
    admission = Admission(per_host_max=100, unauthenticated_max=2)
    first, second = admission.admit("10.0.0.1"), admission.admit("10.0.0.2")
    assert first is not None
    assert second is not None
    assert admission.admit("10.0.0.3") is None
    first.authenticated()
    first.authenticated()
    third = admission.admit("10.0.0.3")
    assert third is not None
    assert admission.admit("10.0.0.4") is None
    first.leave()
    assert admission.admit("10.0.0.4") is None, "it was not among the unknown any more"
    second.leave()
    assert admission.admit("10.0.0.4") is not None


def test_this_machine_is_spared_unless_it_is_to_be_tested() -> None:
    for peer in (None, "127.0.0.1", "::1"):
        spared = Admission(per_host_max=1, unauthenticated_max=1)
        assert all(spared.admit(peer) for _ in range(5))
        counted = Admission(per_host_max=1, unauthenticated_max=1, limits_loopback=True)
        assert [counted.admit(peer) is None for _ in range(2)] == [False, True]


def test_the_usual_limits() -> None:
    config = VenueConfig()
    assert (config.connections_per_host_max, VENUE_PER_HOST_MAX) == (50, 50)
    assert (config.unauthenticated_max, VENUE_UNAUTHENTICATED_MAX) == (100, 100)
    assert config.limits_loopback is False
    assert config.outbound_bytes_max == 1 << 20
