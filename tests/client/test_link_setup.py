"""From `Config` to the link's settings: URLs, certificates, proxy, the source of fresh SSIDs."""

from __future__ import annotations

import ssl

import pytest
import trustme

from potrio import Config, ConfigError
from potrio.client.link_setup import link_settings, tls_context
from potrio.client.settings import load_config
from potrio.limits import CONNECT_DEADLINE
from potrio.seam import Seam

from .conftest import SSID

URLS = ("ws://127.0.0.1:1/", "ws://127.0.0.1:2/", "ws://127.0.0.1:1/")


class OneFile(Seam):
    def __init__(self, content: bytes | OSError) -> None:
        self.content = content

    def read_file(self, path):
        if isinstance(self.content, OSError):
            raise self.content
        return self.content


def settings(**options):
    config = Config(ssid=SSID, **options).checked()
    return link_settings(config, config.parsed_ssid())


def test_defaults():
    made = settings()
    assert (made.proxy, made.ssl_context, made.fresh, made.max_retries) == (None, None, None, None)
    assert made.connect_deadline == CONNECT_DEADLINE
    assert [region.name for region in made.candidates] == ["DEMO"]


def test_the_pauses_between_attempts_are_the_users_to_choose(monkeypatch):
    pauses = settings(reconnect_pause_s=2.0, reconnect_pause_max_s=7.0).reconnect

    assert [pauses.ceiling(attempt) for attempt in (1, 2, 3, 9)] == [2.0, 4.0, 7.0, 7.0]
    assert settings(reconnect_pause_max_s=0.2).reconnect.ceiling(1) == 0.2
    monkeypatch.setenv("POCKETOPTION_RECONNECT_PAUSE_S", "1.5")
    assert load_config(ssid=SSID).reconnect_pause_s == 1.5


def test_several_urls_each_once_in_their_order():
    assert [region.url for region in settings(urls=URLS).candidates] == list(URLS[:2])


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"urls": URLS, "url": URLS[0]}, "urls"),
        ({"urls": URLS, "region": "eu"}, "region"),
        ({"urls": ("http://127.0.0.1/",)}, "urls"),
        ({"urls": ("ws://venue.test/",)}, "urls"),
        ({"urls": "ws://127.0.0.1:1/"}, "urls"),
        ({"proxy": "ftp://proxy.test:1"}, "proxy"),
        ({"proxy": 5}, "proxy"),
        ({"reconnect_pause_max_s": 0.0}, "reconnect_pause_max_s"),
        ({"reconnect_pause_s": 0.05}, "reconnect_pause_s"),
        ({"reconnect_pause_s": float("inf")}, "reconnect_pause_s"),
        ({"reconnect_pause_max_s": 3601.0}, "reconnect_pause_max_s"),
        ({"reconnect_pause_max_s": float("nan")}, "reconnect_pause_max_s"),
        ({"connect_deadline_s": 0}, "connect_deadline_s"),
        ({"connect_deadline_s": float("nan")}, "connect_deadline_s"),
        ({"stale_after_s": -1.0}, "stale_after_s"),
        ({"stale_after_s": float("nan")}, "stale_after_s"),
        ({"fresh_ssid": "a text"}, "fresh_ssid"),
        ({"fresh_ssid_max": -1}, "fresh_ssid_max"),
        ({"fresh_ssid_max": True}, "fresh_ssid_max"),
        ({"ca_file": "ca.pem", "ssl_context": ssl.create_default_context()}, "ca_file"),
    ],
)
def test_what_cannot_be_used_names_its_field(options, path):
    with pytest.raises(ConfigError) as caught:
        settings(**options)
    assert caught.value.path == path


def unverifying() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    "options", [{}, {"region": "eu"}, {"url": "wss://venue.test/"}, {"urls": ("wss://a.test/",)}]
)
@pytest.mark.parametrize("allow", [False, True])
def test_certificates_that_are_not_verified_lead_nowhere_but_here(options, allow):
    with pytest.raises(ConfigError, match="trust its certificate with ca_file") as caught:
        settings(ssl_context=unverifying(), allow_insecure=allow, **options)
    assert caught.value.path == "ssl_context"


def test_on_this_machine_they_need_not_be_if_one_says_so():
    url, context = "wss://127.0.0.1:1/", unverifying()
    with pytest.raises(ConfigError, match="set allow_insecure=True"):
        settings(url=url, ssl_context=context)

    assert settings(url=url, ssl_context=context, allow_insecure=True).ssl_context is context


def test_certificates_of_ones_own_are_allowed_anywhere():
    context = ssl.create_default_context()

    assert settings(url="wss://venue.test/", ssl_context=context).ssl_context is context


def test_a_proxy_and_a_fresh_ssid():
    async def fresh(error):
        return SSID

    made = settings(proxy="http://me:s3cret@127.0.0.1:8080", fresh_ssid=fresh, max_retries=3)
    assert str(made.proxy) == "http://127.0.0.1:8080"
    assert made.fresh is not None
    assert made.ssid_now is made.ssid
    assert made.max_retries == 3
    config = Config(ssid=SSID, proxy="http://me:s3cret@127.0.0.1:8080")
    assert "s3cret" not in repr(config)


def test_a_ca_file_replaces_the_systems_certificates():
    pem = trustme.CA().cert_pem.bytes()
    context = tls_context(Config(ssid=SSID, ca_file="ca.pem", seam=OneFile(pem)))
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no certificate at all", "no certificate"),
        (b"", "no certificate"),
        (b"\xff\xfe" * 9, "no certificate"),
        (FileNotFoundError(2, "No such file or directory"), "No such file"),
    ],
)
def test_a_ca_file_that_is_none(content, words):
    with pytest.raises(ConfigError, match=words) as caught:
        tls_context(Config(ssid=SSID, ca_file="ca.pem", seam=OneFile(content)))
    assert caught.value.path == "ca_file"
