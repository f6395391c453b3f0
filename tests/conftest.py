"""What every test starts from: Ctrl-C works, also where the run was started in the background."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Give SIGINT its meaning back: a shell lets its background jobs ignore it, and their children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
