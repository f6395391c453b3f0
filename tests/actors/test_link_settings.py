"""The settings of a link: what is shared over incarnations is shared, and the SSID in use is the fresh one."""

from __future__ import annotations

import msgspec
import pytest

from potrio.actors.fresh_ssid import FreshSsid
from potrio.actors.link_settings import LinkSettings
from potrio.protocol.ssid import parse_ssid
from potrio.seam import REAL
from potrio.secrets import Secret

OLD, NEW = (
    parse_ssid(
        Secret(f'42["auth",{{"session":"a{n}test0session0of0potrio0x","isDemo":1,"uid":4711,"platform":2}}]')
    )
    for n in range(2)
)


def test_the_ssid_in_use_is_the_fresh_one():
    assert LinkSettings(ssid=OLD, candidates=(), seam=REAL).ssid_now is OLD
    fresh = FreshSsid(OLD)
    settings = LinkSettings(ssid=OLD, candidates=(), seam=REAL, fresh=fresh)
    fresh.ssid = NEW
    assert settings.ssid_now is NEW


def test_each_client_has_records_of_its_own_and_keeps_them():
    one, two = (LinkSettings(ssid=OLD, candidates=(), seam=REAL) for _ in range(2))
    assert one.health is not two.health
    assert one.health is one.health
    with pytest.raises(AttributeError):
        one.ssid = NEW


def test_it_shows_no_token():
    assert "0session0of0" not in repr(LinkSettings(ssid=OLD, candidates=(), seam=REAL, fresh=FreshSsid(NEW)))
    assert "0session0of0" not in repr(
        msgspec.structs.asdict(LinkSettings(ssid=OLD, candidates=(), seam=REAL))
    )
