"""Changes between two asset tables: each kind, none for equal tables, and together they make one table the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.asset_changes import (
    AssetAdded,
    AssetClosed,
    AssetOpened,
    AssetRemoved,
    DurationsChanged,
    PayoutChanged,
    asset_changes,
)
from potrio.protocol.messages.market import Asset, Duration


def asset(symbol: str = "A", *, payout: int = 90, active: bool = True, durations=(60,)) -> Asset:
    return Asset(
        id=1,
        symbol=symbol,
        label=symbol,
        kind="currency",
        digits=5,
        payout=payout,
        default_expiration_s=60,
        minimum_expiration_s=30,
        expiration_step_s=3,
        is_otc=1,
        otc_id=0,
        real_id=0,
        signals=[],
        schedule=0,
        is_active=active,
        durations=[Duration(seconds) for seconds in durations],
        scheduled_until=0,
        minimum_timeframe_s=5,
        scheduled_at=-1,
    )


def table(*assets: Asset) -> dict[str, Asset]:
    return {row.symbol: row for row in assets}


def test_each_kind_of_change():
    before = table(asset("A"), asset("B"), asset("C", active=False), asset("D"), asset("E"), asset("F"))
    after = table(
        asset("A", payout=80),
        asset("B", active=False),
        asset("C"),
        asset("D", durations=(30, 60)),
        asset("E"),
        asset("G"),
    )
    assert asset_changes(before, after) == [
        PayoutChanged("A", 90, 80),
        AssetClosed("B", after["B"]),
        AssetOpened("C", after["C"]),
        DurationsChanged("D", (60,), (30, 60)),
        AssetAdded("G", after["G"]),
        AssetRemoved("F", before["F"]),
    ]
    assert asset_changes(after, after) == []


def test_several_changes_of_one_asset_are_all_told():
    before, after = table(asset()), table(asset(payout=1, active=False, durations=()))
    assert [type(change) for change in asset_changes(before, after)] == [
        AssetClosed,
        PayoutChanged,
        DurationsChanged,
    ]


ROWS = st.builds(asset, st.sampled_from("ABCD"), payout=st.integers(80, 82), active=st.booleans())
TABLES = st.lists(ROWS).map(lambda rows: table(*rows))


@given(TABLES, TABLES)
def test_the_changes_lead_from_one_table_to_the_other(before, after):
    state = {symbol: (row.payout, row.is_active) for symbol, row in before.items()}
    for change in asset_changes(before, after):
        match change:
            case AssetAdded(asset=symbol, now=now):
                assert symbol not in state
                state[symbol] = now.payout, now.is_active
            case AssetRemoved(asset=symbol):
                del state[symbol]
            case AssetOpened(asset=symbol) | AssetClosed(asset=symbol):
                state[symbol] = state[symbol][0], isinstance(change, AssetOpened)
            case PayoutChanged(asset=symbol, before=was, after=now):
                assert state[symbol][0] == was != now
                state[symbol] = now, state[symbol][1]
    assert state == {symbol: (row.payout, row.is_active) for symbol, row in after.items()}
