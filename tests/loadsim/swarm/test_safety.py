"""Who may be put under load (P14)."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadsim.plan.parse import parse_plan
from loadsim.swarm.safety import check_size, check_target, is_public, read_allow_list
from potrio.errors import ConfigError
from potrio.protocol.regions import REGIONS


@pytest.mark.parametrize("url", ["ws://127.0.0.1:80/", "ws://localhost:1/", "wss://[::1]:1/"])
def test_this_machine_may_be_put_under_load(url: str) -> None:
    assert check_target(url)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_public_hosts_are_refused_even_when_they_are_allowed(region) -> None:
    host = region.url.split("/")[2]
    with pytest.raises(ConfigError, match="public service"):
        check_target(region.url, allowed={host})


@pytest.mark.parametrize("host", ["x.po.market", "API-EU.PO.MARKET", "pocketoption.com", "api-eu.po.market."])
def test_other_names_of_the_public_service_are_refused(host: str) -> None:
    assert is_public(host)
    with pytest.raises(ConfigError):
        check_target(f"wss://{host}/", allowed={host, host.lower()})


def test_a_host_that_only_looks_like_it_is_not_public() -> None:
    assert not is_public("notpo.market.example")
    assert not is_public("xpo.market")


def test_other_hosts_only_from_the_list(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# of our laboratory\nlab.example  # the first\n\n10.0.0.7\n")
    allowed = read_allow_list(path)

    assert check_target("wss://lab.example:80/", allowed).host == "lab.example"
    assert check_target("wss://10.0.0.7:80/", allowed)
    with pytest.raises(ConfigError, match="use wss://"):
        check_target("ws://lab.example:80/", allowed)
    with pytest.raises(ConfigError, match="--allow-hosts"):
        check_target("wss://other.example/", allowed)


def test_a_list_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_allow_list(path)
    for text in ("http://x/\n", "api-eu.po.market\n", "a b\n"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            read_allow_list(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_allow_list(path)
    path.write_text("\n".join(f"h{n}.example" for n in range(1001)))
    with pytest.raises(ConfigError, match="1000"):
        read_allow_list(path)


def plan(users: int, limit: int):
    return parse_plan(
        f'[run]\nduration = "10s"\n[[load]]\nclient = "a"\nmodel = "closed"\n'
        f'users = [{{at = "0s", n = {users}}}]\n[limits]\nclients_max = {limit}\n'
    )


def test_loads_are_bounded_in_count() -> None:
    assert check_size(plan(10, 10)) == 10
    with pytest.raises(ConfigError, match="more than 9 clients"):
        check_size(plan(10, 9))
