"""Which schedulers are spoken to: over TLS, or on this machine; and what is missing is said in one line."""

from __future__ import annotations

import builtins
import threading

import pytest

from loadsim.engines.base import EngineError
from loadsim.engines.dask_cluster import SETTINGS, Opening, Tls, attempt, check_address, open_cluster
from potrio.errors import ConfigError

FILES = Tls("ca.pem", "cert.pem", "key.pem")


@pytest.mark.parametrize(
    ("address", "tls", "insecure", "found"),
    [
        ("tls://sched.example:8786", FILES, False, "tls://sched.example:8786"),
        ("tcp://127.0.0.1:8786", None, False, "tcp://127.0.0.1:8786"),
        ("tcp://127.8.9.1:8786", None, False, "tcp://127.8.9.1:8786"),
        ("tcp://[::1]:8786", None, False, "tcp://[::1]:8786"),
        ("localhost:8786", None, False, "tcp://localhost:8786"),
        ("tcp://10.0.0.7:8786", None, True, "tcp://10.0.0.7:8786"),
    ],
)
def test_addresses_that_are_taken(address, tls, insecure, found):
    assert check_address(address, tls, insecure) == found


@pytest.mark.parametrize(
    ("address", "tls", "words"),
    [
        ("tcp://10.0.0.7:8786", None, "run code on the workers"),
        ("10.0.0.7:8786", None, "run code on the workers"),
        ("tcp://localhost.example:8786", None, "run code on the workers"),
        ("tcp://0.0.0.0:8786", None, "run code on the workers"),
        ("tls://10.0.0.7:8786", None, "needs certificates"),
        ("tcp://127.0.0.1:8786", FILES, "write tls://"),
        ("http://10.0.0.7:8786", FILES, "must be tls://"),
        ("tls://", FILES, "must be tls://"),
        ("", None, "must be tls://"),
    ],
)
def test_addresses_that_are_refused(address, tls, words):
    with pytest.raises(ConfigError, match=words):
        check_address(address, tls, False)


async def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    true_import = builtins.__import__

    def without(name, *rest):
        if name == "distributed":
            raise ImportError(name)
        return true_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EngineError, match=r"pip install 'potrio\[dask\]'"):
        async with open_cluster(None, 1, None, False):
            raise AssertionError("opened")


async def test_nobody_there_is_an_error(monkeypatch):
    monkeypatch.setattr("loadsim.engines.dask_cluster.CONNECT_TIMEOUT_S", 0.2)
    with pytest.raises(EngineError, match=r"no scheduler at tcp://127\.0\.0\.1:9"):
        async with open_cluster("tcp://127.0.0.1:9", 1, None, False):
            raise AssertionError("connected")


async def test_files_that_are_not_there_are_an_error():
    with pytest.raises(EngineError, match="no scheduler at"):
        async with open_cluster("tls://127.0.0.1:9", 1, FILES, False):
            raise AssertionError("connected")


async def test_an_attempt_returns_what_went_wrong_and_does_not_wait_for_ever():
    def fail() -> None:
        raise KeyError("theirs")

    assert await attempt(lambda: None, within_s=60) is None
    assert isinstance(await attempt(fail, within_s=60), KeyError)
    never = threading.Event()
    try:
        assert isinstance(await attempt(never.wait, 60, within_s=0.05), TimeoutError)
    finally:
        never.set()


class Slow:
    """What does not close in time, as a cluster on a slow machine that is just starting a worker anew."""

    closes = 0

    def close(self, timeout: float) -> None:
        self.closes += 1
        raise TimeoutError(f"timed out after {timeout} s.")


def test_what_does_not_close_in_time_is_left_to_itself(caplog):
    opening, client, local = Opening(None, 1, None), Slow(), Slow()
    opening._cluster.client, opening._cluster.local = client, local
    opening.close()
    opening.close()

    assert (client.closes, local.closes) == (1, 1)
    assert caplog.text.count("Slow is slow to close, and is left to itself") == 2


def test_the_settings_are_names_that_dask_has():
    """A setting that a release has renamed would be ignored in silence."""
    import dask
    import distributed

    for name in SETTINGS:
        assert dask.config.get(name, "missing") != "missing", (name, distributed.__version__)
