"""The assets as a client sees them: payouts, what is open, durations, and changes as they come."""

from __future__ import annotations

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import Config, ConfigError, open_client
from potrio.actors.asset_changes import AssetClosed, AssetOpened, PayoutChanged
from potrio.actors.stream import Gap

from .conftest import ASSET, OTHER, SSID, hurt, until


@pytest.fixture
async def patient(autojump_clock, venue, network):
    """A client for hours of virtual time."""
    async with open_client(Config(ssid=SSID, url=venue.url, seam=network)) as client:
        yield client


async def test_payouts_of_one_of_several_and_of_all(autojump_clock, connect):
    async with connect() as client:
        assert client.payout(ASSET) == client.assets[ASSET].payout
        assert client.payout([ASSET, OTHER]) == {ASSET: client.payout(ASSET), OTHER: client.payout(OTHER)}
        every = client.payout()
        assert every == {symbol: asset.payout for symbol, asset in client.assets.items()}
        assert client.payout() is every
        assert client.statistics().caches["assets"].hits == 1


async def test_active_assets_and_durations(autojump_clock, connect):
    async with connect() as client:
        active = client.active_assets()
        assert ASSET in active
        assert set(active) == {symbol for symbol, asset in client.assets.items() if asset.is_active}
        with pytest.raises(TypeError):
            active["X"] = None
        assert 60 in client.durations(ASSET)
        assert client.assets_age_s >= 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.payout("NOSUCH"),
        lambda client: client.payout([ASSET, "NOSUCH"]),
        lambda client: client.durations("NOSUCH"),
    ],
)
async def test_an_asset_that_does_not_exist_has_no_payout(autojump_clock, connect, ask):
    async with connect() as client:
        with pytest.raises(ConfigError, match="NOSUCH"):
            ask(client)


async def test_changes_lead_from_the_old_table_to_the_new_one(autojump_clock, patient):
    client = patient
    async with client.asset_changes(capacity=100_000) as stream, client.asset_changes(ASSET) as few:
        payouts, active = dict(client.payout()), set(client.active_assets())
        first = client.active_assets()
        await trio.sleep(4 * 3600)
        changes = await stream.receive_batch()
        assert {type(change) for change in changes} == {PayoutChanged, AssetOpened, AssetClosed}
        for change in changes:
            match change:
                case PayoutChanged(asset=symbol, before=before, after=after):
                    assert payouts[symbol] == before != after
                    payouts[symbol] = after
                case AssetOpened(asset=symbol):
                    active.add(symbol)
                case AssetClosed(asset=symbol):
                    active.remove(symbol)
        assert (payouts, active) == (dict(client.payout()), set(client.active_assets()))
        assert client.active_assets() is not first
        assert client.assets_age_s < 1800
        assert {change.asset for change in await few.receive_batch()} == {ASSET}


async def test_a_slow_reader_is_told_how_much_it_missed(autojump_clock, patient):
    async with patient.asset_changes(capacity=2) as stream:
        await trio.sleep(4 * 3600)
        first, *rest = await stream.receive_batch()
        assert isinstance(first, Gap)
        assert first.dropped > 0
        assert len(rest) == 2


async def test_a_lost_link_forgets_extracts_and_tells_no_change(autojump_clock, connect, venue):
    async with connect() as client, client.asset_changes() as stream:
        client.payout()
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.epoch == 2)
        await client.wait_ready()
        assert client.statistics().caches["assets"].invalidated >= 1
        await trio.sleep(1)
        assert stream.statistics().waiting == 0, "the table is the same"


async def test_a_reader_that_has_left_is_forgotten(autojump_clock, connect):
    async with connect() as client:
        async with client.asset_changes(), client.balance_updates():
            account = client._shared.account
            assert (len(account.asset_readers), len(account.balance_readers)) == (1, 1)
        assert (len(account.asset_readers), len(account.balance_readers)) == (0, 0)
        with pytest.raises(ConfigError):
            async with client.asset_changes("NOSUCH"):
                pass
