"""A rejected SSID and the program's own way to a fresh one: asked once per rejection, and not for ever.

Without a callback a rejection ends the client. With one, the callback is given the `AuthError` and returns another SSID
of the same account: one of another user or of another kind is refused (P12), and so is one that was rejected before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from potrio.errors import AuthError, SsidError
from potrio.limits import FRESH_SSID_TIMEOUT
from potrio.protocol.ssid import Ssid, parse_ssid
from potrio.secrets import Secret, redact_error

__all__ = ["FreshSsid", "SsidProvider"]

SsidProvider = Callable[[AuthError], Awaitable[str | Secret | Ssid]]
"""Gets an SSID from somewhere: a browser, a vault, a human."""


class FreshSsid:
    """The callback, how often it may still be asked, and the SSID to use now. Outlives the actor's incarnations."""

    def __init__(
        self,
        ssid: Ssid,
        provider: SsidProvider | None = None,
        *,
        attempts: int = 0,
        timeout: float | None = None,
    ) -> None:
        self.ssid = ssid
        self._provider = provider
        self._left = attempts if provider is not None else 0
        self._timeout = FRESH_SSID_TIMEOUT if timeout is None else timeout
        self._rejected: list[Secret] = []  # as many as there were attempts
        self._asking = (
            trio.Lock()
        )  # the sessions of a client share one SSID, and are rejected at the same time
        self.hide: Callable[[Secret], object] = lambda secret: None
        """Told of each token the callback returns, before it is used: what shows texts to others leaves it out."""

    async def renew(self, rejection: AuthError, rejected: Ssid | None = None) -> None:
        """Get another SSID; from then on `ssid` is that. Waits for the callback; cancelling cancels it.

        Args:
            rejected: the one that was; where `ssid` is another by now, nobody is asked. None: `ssid`.

        Raises:
            AuthError: ``rejection`` itself where nobody is to be asked (any more); another one, with its cause, where
                the callback failed, took too long, or returned something that cannot be used.
        """
        async with self._asking:
            if rejected is None or rejected is self.ssid:
                await self._renew(rejection)

    async def _renew(self, rejection: AuthError) -> None:
        if self._provider is None or self._left <= 0:
            raise rejection
        self._left -= 1
        self._rejected.append(self.ssid.session)
        try:
            with trio.move_on_after(self._timeout) as scope:
                fresh = parsed(await self._provider(rejection))
                self.hide(fresh.session)
            if scope.cancelled_caught:
                raise AuthError(f"{rejection.reason}; no fresh SSID came within {self._timeout:g} s")
        except AuthError:
            raise
        except Exception as error:  # of the program's own callback: told as the cause of the end
            redact_error(error, *self._rejected)
            words = f"{error.reason}" if isinstance(error, SsidError) else type(error).__name__
            raise AuthError(f"{rejection.reason}; the callback for a fresh SSID failed: {words}") from error
        if (fresh.kind == "guest", fresh.uid, fresh.is_demo) != (
            self.ssid.kind == "guest",
            self.ssid.uid,
            self.ssid.is_demo,
        ):
            raise AuthError(f"{rejection.reason}; the fresh SSID is of another account: refused")
        if fresh.session in self._rejected:
            raise AuthError(f"{rejection.reason}; the fresh SSID is one that was rejected already")
        self.ssid = fresh


def parsed(ssid: str | Secret | Ssid) -> Ssid:
    """Read what the callback returned.

    Raises:
        SsidError: it is not an SSID; the text does not repeat it.
    """
    match ssid:
        case Ssid():
            return ssid
        case str() | Secret():
            return parse_ssid(ssid)
    raise SsidError(f"must be text, a Secret or an Ssid, not {type(ssid).__name__}")
