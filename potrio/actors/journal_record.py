"""What a journal says of one order (pure): its terms, when it was handed over, and every fact known since.

A record is whole: it says all there is to say of its order, so a later one replaces an earlier one, a failed write is
made good by the next, and replaying a journal is taking each order's last record (I11).
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from potrio.actors.evidence import Evidence, OrderIntent, OrderState
from potrio.protocol.messages.trading import Deal
from potrio.protocol.regions import REGIONS
from potrio.protocol.ssid import Ssid

__all__ = [
    "DURABILITIES",
    "EPOCH_BEFORE_ALL",
    "NEVER_SENT",
    "Durability",
    "OrderRecord",
    "account_name",
    "evidence_of",
    "record_of",
    "storable",
]

Durability: TypeAlias = Literal["process-crash", "power-loss"]

DURABILITIES: Final[dict[str, str]] = {"process-crash": "NORMAL", "power-loss": "FULL"}
"""What SQLite calls them: NORMAL syncs at checkpoints only, FULL at every commit."""

NEVER_SENT = "the program ended before it was sent"
"""Why an order that was still waiting when its process ended is denied."""

PUBLIC_HOSTS = frozenset(urlsplit(region.url).netloc for region in REGIONS)

EPOCH_BEFORE_ALL = 0
"""The number of the connection of an order from an earlier process; the first of this one is 1."""


class OrderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the journal has it.

    Attributes:
        sent_wall: when it was last about to be handed to the connection (Unix seconds). From then on the venue may
            have it. None: it is not there, and never was, or the connection gave it back.
        deal: the venue's deal, as far as it is known.
        settled: the deal has ended.
        named: the venue itself said that the deal is this order's.
    """

    account: str
    intent: OrderIntent
    sent_wall: float | None = None
    denied: str | None = None
    refused: str | None = None
    absences: int = 0
    deal: Deal | None = None
    settled: bool = False
    named: bool = False
    anomalies: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What a later record of the same order has too, and no other."""
        return self.intent.request_id

    @property
    def state(self) -> OrderState:
        """The order's state as far as the file knows; while it is open, whether its time is over is not looked at."""
        return _facts_of(self, now=0.0, wall=0.0).state()


def record_of(evidence: Evidence, account: str, sent_wall: float | None) -> OrderRecord:
    """Write down what is known of an order; ``sent_wall`` counts while it is not known to have been written."""
    return OrderRecord(
        account=account,
        intent=msgspec.structs.replace(
            evidence.intent, expires_at=0.0
        ),  # on a clock that ends with the process
        sent_wall=sent_wall if evidence.written_wall is None else evidence.written_wall,
        denied=evidence.denied,
        refused=evidence.refused,
        absences=evidence.absences,
        deal=evidence.deal,
        settled=evidence.settled,
        named=evidence.named,
        anomalies=evidence.anomalies,
    )


def evidence_of(record: OrderRecord, *, now: float, wall: float) -> Evidence:
    """Take an order up again after a restart, at ``now`` on trio's clock.

    What may have been sent is presumed to have been (P1); what was not is denied, for its time is over.
    """
    evidence = _facts_of(record, now, wall)
    if evidence.state() is OrderState.NEW:
        evidence.deny(NEVER_SENT)
    return evidence


def _facts_of(record: OrderRecord, now: float, wall: float) -> Evidence:
    evidence = Evidence(msgspec.structs.replace(record.intent, expires_at=now))
    if record.sent_wall is not None:
        evidence.presume(EPOCH_BEFORE_ALL, now - (wall - record.sent_wall), record.sent_wall)
        evidence.lost(EPOCH_BEFORE_ALL)
    evidence.denied = record.denied
    evidence.refused = record.refused
    evidence.absences = record.absences
    evidence.deal, evidence.told_by = record.deal, "the journal"
    evidence.settled = record.settled
    evidence.named = record.named
    evidence.anomalies = record.anomalies
    return evidence


def storable(reason: str | None) -> str | None:
    """A reason may quote a path that is not valid UTF-8; one such row would spoil its whole group."""
    return None if reason is None else reason.encode(errors="replace").decode()


def account_name(ssid: Ssid, url: str | None) -> str:
    """Name an account for the journal: venue, number and kind; never its token. A guest is known by a hash of it.

    The public addresses are one venue: which of them answers changes from day to day.
    """
    host = "public" if url is None else urlsplit(url).netloc
    venue = "public" if host in PUBLIC_HOSTS else host
    if ssid.uid is None:
        owner = f"guest-{hashlib.sha256(ssid.session.reveal().encode()).hexdigest()[:16]}"
    else:
        owner = f"{ssid.uid}-{'demo' if ssid.is_demo else 'live'}"
    return f"{venue}/{owner}"
