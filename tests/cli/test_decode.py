"""`potrio decode`: frames as packets and typed messages, tokens masked, a bad line named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.cli.decode import Lines
from potrio.errors import PotrioError

from .conftest import SSID, TOKEN, Command

FRAMES = [
    '0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
    "2",
    "40",
    SSID,
    '451-["updateStream",{"_placeholder":true,"num":0}]',
    '[["EURUSD_otc",1770000000.5,1.0755]]',
    '42["ps"]',
]


@pytest.fixture
def paste(tmp_path):
    path = tmp_path / "frames"

    def write(*lines: str) -> str:
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


def test_packets_and_typed_messages(potrio: Command, paste) -> None:
    done = potrio("decode", paste(*FRAMES), "--json", ssid=None)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, done.err) == (0, "")
    assert [row["packet"] for row in rows] == [
        "Engine.IO OPEN",
        "Engine.IO PING",
        "Socket.IO CONNECT",
        "Socket.IO EVENT",
        "Socket.IO BINARY_EVENT",
        "attachment",
        "Socket.IO EVENT",
    ]
    assert rows[3]["value"] == "***"
    assert (rows[5]["type"], "1.0755" in rows[5]["value"]) == ("UpdateStream", True)


def test_lines_for_people_and_hex(potrio: Command, paste) -> None:
    tick = b'\x04[["EURUSD_otc",1770000000.5,1.0755]]'.hex()
    done = potrio("decode", paste(FRAMES[4], f"hex:{tick}"), ssid=None)
    assert done.code == 0
    assert "UpdateStream" in done.out.splitlines()[1]


def test_what_a_client_sent(potrio: Command, paste) -> None:
    done = potrio(
        "decode", paste('42["changeSymbol",{"asset":"EURUSD_otc","period":60}]'), "--client", ssid=None
    )
    assert "ChangeSymbol" in done.out


def test_bad_lines_are_named_and_the_others_shown(potrio: Command, paste) -> None:
    done = potrio(
        "decode", paste("2", "nonsense", '42["updateStream",[', FRAMES[4], "hex:xyz", "3"), ssid=None
    )
    assert done.code == 1
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["line 2", "line 3", "line 5"]
    assert done.out.splitlines()[-1].startswith("6: Engine.IO PONG")


def test_tokens_are_masked_wherever_they_stand(potrio: Command, paste) -> None:
    done = potrio(
        "decode", paste(SSID, f'42["nonsense",{{"session":"{TOKEN}"}}]', SSID[:-9], f"4{SSID}"), ssid=None
    )
    assert TOKEN not in done.out + done.err


def test_a_file_that_is_not_there(potrio: Command) -> None:
    potrio("decode", "nowhere", ssid=None).check_one_line("nowhere", "No such file", code=2)


@given(st.text())
def test_any_text_is_decoded_or_refused(text: str) -> None:
    reader, said = Lines(False), []
    for line in text.splitlines():
        try:
            assert reader.read(line)
        except PotrioError as error:
            said.append(str(error))
    assert all(said)
