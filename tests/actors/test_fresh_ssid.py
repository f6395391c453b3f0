"""A fresh SSID after a rejection: asked for once each time, of the same account, and no error shows a token."""

from __future__ import annotations

import msgspec
import pytest
import trio

from potrio.actors.fresh_ssid import FreshSsid
from potrio.errors import AuthError, SsidError
from potrio.protocol.ssid import parse_ssid
from potrio.secrets import Secret

TOKENS = [f"a{n}test0session0of0potrio0x" for n in range(9)]
REJECTION = AuthError("NotAuthorized")


def text(number: int) -> str:
    return f'42["auth",{{"session":"{TOKENS[number]}","isDemo":1,"uid":4711,"platform":2}}]'


def fresh(provider, attempts: int = 3, **options) -> FreshSsid:
    return FreshSsid(parse_ssid(Secret(text(0))), provider, attempts=attempts, **options)


def returning(*values):
    asked = []

    async def provider(error):
        asked.append(error)
        await trio.lowlevel.checkpoint()
        value = values[min(len(asked), len(values)) - 1]
        if isinstance(value, Exception):
            raise value
        return value

    provider.asked = asked
    return provider


@pytest.mark.parametrize("wrap", [str, Secret, lambda value: parse_ssid(Secret(value))])
async def test_the_callback_gets_the_rejection_and_its_ssid_is_used(wrap):
    provider = returning(wrap(text(1)))
    source = fresh(provider)
    await source.renew(REJECTION)
    assert provider.asked == [REJECTION]
    assert source.ssid.session == Secret(TOKENS[1])


async def test_without_a_callback_the_rejection_is_the_end():
    with pytest.raises(AuthError) as caught:
        await FreshSsid(parse_ssid(Secret(text(0)))).renew(REJECTION)
    assert caught.value is REJECTION


async def test_it_is_asked_so_many_times_in_all():
    provider = returning(text(1), text(2), text(3))
    source = fresh(provider, attempts=2)
    await source.renew(REJECTION)
    await source.renew(REJECTION)
    with pytest.raises(AuthError):
        await source.renew(REJECTION)
    assert len(provider.asked) == 2


@pytest.mark.parametrize("change", [{"uid": 4712}, {"is_demo": False}, {"kind": "guest"}])
async def test_another_account_is_refused(change):
    """P12: a client of a demo account never turns into one of a live account."""
    source = fresh(returning(msgspec.structs.replace(parse_ssid(Secret(text(1))), **change)))
    with pytest.raises(AuthError, match="another account"):
        await source.renew(REJECTION)
    assert source.ssid.session == Secret(TOKENS[0])


async def test_a_rejected_one_is_not_tried_again():
    source = fresh(returning(text(1), text(0)))
    await source.renew(REJECTION)
    with pytest.raises(AuthError, match="rejected already"):
        await source.renew(REJECTION)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ValueError(f"the vault said {TOKENS[0]}"), "ValueError"),
        ("", "is empty"),
        (17, "must be text"),
    ],
)
async def test_a_callback_that_fails_is_the_cause_and_no_token_shows(failure, words):
    with pytest.raises(AuthError, match=words) as caught:
        await fresh(returning(failure)).renew(REJECTION)
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError)
    assert isinstance(cause, SsidError) == (words != "ValueError")
    del failure
    assert TOKENS[0] not in str(cause) + repr(cause.args) + str(caught.value)


async def test_the_token_it_returned_is_in_no_traceback():
    broken = text(1).replace('"uid":4711', '"uid":"x"')
    with pytest.raises(AuthError) as caught:
        await fresh(returning(Secret(broken))).renew(REJECTION)
    assert TOKENS[1] not in str(caught.value) + str(caught.value.__cause__)


async def test_a_callback_that_does_not_come_back_is_cancelled(autojump_clock):
    async def never(error):
        await trio.sleep_forever()

    with pytest.raises(AuthError, match="within 7 s"):
        await fresh(never, timeout=7.0).renew(REJECTION)
    assert trio.current_time() == pytest.approx(7.0)


async def test_cancelling_cancels_the_callback(autojump_clock):
    ended = []

    async def never(error):
        try:
            await trio.sleep_forever()
        finally:
            ended.append(True)

    with trio.move_on_after(1):
        await fresh(never).renew(REJECTION)
    assert ended == [True]


async def test_sessions_that_are_rejected_at_the_same_time_ask_once(autojump_clock):
    """One SSID is used by all of them; the first rejection of it is the one that is asked about."""
    asked = []

    async def provider(error):
        asked.append(error)
        await trio.sleep(5)
        return text(len(asked))

    source = fresh(provider, attempts=1)
    used = source.ssid
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(source.renew, REJECTION, used)
    assert asked == [REJECTION]
    assert source.ssid.session == Secret(TOKENS[1])
