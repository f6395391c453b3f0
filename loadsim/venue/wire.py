"""How the venue writes its values: field for field as the real service does (`protocol.md` 7.2 to 7.8)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from loadsim.venue.accounts import Account
from loadsim.venue.deals import Deal
from loadsim.venue.pending import NO_TIME, OpenType, PendingOrder, show_time

__all__ = ["balance_object", "deal_object", "header_of", "number", "pending_object", "to_json"]

PERCENT_LOSS: Final = 100

to_json: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Write compact JSON; Decimals are numbers with all their digits."""


def header_of(event: str) -> str:
    """Return the text frame before a binary event: compact, one placeholder (rules 8 and 9)."""
    return '451-["' + event + '",{"_placeholder":true,"num":0}]'


def number(amount: Decimal) -> int | Decimal:
    """Return an amount as the wire writes it: no more digits than it needs (5, 4.6, 49998.5)."""
    whole = amount.to_integral_value()
    return int(whole) if amount == whole else amount.normalize()


def balance_object(account: Account) -> dict[str, Any]:
    """Return ``successupdateBalance``."""
    return {"isDemo": int(account.is_demo), "balance": number(account.balance), "uid": account.uid}


def deal_object(
    deal: Deal, currency: str, *, request_id: str = "", in_closed_list: bool = False
) -> dict[str, Any]:
    """Return a deal with every field any client has been seen to need (`protocol.md` 7.3).

    Args:
        deal: open or closed.
        currency: of the account.
        request_id: JSON text; only for the originator's ``successopenOrder`` (rule 13).
        in_closed_list: add the fields that only ``updateClosedDeals`` has.
    """
    open_s, open_ms = divmod(deal.opened_ms, 1000)
    ends_ms = deal.expires_ms if deal.cancelled_ms is None else deal.cancelled_ms
    close_s, close_ms = divmod(ends_ms, 1000)
    found: dict[str, Any] = {
        "id": deal.id,
        "openTime": show_time(open_s),
        "closeTime": show_time(close_s),
        "openTimestamp": open_s,
        "closeTimestamp": close_s,
        "uid": deal.uid,
        "isDemo": int(deal.is_demo),
        "amount": number(deal.amount),
        "profit": number(deal.profit),
        "percentProfit": deal.percent,
        "percentLoss": PERCENT_LOSS,
        "openPrice": deal.open_price,
        "copyTicket": "",
        "closePrice": 0 if deal.close_price is None else deal.close_price,
        "command": deal.command.value,
        "asset": deal.asset,
        "openMs": open_ms,
        "optionType": deal.option_type,
        "isRollover": False,
        "isCopySignal": False,
        "isAI": False,
        "currency": currency,
        "amountUSD": number(deal.amount),
    }
    if request_id:
        found["requestId"] = msgspec.Raw(request_id.encode())
    if deal.close_price is not None:
        found["closeMs"] = close_ms
    if in_closed_list:
        refund = None if deal.cancelled_ms is None else close_s
        found["refundTime"] = None if refund is None else show_time(refund)
        found["refundTimestamp"] = refund
    return found


def pending_object(order: PendingOrder) -> dict[str, Any]:
    """Return a pending order (`protocol.md` 7.8)."""
    by_time = order.open_type is OpenType.TIME
    return {
        "ticket": order.ticket,
        "openType": order.open_type.value,
        "amount": number(order.amount),
        "symbol": order.asset,
        "asset": order.asset,
        "openTime": show_time(order.open_ms // 1000) if by_time else NO_TIME,
        "openPrice": 0 if by_time else order.open_price,
        "timeframe": order.timeframe_s,
        "minPayout": order.min_payout,
        "command": order.command.value,
        "dateCreated": show_time(order.created_ms // 1000),
        "id": order.number,
        "uid": order.uid,
        "isDemo": int(order.is_demo),
    }
