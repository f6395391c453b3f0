"""What a journal says of one pending order (pure): its terms, when it was handed over, and every fact known since.

Whole, like an order's record: a later one of the same order replaces an earlier one.
"""

from __future__ import annotations

from typing import Final

import msgspec

from potrio.actors.journal_record import EPOCH_BEFORE_ALL, NEVER_SENT
from potrio.actors.pending_evidence import PendingEvidence, PendingIntent, PendingState

__all__ = ["PENDING", "PendingRecord", "pending_evidence_of", "pending_record_of"]

PENDING: Final = "\0pending "
"""What the key of a pending order's record has before its id: no market order has an id that begins so."""

FACTS: Final = (
    "denied",
    "refused",
    "ticket",
    "failed",
    "cancel_wanted",
    "cancelled",
    "absences",
    "absent_wall",
    "gone_early",
    "deal_id",
    "anomalies",
)
"""What is taken over from the evidence as it is."""


class PendingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One pending order as the journal has it; the fields are those of its evidence.

    Attributes:
        sent_wall: when it was last about to be handed to the connection (Unix seconds). From then on the venue may
            have it. None: it was never there, or the connection gave it back.
    """

    account: str
    intent: PendingIntent
    sent_wall: float | None = None
    denied: str | None = None
    refused: str | None = None
    ticket: str | None = None
    failed: str | None = None
    cancel_wanted: bool = False
    cancelled: bool = False
    absences: int = 0
    absent_wall: float | None = None
    gone_early: bool = False
    deal_id: str | None = None
    anomalies: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What a later record of the same order has too, and no record of a market order."""
        return PENDING + self.intent.request_id

    @property
    def state(self) -> PendingState:
        """The order's state as far as the file knows."""
        return _facts_of(self, now=0.0, wall=0.0).state()


def pending_record_of(evidence: PendingEvidence, account: str, sent_wall: float | None) -> PendingRecord:
    """Write down what is known of an order; ``sent_wall`` counts while it is not known to have been written."""
    return PendingRecord(
        account=account,
        intent=msgspec.structs.replace(
            evidence.intent, expires_at=0.0
        ),  # on a clock that ends with the process
        sent_wall=sent_wall if evidence.written_wall is None else evidence.written_wall,
        **{name: getattr(evidence, name) for name in FACTS},
    )


def pending_evidence_of(record: PendingRecord, *, now: float, wall: float) -> PendingEvidence:
    """Take an order up again after a restart, at ``now`` on trio's clock.

    What may have been sent is presumed to have been (P1); what was not is denied, for its time is over. A cancellation
    that was wanted still is, and is asked for anew.
    """
    evidence = _facts_of(record, now, wall)
    if evidence.state() is PendingState.NEW:
        evidence.deny(NEVER_SENT)
    return evidence


def _facts_of(record: PendingRecord, now: float, wall: float) -> PendingEvidence:
    evidence = PendingEvidence(msgspec.structs.replace(record.intent, expires_at=now))
    if record.sent_wall is not None:
        evidence.presume(EPOCH_BEFORE_ALL, now - (wall - record.sent_wall), record.sent_wall)
        evidence.lost(EPOCH_BEFORE_ALL)
    for name in FACTS:
        setattr(evidence, name, getattr(record, name))
    evidence.absent_at = now if record.absences else None
    return evidence
