"""What is written is read back; a bad line is named; the frame that logs in is not kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConfigError
from potrio.secrets import Secret
from potrio.testing.network import MemoryNetwork
from potrio.transport.recording import (
    MASKED_AUTH,
    Frame,
    Header,
    frame_line,
    read_recording,
    safe_message,
)

TOKEN = Secret("a0test0session0of0potrio0x")
PATH = Path("session.ndjson")
HEADER = b'{"potrio_recording":1,"wall":1.5}\n'


class Disk(MemoryNetwork):
    """One file."""

    data = b""

    def read_file(self, path) -> bytes:
        return self.data


def read(data: bytes):
    disk = Disk()
    disk.data = data
    return read_recording(PATH, seam=disk)


messages = st.text(st.characters(exclude_categories=["Cs"])) | st.binary()


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 9), st.sampled_from(["in", "out"]), messages)))
def test_what_is_written_is_read_back(rows):
    rows.sort(key=lambda row: row[0])
    recording = read(HEADER + b"".join(frame_line(*row) for row in rows))
    assert recording.header == Header(1, 1.5)
    assert [frame.message for frame in recording.frames] == [row[3] for row in rows]
    assert [(frame.c, frame.d) for frame in recording.frames] == [row[1:3] for row in rows]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["line 1", "is empty"]),
        (b"\n", ["line 1"]),
        (b'{"potrio_recording":2,"wall":1}\n', ["line 1", "format 2"]),
        (HEADER + b"nonsense\n", ["line 2"]),
        (
            HEADER + b'{"t":0,"c":1,"d":"in","text":"x"}\n{"t":1,"c":1,"d":"up","text":"x"}\n',
            ["line 3", "$.d"],
        ),
        (HEADER + b'{"t":0,"c":1,"d":"in"}\n', ["line 2", "either text or data"]),
        (HEADER + b'{"t":0,"c":1,"d":"in","data":"?"}\n', ["line 2", "base64"]),
        (HEADER + b'{"t":2,"c":1,"d":"open"}\n{"t":1,"c":1,"d":"end"}\n', ["line 3", "go back"]),
        (HEADER + b'{"t":0,"c":0,"d":"open"}\n', ["line 2", "count from 1"]),
        (HEADER + b'{"t":0,"c":1,"d":"open"', ["line 2", "cut off"]),
        (HEADER + b'{"t":0,"c":1,"d":"open","x":1}\n', ["line 2", "`x`"]),
    ],
)
def test_a_bad_line_is_named(data, words):
    with pytest.raises(ConfigError) as caught:
        read(data)
    for word in ["session.ndjson", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("auth", ['42["auth",{"session":"x"}]', '42/,7["auth",{}]', '42[ "auth",1]'])
def test_the_frame_that_logs_in_is_masked_whole(auth):
    assert safe_message(auth, TOKEN, sent=True) == MASKED_AUTH


def test_the_token_is_taken_out_of_everything_else():
    assert safe_message(f"42[{TOKEN.reveal()[:15]}]", TOKEN, sent=False) == "42[***]"
    assert safe_message(b"\xff" + TOKEN.reveal().encode(), TOKEN, sent=False) == b"\xff***"
    assert safe_message(b"\x00\xff", TOKEN, sent=True) == b"\x00\xff"


def test_connections_and_directions():
    recording = read(
        HEADER + frame_line(0, 2, "open") + frame_line(0, 2, "in", "a") + frame_line(1, 1, "out", "b")
    )
    assert recording.connections == [1, 2]
    assert recording.of(2) == [Frame(0, 2, "in", "a")]
    assert recording.of(1, "out") == [Frame(1, 1, "out", "b")]
