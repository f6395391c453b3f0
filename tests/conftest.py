"""What every test starts from: Ctrl-C works, also in a run in the background; no example is late; the heap is small."""

from __future__ import annotations

import gc
import signal

from hypothesis import HealthCheck, settings


def pytest_configure() -> None:
    """Give SIGINT its meaning back: a shell lets its background jobs ignore it, and their children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile(  # an example is as slow as the machine is just then; one that hangs meets the timeout
        "potrio", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("potrio")


def pytest_collection_finish() -> None:
    """Set the million objects that thousands of collected tests are aside: no collection looks through them again."""
    gc.collect()
    gc.freeze()
