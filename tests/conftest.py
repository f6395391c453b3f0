"""What every test starts from: Ctrl-C works, also in a run that was started in the background; the heap is small."""

from __future__ import annotations

import gc
import signal


def pytest_configure() -> None:
    """Give SIGINT its meaning back: a shell lets its background jobs ignore it, and their children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Set the million objects that thousands of collected tests are aside: no collection looks through them again."""
    gc.collect()
    gc.freeze()
