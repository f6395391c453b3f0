"""Records of orders: there and back, what a restart makes of them, and accounts without tokens."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from potrio.actors.evidence import Evidence, OrderIntent, OrderState
from potrio.actors.journal_record import NEVER_SENT, OrderRecord, account_name, evidence_of, record_of
from potrio.protocol.messages.trading import Side
from potrio.protocol.ssid import parse_ssid

from .conftest import EPOCH, deal

ME = "public/4711-demo"
INTENT = OrderIntent(
    request_id="r1",
    asset="EURUSD_otc",
    side=Side.CALL,
    amount=Decimal("10.50"),
    duration_s=60,
    is_demo=True,
    created_wall=EPOCH,
    expires_at=7.0,
)


def after(*steps) -> Evidence:
    evidence = Evidence(INTENT)
    for step in steps:
        step(evidence)
    return evidence


def written(evidence):
    evidence.written(3, 5.0, EPOCH + 5)


LIVES = {
    "waiting": ((), OrderState.DENIED),
    "denied": ((lambda e: e.deny("no"),), OrderState.DENIED),
    "written": ((written,), OrderState.UNKNOWN),
    "lost": ((written, lambda e: e.lost(3)), OrderState.UNKNOWN),
    "refused": ((written, lambda e: e.refuse("busy")), OrderState.REJECTED),
    "absent once": ((written, lambda e: e.lost(3), lambda e: e.absent()), OrderState.UNKNOWN),
    "absent": ((written, lambda e: e.lost(3), lambda e: e.absent(), lambda e: e.absent()), OrderState.VOID),
    "open": ((written, lambda e: e.join(deal())), OrderState.OPEN),
    "settled": ((written, lambda e: e.join(deal(profit=-10, close_price=1.0))), OrderState.SETTLED),
    "odd": ((written, lambda e: e.refuse("x"), lambda e: e.join(deal())), OrderState.OPEN),
}


@pytest.mark.parametrize("life", LIVES)
def test_a_restart_takes_an_order_up_where_it_was(life):
    steps, state = LIVES[life]
    before = after(*steps)
    record = record_of(before, ME, None)
    again = evidence_of(record, now=2.0, wall=EPOCH + 30)
    assert again.state() is state
    for fact in ("refused", "absences", "deal", "settled", "named", "anomalies"):
        assert getattr(again, fact) == getattr(before, fact), fact
    assert msgspec.structs.replace(again.intent, expires_at=7.0) == INTENT
    if state is OrderState.UNKNOWN:
        assert (again.presumed, again.link_lost) == (True, True)
        assert (again.written_wall, again.written_at) == (EPOCH + 5, 2.0 - 25)
    if life == "waiting":
        assert again.denied == NEVER_SENT
    else:
        assert (
            record_of(again, ME, None) == record
        )  # what is taken up says the same when it is written down again


def test_what_was_handed_over_is_presumed_written_and_what_was_given_back_is_not():
    handed_over = record_of(after(), ME, EPOCH + 4)
    assert evidence_of(handed_over, now=0.0, wall=EPOCH + 5).state() is OrderState.UNKNOWN
    assert (
        record_of(after(written), ME, EPOCH + 4).sent_wall == EPOCH + 5
    )  # the moment itself, where it is known
    given_back = record_of(after(), ME, None)
    assert (given_back.state, evidence_of(given_back, now=0.0, wall=EPOCH).denied) == (
        OrderState.NEW,
        NEVER_SENT,
    )


def test_the_record_has_no_time_of_a_clock_that_ends_with_the_process():
    assert record_of(after(), ME, None) == OrderRecord(
        account=ME, intent=msgspec.structs.replace(INTENT, expires_at=0.0)
    )


def test_an_account_is_named_by_number_and_never_by_token():
    token = "a0test0session0of0potrio0x"
    ssid = parse_ssid(f'42["auth",{{"session":"{token}","isDemo":1,"uid":4711,"platform":2}}]')
    live = msgspec.structs.replace(ssid, is_demo=False)
    public = "wss://demo-api-eu.po.market/socket.io/?EIO=4&transport=websocket"
    assert account_name(ssid, None) == account_name(ssid, public) == "public/4711-demo"
    assert account_name(live, None) == "public/4711-live"
    assert account_name(ssid, "ws://127.0.0.1:81/socket.io/") == "127.0.0.1:81/4711-demo"


def test_a_guest_is_known_by_a_hash():
    guests = [
        msgspec.structs.replace(SSID, kind="guest", uid=None, session=type(SSID.session)(text))
        for text in ("one-guest-token", "another-guest-token")
    ]
    names = [account_name(guest, None) for guest in guests]
    assert len(set(names)) == 2
    assert all(name.startswith("public/guest-") and "token" not in name for name in names)
    assert names[0] == account_name(guests[0], None)


SSID = parse_ssid('42["auth",{"session":"a0test0session0of0potrio0x","isDemo":1,"uid":4711,"platform":2}]')
