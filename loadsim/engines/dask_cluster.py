"""Where Dask's workers are: a scheduler somewhere, spoken to over TLS, or a cluster of our own on this machine.

Whoever reaches a scheduler without TLS may run any code on its workers: one that is not on this machine is refused
(``loadsim.md`` 2.3, rules 6 and 9).
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import trio

from loadsim.engines.base import EngineError
from loadsim.engines.dask_task import ignore_interrupts
from potrio.errors import ConfigError

__all__ = ["SETTINGS", "Cluster", "Tls", "attempt", "check_address", "in_thread", "open_cluster"]

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 30.0
LOG = logging.getLogger("loadsim.dask")

SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,  # a shard whose worker died is lost, not run again
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.gil.enabled": False,
}
"""What a cluster for load is to be set to (rule 6); `python -m loadsim workers` prints them as variables."""

CONFIGURING = threading.Lock()
"""Dask's configuration is the process's: one cluster at a time is made under ours."""


class Tls(msgspec.Struct, frozen=True):
    """PEM files: whom to believe, and who we are. The scheduler asks for it too."""

    ca: str
    cert: str
    key: str


class Cluster(msgspec.Struct):
    """A connected client of Dask; ``local`` is the cluster behind it where it is our own."""

    client: Any
    local: Any = None


def check_address(address: str, tls: Tls | None, insecure_engine: bool) -> str:
    """Return the address with its scheme.

    Raises:
        ConfigError: it is none, lacks the certificates it needs, or lacks TLS and is not on this machine.
    """
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme not in ("tcp", "tls") or not parts.hostname:
        raise ConfigError("scheduler", f"must be tls://HOST:PORT, not {address!r}")
    if parts.scheme == "tls" and tls is None:
        raise ConfigError("scheduler", "tls:// needs certificates: --tls-ca, --tls-cert and --tls-key")
    if parts.scheme == "tcp" and tls is not None:
        raise ConfigError("scheduler", "has certificates but an address without TLS: write tls://HOST:PORT")
    if parts.scheme == "tcp" and not is_loopback(parts.hostname) and not insecure_engine:
        raise ConfigError(
            "scheduler",
            f"{parts.hostname} without TLS lets anyone on that network run code on the workers: "
            "use tls://, or --insecure-engine",
        )
    return parts.geturl()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for certain: names are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def in_thread(work: Callable[..., T], *values: Any) -> T:
    """Do what blocks in a thread. Cancelling leaves the thread alone: it ends by itself, and nobody hears of it."""
    return await trio.to_thread.run_sync(work, *values, abandon_on_cancel=True)


async def attempt(work: Callable[..., object], *values: Any, within_s: float) -> Exception | None:
    """Try what blocks, where not being able to is an answer too: a scheduler that is gone, say, takes nothing back.

    Waits at most ``within_s``; returns what it raised. Cancelling leaves the thread alone.
    """

    def tried() -> Exception | None:
        try:
            work(*values)
        except Exception as error:  # noqa: BLE001  # handed to the caller: Dask raises what its transports raise
            return error
        return None

    with trio.move_on_after(within_s):
        return await in_thread(tried)
    return TimeoutError(f"nothing came of it within {within_s:g} s")


@asynccontextmanager
async def open_cluster(
    scheduler: str | None, workers: int, tls: Tls | None, insecure_engine: bool
) -> AsyncGenerator[Cluster, None]:
    """Connect to a scheduler, or start ours. What was opened is closed with the block, within seconds.

    Raises:
        ConfigError: see `check_address`.
        EngineError: the package is not installed, or nobody answers there.
    """
    address = None if scheduler is None else check_address(scheduler, tls, insecure_engine)
    opening = Opening(address, workers, tls)
    try:
        yield await in_thread(opening.open)
    finally:
        with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await in_thread(opening.close)


class Opening:
    """Opens in one thread and may be closed from another while it does."""

    def __init__(self, address: str | None, workers: int, tls: Tls | None) -> None:
        self._address = address
        self._workers = workers
        self._tls = tls
        self._busy = threading.Lock()
        self._closed = False
        self._cluster = Cluster(None)

    def open(self) -> Cluster:
        """Connect. Blocks for seconds."""
        try:
            import distributed
        except ImportError:
            raise EngineError("the engine dask needs an extra: pip install 'potrio[dask]'") from None
        with self._busy:
            try:
                if self._address is None:
                    self._cluster.local = start_local(distributed, self._workers, self._tls)
                if not self._closed:
                    self._cluster.client = distributed.Client(
                        self._address or self._cluster.local.scheduler_address,
                        security=security(distributed, self._tls),
                        timeout=CONNECT_TIMEOUT_S,
                        set_as_default=False,
                    )
                    if self._cluster.local is not None:
                        self._cluster.client.run(ignore_interrupts)
            except (OSError, RuntimeError, ValueError) as error:
                words = " ".join(str(error).split())
                raise EngineError(f"no scheduler at {self._address or '127.0.0.1'}: {words}") from None
        return self._cluster

    def close(self) -> None:
        """Close what is open, also where opening it was given up. Blocks for a second or so. Idempotent."""
        self._closed = True
        with self._busy:
            client, local = self._cluster.client, self._cluster.local
            self._cluster.client = self._cluster.local = None
            for each, timeout in ((client, CLOSE_TIMEOUT_S / 4), (local, CLOSE_TIMEOUT_S / 2)):
                if each is not None:
                    try:
                        each.close(timeout=timeout)
                    except TimeoutError:
                        # It goes on by itself, and a worker that is just being started ends with this process.
                        LOG.warning("%s is slow to close, and is left to itself", type(each).__name__)


def security(distributed: Any, tls: Tls | None) -> Any:
    """Dask's form of the files; each role of our own cluster has the same."""
    if tls is None:
        return None
    roles = ("client", "scheduler", "worker")
    files = {
        f"tls_{role}_{what}": value
        for role in roles
        for what, value in (("cert", tls.cert), ("key", tls.key))
    }
    return distributed.Security(tls_ca_file=tls.ca, require_encryption=True, **files)


def start_local(distributed: Any, workers: int, tls: Tls | None) -> Any:
    """Scheduler here, each worker a process, all of it on the loopback; no dashboard."""
    import dask

    with CONFIGURING, dask.config.set(SETTINGS):
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tcp" if tls is None else "tls",
            security=security(distributed, tls),
            memory_limit=0,
            dashboard_address=None,
            # Its page of health is served even so: on a port nobody has asked for by name, and with nothing on it.
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
        )
