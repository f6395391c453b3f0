"""`check_depth` against a plain counting oracle, and its cost on hostile texts."""

import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import LimitExceeded
from potrio.limits import JSON_DEPTH_MAX
from potrio.protocol.json_guard import JSON_ERRORS, check_depth


def depth_by_hand(data: bytes) -> int:
    """The deepest nesting a decoder could reach: one byte at a time, no cleverness."""
    depth = deepest = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == ord("\\"):
                escaped = True
            elif byte == ord('"'):
                in_string = False
        elif byte == ord('"'):
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def refuses(data: bytes, limit: int = JSON_DEPTH_MAX) -> bool:
    try:
        check_depth(data, limit)
    except LimitExceeded:
        return True
    return False


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('[]{}"\\a', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('[{"\\', max_size=3), inner, max_size=4)
    ),
    max_leaves=30,
)


@given(value=JSON_VALUES, limit=st.integers(0, 6))
def test_valid_text_is_measured_exactly(value: object, limit: int) -> None:
    data = json.dumps(value).encode()
    assert refuses(data, limit) == (depth_by_hand(data) > limit)


@given(data=st.text('[]{}"\\a', max_size=40).map(str.encode), limit=st.integers(0, 4))
def test_garbage_deeper_than_the_limit_is_always_refused(data: bytes, limit: int) -> None:
    reachable = 0  # a decoder stops at the first closing bracket too many, and inside an unterminated string
    for end in range(len(data) + 1):
        head = data[:end]
        if depth_of_balance(head) < 0:
            break
        reachable = max(reachable, depth_by_hand(head))
    if reachable > limit:
        assert refuses(data, limit)


def depth_of_balance(data: bytes) -> int:
    """Open brackets minus closed ones outside strings."""
    bare = data
    while b'\\"' in bare or b"\\\\" in bare:
        bare = bare.replace(b"\\\\", b"").replace(b'\\"', b"")
    parts = bare.split(b'"')[0::2]
    outside = b"".join(parts)
    return sum(outside.count(c) for c in (b"[", b"{")) - sum(outside.count(c) for c in (b"]", b"}"))


@pytest.mark.parametrize(("opener", "closer"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [2, 7, 8, 9, 63, 64, 65, 200])
def test_the_edge(opener: bytes, closer: bytes, depth: int) -> None:
    wide = (
        b"[" + b",".join([b"1,[]"] * 100) + b"]"
    )  # more than 64 brackets, two levels: the exact scan decides
    text = opener * (depth - 2) + wide + closer * (depth - 2)
    json.loads(text)
    assert refuses(text, depth) is False
    assert refuses(text, depth - 1) is True
    assert refuses(text) is (depth > JSON_DEPTH_MAX)


def test_small_texts_with_at_most_64_brackets_pass_without_a_scan() -> None:
    check_depth(b"[" * 64)
    with pytest.raises(LimitExceeded, match="depth exceeds the limit of 64"):
        check_depth(b"[" * 65)


def test_brackets_in_strings_do_not_count_either_way() -> None:
    check_depth(b'["' + b"[" * 1000 + b'"]')
    hidden = b"[" + b'"]",[' * 70 + b"]" * 71  # closers in strings must not hide real depth
    with pytest.raises(LimitExceeded):
        check_depth(hidden)


def test_a_large_flat_table_passes() -> None:
    check_depth(json.dumps([[1, "EURUSD_otc", {"a": [1]}, []] for _ in range(5000)]).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 4_000_000,
        b"[]" * 2_000_000,
        b'"' + b'\\"' * 2_000_000,
        b"]" * 2_000_000 + b"[" * 2_000_000,
        (b"[" * 64 + b"]" * 64) * 30_000,
        b'{"a":"b"}' * 400_000,
    ],
    ids=["open", "pairs", "escaped quotes", "crossed", "64 deep blocks", "strings"],
)
def test_hostile_texts_cost_less_than_100_ms_per_megabyte(data: bytes) -> None:
    start = time.process_time()
    refuses(data)
    assert time.process_time() - start < 0.1 * len(data) / 1e6


@pytest.mark.parametrize(
    "data",
    [b"[" * 100_000, b'"\xff"', b"nope", b"1e999", b'"\\ud800"'],
    ids=["deep", "utf-8", "word", "big", "lone"],
)
def test_json_errors_name_all_that_the_decoder_raises(data: bytes) -> None:
    with pytest.raises(JSON_ERRORS):
        msgspec.json.decode(data)
