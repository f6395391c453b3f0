"""Before a run: descriptors, ports, what a lane cannot do, a login."""

from __future__ import annotations

import resource

import msgspec
import pytest

from loadsim.plan.parse import parse_plan
from loadsim.swarm.preflight import TargetUnusable, check_acts, check_descriptors, check_login, raise_nofile
from loadsim.venue.faults import Fault, FaultKind
from potrio.errors import ConfigError


def test_the_limit_of_descriptors_goes_as_high_as_it_may() -> None:
    assert raise_nofile() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_too_few_descriptors_or_ports() -> None:
    check_descriptors(1000, 2, 1200)
    with pytest.raises(ConfigError, match="in a process"):
        check_descriptors(1001, 1, 1200)
    with pytest.raises(ConfigError, match="the venue needs"):
        check_descriptors(1001, 2, 1200)
    with pytest.raises(ConfigError, match="ports"):
        check_descriptors(900_000, 1, 10**6)


def test_a_real_client_does_not_ping_by_a_plan() -> None:
    plan = parse_plan(
        '[run]\nduration = "9s"\n[[load]]\nclient = "a"\nlane = "full"\nmodel = "closed"\n'
        'users = [{at = "0s", n = 1}]\n[[act]]\nclient = "a"\ndo = "ping"\n'
    )
    with pytest.raises(ConfigError, match=r"act\[0\]"):
        check_acts(plan)
    light = msgspec.structs.replace(plan.loads[0], lane="light")
    check_acts(msgspec.structs.replace(plan, loads=(light,)))


async def test_a_login_works_or_says_why_not(autojump_clock, venue, network) -> None:
    await check_login(venue.url, 7, seam=network)
    assert venue.stats()["connections"]["authenticated"] == 1
    venue.exchange.plan.add((Fault(kind=FaultKind.REJECT_AUTH),))
    with pytest.raises(TargetUnusable, match="not usable"):
        await check_login(venue.url, 7, seam=network)


async def test_a_venue_that_says_nothing_is_not_waited_for_long(autojump_clock, venue, network) -> None:
    venue.exchange.plan.add((Fault(kind=FaultKind.LOSE_REQUEST, event="auth"),))
    with pytest.raises(TargetUnusable, match="login"):
        await check_login(venue.url, 7, seam=network)


async def test_certificates_that_are_not_there(autojump_clock, venue, network) -> None:
    with pytest.raises(TargetUnusable):
        await check_login(venue.url, 7, "none.pem", seam=network)
