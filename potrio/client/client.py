"""`open_client` and `Client`: the front door of trading, with plain reads of the latest truth and few awaits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial

from msgspec import structs

from potrio.actor_errors import SupervisorFailed
from potrio.actors.keys import CONNECTION, MONITOR
from potrio.actors.phases import LinkPhase
from potrio.client.account import AccountCalls
from potrio.client.callbacks import CallbackCalls
from potrio.client.candle_streams import CandleStreamCalls
from potrio.client.config import Config
from potrio.client.deals import DealCalls
from potrio.client.history import HistoryCalls
from potrio.client.journal import JournalCalls, opened_journal
from potrio.client.leases import LeaseCalls
from potrio.client.link_calls import LinkCalls
from potrio.client.link_setup import link_settings
from potrio.client.pending import PendingCalls
from potrio.client.raw import RawCalls
from potrio.client.sessions import SessionPool
from potrio.client.settings import load_config
from potrio.client.trading import TradingCalls
from potrio.client.tree import Shared, client_tree
from potrio.errors import ClientClosed, ClientFailed, ConfigError, PotrioError
from potrio.logs import redacting, talking
from potrio.protocol.ssid import Ssid
from potrio.secrets import Secret
from potrio.supervision.events import ChildCrashed, Event, RestartScheduled
from potrio.supervision.opening import open_supervisor
from potrio.supervision.supervisor import Supervisor
from potrio.transport.steady import steady

__all__ = ["Client", "open_client"]


@asynccontextmanager
async def open_client(
    ssid: str | Secret | Ssid | Config | None = None, *, url: str | None = None, **options: object
) -> AsyncGenerator[Client, None]:
    """Open a client: connected, authenticated, and with the first snapshot (balance, assets) folded in.

    Args:
        ssid: the auth frame from the browser, or a whole `Config`. Without it, what is not given here is loaded from
            ``potrio.toml`` and the environment (`load_config`).
        url: one venue to use instead of the public ones.
        options: the other fields of `Config`.

    Leaving the block closes everything: no task, no socket and no frame is left, and waiting calls raise
    `ClientClosed`. Cancelling does the same, within two seconds. Your own exception is never wrapped.

    Raises:
        ConfigError: an argument cannot be used (`SsidError`: the SSID).
        AuthError: the venue rejects the SSID.
        ConnectError: no address of the venue can be reached; its subclasses say at which stage.
        RequestTimeout: connected, but the venue never told balance and assets.
        JournalError: the journal cannot be used (`JournalBusy`: another client writes it).
        ClientFailed: the client died while the block ran; ``__cause__`` is what of.
    """
    ssid = Secret(ssid) if isinstance(ssid, str) else ssid  # out of tracebacks that capture locals (P8)
    match ssid:
        case Config() if url is not None or options:
            raise ConfigError("config", "give either a Config or single options, not both")
        case Config():
            config = ssid.checked()
        case None:
            config = load_config(url=url, **options)  # type: ignore[arg-type]  # checked there
        case _:
            config = Config(ssid=ssid, url=url, **options).checked()  # type: ignore[arg-type]  # checked there
    parsed = config.parsed_ssid()
    with redacting(parsed.session), talking(config.level), ExitStack() as hidden:
        async with run_client(config, parsed, lambda fresh: hidden.enter_context(redacting(fresh))) as client:
            yield client


@asynccontextmanager
async def run_client(
    config: Config, parsed: Ssid, redact: Callable[[Secret], object]
) -> AsyncGenerator[Client, None]:
    """Run a client with what `open_client` has made of its arguments; waits, cancels and raises as that does."""
    # From here on nothing that happens to the system's wall clock moves ours.
    config = structs.replace(config, seam=steady(config.seam))
    settings = link_settings(config, parsed)
    shared = Shared(is_demo=parsed.is_demo, stale_after=config.stale_after_s, health=settings.health)
    shared.account.go_by(config.seam)
    if settings.fresh is not None:
        settings.fresh.hide = partial(hide_token, config, shared, redact)
    shared.facts.uid = parsed.uid
    shared.router.raw.hide(parsed.session)
    shared.sessions = SessionPool(settings, shared.link, shared.router, shared.account, config.sessions_max)
    client: Client | None = None
    reason: PotrioError | None = None  # what those hear of who are not in the block
    try:
        async with (
            opened_journal(
                config, parsed, shared.book
            ) as shared.journal,  # closed last: the tree writes to the end
            open_supervisor(client_tree(settings, shared), seam=config.seam) as running,
        ):
            running.observe(partial(report_crash, running))
            running.observe(shared.sessions.observe)
            await shared.link.wait_ready()
            client = Client(config, parsed, shared, running)
            await client.wait_snapshot()
            try:
                yield client
            finally:
                client.close()
    except SupervisorFailed as failure:
        cause = shared.link.fatal or failure
        if client is None and shared.link.fatal is not None:
            raise shared.link.fatal from shared.link.fatal.__cause__
        reason = ClientFailed(f"the client died: {cause}")
        raise ClientFailed(f"the client died: {cause}") from cause
    finally:
        reason = shared.link.fatal or reason
        shared.link.enter(LinkPhase.CLOSED, config.seam.now())
        shared.router.feeds.end(reason)
        shared.sessions.end(reason, config.seam.now())
        shared.router.raw.end(reason)
        shared.callbacks.end()
        shared.router.outages.end(reason)
        shared.account.end(reason)
        shared.book.fail(ClientClosed("the client was closed before the order was settled"))


class Client(
    AccountCalls,
    CallbackCalls,
    DealCalls,
    HistoryCalls,
    JournalCalls,
    LinkCalls,
    CandleStreamCalls,
    TradingCalls,
    PendingCalls,
    RawCalls,
    LeaseCalls,
):
    """One account of one venue, under supervision. Made by `open_client`; to be used in the same trio run."""


def hide_token(config: Config, shared: Shared, redact: Callable[[Secret], object], token: Secret) -> None:
    """Leave a fresh token out of all that others see: logs, raw events, recordings (P8)."""
    redact(token)
    shared.router.raw.hide(token)
    if config.recorder is not None:
        config.recorder.hide(token)


def report_crash(running: Supervisor, event: Event) -> None:
    """Let the monitor know of crashes and restarts, its own included."""
    if isinstance(event, RestartScheduled) or (isinstance(event, ChildCrashed) and not expected(event)):
        running.ref(MONITOR).tell(event)


def expected(crash: ChildCrashed) -> bool:
    """Is it the connection saying that the venue cannot be had? It ends the client, but nothing is broken."""
    return crash.decision == "escalate" and crash.path.endswith(CONNECTION.name)
