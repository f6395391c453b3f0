"""Accounts of the swarm: one for each client, the same in every run of a seed."""

from __future__ import annotations

from loadsim.swarm.account import ssid_of, uid_of


def test_no_two_clients_share_an_account() -> None:
    assert len({uid_of(7, index) for index in range(1000)}) == 1000


def test_the_same_seed_gives_the_same_accounts_and_another_others() -> None:
    assert ssid_of(7, 3).auth_payload().reveal() == ssid_of(7, 3).auth_payload().reveal()
    assert uid_of(7, 3) != uid_of(8, 3)
    assert ssid_of(7, 3).session.reveal() != ssid_of(7, 4).session.reveal()


def test_it_is_a_demo_account_and_does_not_print_its_session() -> None:
    ssid = ssid_of(1, 2)

    assert ssid.is_demo
    assert ssid.uid == uid_of(1, 2)
    assert ssid.session.reveal() not in repr(ssid)
