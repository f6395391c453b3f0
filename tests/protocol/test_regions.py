"""Regions: the table, names in any spelling, and no session sent where it cannot be valid."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from potrio.errors import ConfigError
from potrio.protocol.regions import ALIASES, REGIONS, Region, candidates

NAMES = [region.name for region in REGIONS]


def test_the_table() -> None:
    assert len(REGIONS) == 19
    assert len(set(NAMES)) == len({region.url for region in REGIONS}) == 19
    for region in REGIONS:
        parts = urlsplit(region.url)
        assert (parts.scheme, parts.path, parts.query) == ("wss", "/socket.io/", "EIO=4&transport=websocket")
        assert (parts.hostname or "").endswith(".po.market")
        assert region.is_demo == region.name.startswith("DEMO") == ("demo" in (parts.hostname or ""))


def test_some_rows_of_it() -> None:
    hosts = {region.name: urlsplit(region.url).hostname for region in REGIONS}

    assert hosts["EUROPA"] == "api-eu.po.market"
    assert hosts["UNITED_STATES"] == "api-us-north.po.market"
    assert hosts["SERVER1"] == "api-spb.po.market"
    assert hosts["DEMO"] == "demo-api-eu.po.market"
    assert hosts["DEMO_2"] == "try-demo-eu.po.market"


def test_each_kind_of_account_has_its_own() -> None:
    live = candidates(False)

    assert [region.name for region in live] == NAMES[:17]
    assert not any(region.is_demo for region in live)
    assert [region.name for region in candidates(True)] == ["DEMO"]
    assert [region.name for region in candidates(True, is_guest=True)] == ["DEMO_2"]


@pytest.mark.parametrize("name", ["ASIA", "asia", " Asia ", "aSiA"])
def test_the_preferred_one_comes_first_and_the_others_stay(name: str) -> None:
    regions = candidates(False, name)

    assert regions[0].name == "ASIA"
    assert sorted(region.name for region in regions) == sorted(NAMES[:17])


@pytest.mark.parametrize(
    ("alias", "is_demo", "name"),
    [
        ("eu", False, "EUROPA"),
        ("eu", True, "DEMO"),
        ("Europe", False, "EUROPA"),
        ("us", False, "UNITED_STATES"),
        ("united-states", False, "UNITED_STATES"),
        ("United States", False, "UNITED_STATES"),
        ("hk", False, "HONGKONG"),
        ("demo", True, "DEMO"),
        ("demo_2", True, "DEMO_2"),
        ("try-demo", True, "DEMO_2"),
    ],
)
def test_aliases(alias: str, is_demo: bool, name: str) -> None:
    assert candidates(is_demo, alias)[0].name == name


def test_aliases_name_regions_and_are_none() -> None:
    for alias, names in ALIASES.items():
        assert set(names) <= set(NAMES)
        assert alias not in NAMES


@pytest.mark.parametrize("name", ["", "mars", "EUROPA2", "api-eu.po.market"])
def test_an_unknown_name_is_refused_and_the_known_are_listed(name: str) -> None:
    with pytest.raises(ConfigError, match="there is none of that name") as caught:
        candidates(False, name)

    assert caught.value.path == "region"
    for known in NAMES:
        assert known in str(caught.value)


@pytest.mark.parametrize(("name", "is_demo"), [("asia", True), ("DEMO", False), ("us", True)])
def test_a_region_of_the_other_kind_is_refused(name: str, is_demo: bool) -> None:
    with pytest.raises(ConfigError, match=r"serves (live|demo) accounts, and this account is (live|demo)"):
        candidates(is_demo, name)


@pytest.mark.parametrize("is_demo", [True, False])
@pytest.mark.parametrize("url", ["ws://127.0.0.1:8080/socket.io/?EIO=4&transport=websocket", "wss://[::1]/x"])
def test_a_url_is_the_only_candidate(url: str, is_demo: bool) -> None:
    assert candidates(is_demo, url) == [Region("url", url, is_demo)]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "ws://", "wss:///path", "ws://h:port/", "ws://h:99999/", "ws://h:0/", "ws://[::1/"],
)
def test_a_bad_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="URL"):
        candidates(True, url)
