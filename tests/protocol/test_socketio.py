"""Socket.IO packets: the examples of the specification both ways, what is tolerated, and every refusal."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from potrio.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from potrio.limits import (
    ATTACHMENTS_MAX,
    BINARY_HEADER_CHARS_MAX,
    EVENT_ARGS_MAX,
    EVENT_NAME_CHARS_MAX,
    NAMESPACE_CHARS_MAX,
)
from potrio.protocol.socketio import (
    RESERVED_NAMES,
    SocketIOPacket,
    SocketIOPacketType,
    decode_socketio_packet,
    encode_socketio_packet,
)

T = SocketIOPacketType
P0 = b'{"_placeholder":true,"num":0}'
P1 = b'{"_placeholder":true,"num":1}'


def packet(type_: SocketIOPacketType, **fields) -> SocketIOPacket:
    return SocketIOPacket(type=type_, **fields)


EXAMPLES = [
    ("0", packet(T.CONNECT)),
    ('0{"token":"123"}', packet(T.CONNECT, payload=b'{"token":"123"}')),
    ('0{"sid":"oSO0OpakMV_3jnilAAAA"}', packet(T.CONNECT, payload=b'{"sid":"oSO0OpakMV_3jnilAAAA"}')),
    ("0/admin,", packet(T.CONNECT, namespace="/admin")),
    ('0/admin,{"token":"123"}', packet(T.CONNECT, namespace="/admin", payload=b'{"token":"123"}')),
    ("1", packet(T.DISCONNECT)),
    ("1/admin,", packet(T.DISCONNECT, namespace="/admin")),
    ('2["foo"]', packet(T.EVENT, name="foo")),
    ('2["hello",1]', packet(T.EVENT, name="hello", args=(b"1",))),
    ('2/admin,["bar"]', packet(T.EVENT, namespace="/admin", name="bar")),
    ('212["foo"]', packet(T.EVENT, ack_id=12, name="foo")),
    (
        '2/admin,456["project:delete",123]',
        packet(T.EVENT, namespace="/admin", ack_id=456, name="project:delete", args=(b"123",)),
    ),
    ('312["bar"]', packet(T.ACK, ack_id=12, args=(b'"bar"',))),
    ("3/admin,456[]", packet(T.ACK, namespace="/admin", ack_id=456)),
    (
        '4/admin,{"message":"Not authorized"}',
        packet(T.CONNECT_ERROR, namespace="/admin", payload=b'{"message":"Not authorized"}'),
    ),
    ('4{"message":"Invalid"}', packet(T.CONNECT_ERROR, payload=b'{"message":"Invalid"}')),
    (
        '51-["hello",{"_placeholder":true,"num":0}]',
        packet(T.BINARY_EVENT, name="hello", args=(P0,), attachment_count=1),
    ),
    (
        '51-/admin,456["project:delete",{"_placeholder":true,"num":0}]',
        packet(
            T.BINARY_EVENT,
            namespace="/admin",
            ack_id=456,
            name="project:delete",
            args=(P0,),
            attachment_count=1,
        ),
    ),
    (
        '61-/admin,456[{"_placeholder":true,"num":0}]',
        packet(T.BINARY_ACK, namespace="/admin", ack_id=456, args=(P0,), attachment_count=1),
    ),
    (
        '61-15["bar",{"_placeholder":true,"num":0}]',
        packet(T.BINARY_ACK, ack_id=15, args=(b'"bar"', P0), attachment_count=1),
    ),
    # the conformance suite's
    (
        '2["message",1,"2",{"3":[true]}]',
        packet(T.EVENT, name="message", args=(b"1", b'"2"', b'{"3":[true]}')),
    ),
    (
        '52-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        packet(T.BINARY_EVENT, ack_id=789, name="message-with-ack", args=(P0, P1), attachment_count=2),
    ),
    # the venue's
    (
        '51-["updateStream",{"_placeholder":true,"num":0}]',
        packet(T.BINARY_EVENT, name="updateStream", args=(P0,), attachment_count=1),
    ),
    ('2["NotAuthorized"]', packet(T.EVENT, name="NotAuthorized")),
]


@pytest.mark.parametrize(("wire", "value"), EXAMPLES, ids=lambda value: str(value)[:40])
def test_examples_both_ways(wire: str, value: SocketIOPacket) -> None:
    assert decode_socketio_packet(wire) == value
    assert encode_socketio_packet(value) == wire


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("0{}", packet(T.CONNECT, payload=b"{}")),
        (' 0{ "a" : 1 } '[1:], packet(T.CONNECT, payload=b'{ "a" : 1 }')),
        ("0/admin", packet(T.CONNECT, namespace="/admin")),
        ("0/admin?token=1&x=2,{}", packet(T.CONNECT, namespace="/admin", payload=b"{}")),
        ("0/?a=1", packet(T.CONNECT)),
        ("1/admin", packet(T.DISCONNECT, namespace="/admin")),
        ("4", packet(T.CONNECT_ERROR)),
        ('4"no"', packet(T.CONNECT_ERROR, payload=b'"no"')),
        (
            '2 [ "changeSymbol" , { "asset":"EURUSD_otc","period":60 } ] ',
            packet(T.EVENT, name="changeSymbol", args=(b'{ "asset":"EURUSD_otc","period":60 }',)),
        ),
        ('2007["x"]', packet(T.EVENT, ack_id=7, name="x")),
        ('29999999999999999999["x"]', packet(T.EVENT, ack_id=9_999_999_999_999_999_999, name="x")),
        ('50-["x"]', packet(T.BINARY_EVENT, name="x")),
        (
            '51-["x",{"num":0,"extra":1,"_placeholder":true}]',
            packet(
                T.BINARY_EVENT,
                name="x",
                args=(b'{"num":0,"extra":1,"_placeholder":true}',),
                attachment_count=1,
            ),
        ),
        (
            '2["x",{"_placeholder":true,"num":9}]',
            packet(T.EVENT, name="x", args=(b'{"_placeholder":true,"num":9}',)),
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_tolerated(wire: str, value: SocketIOPacket) -> None:
    assert decode_socketio_packet(wire) == value


REFUSED = [
    ("", "packet type"),
    ("7", "packet type"),
    ("abc", "packet type"),
    (" 2[]", "packet type"),
    ('5["x"]', "packet type"),
    ('5-["x"]', "packet type"),
    ('6["x"]', "packet type"),
    ("5１-[]", "packet type"),
    ('212-["x"]', "payload of a Socket.IO EVENT"),
    ("2", "payload of a Socket.IO EVENT"),
    ("2{}", "payload of a Socket.IO EVENT"),
    ("2[]", "payload of a Socket.IO EVENT"),
    ("2[1]", "payload of a Socket.IO EVENT"),
    ("2[null]", "payload of a Socket.IO EVENT"),
    ('2["x"', "payload of a Socket.IO EVENT"),
    ('2["x"]]', "payload of a Socket.IO EVENT"),
    ('2["x",]', "payload of a Socket.IO EVENT"),
    ('2["x",nul]', "payload of a Socket.IO EVENT"),
    ('2["x",1e]', "payload of a Socket.IO EVENT"),
    ('2["\ud800"]', "bad Unicode"),
    ('2abc["x"]', "payload of a Socket.IO EVENT"),
    ('2,["x"]', "payload of a Socket.IO EVENT"),
    ('2-1["x"]', "payload of a Socket.IO EVENT"),
    ('2٣["x"]', "payload of a Socket.IO EVENT"),
    ('2/admin["x"]', "payload of a Socket.IO EVENT"),
    ("312{}", "payload of a Socket.IO ACK"),
    ("312", "payload of a Socket.IO ACK"),
    ("3[]", "ACK packet without ack id"),
    ("60-[]", "BINARY_ACK packet without ack id"),
    ('2[""]', "empty or too long"),
    (f'2["{"x" * (EVENT_NAME_CHARS_MAX + 1)}"]', "empty or too long"),
    *((f'2["{name}"]', "reserved name") for name in sorted(RESERVED_NAMES)),
    ('50-["connect"]', "reserved name"),
    ("0[]", "no object"),
    ('0"x"', "no object"),
    ("01", "ack id"),
    ("0{", "payload of a Socket.IO CONNECT"),
    ("1{}", "DISCONNECT packet with a payload"),
    ("15", "ack id"),
    ("4[]", "no object"),
    ("41{}", "ack id"),
    ('51-["x"]', "no placeholder"),
    ('51-["x",{"_placeholder":true,"num":1}]', "placeholder"),
    ('51-["x",{"_placeholder":true,"num":-1}]', "placeholder"),
    ('51-["x",{"_placeholder":true,"num":"x"}]', "placeholder"),
    ('51-["x",{"_placeholder":true,"num":1e400}]', "payload|placeholder|JSON"),
    ('50-["x",{"_placeholder":true,"num":0}]', "placeholder"),
    ('52-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', "placeholder"),
]


@pytest.mark.parametrize(("wire", "reason"), REFUSED, ids=lambda value: ascii(value)[:40])
def test_refusals(wire: str, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        decode_socketio_packet(wire)
    assert caught.value.__context__ is None, "a context would hold the text in its frames"


@pytest.mark.parametrize(
    ("inside", "beyond"),
    [
        ('29999999999999999999["x"]', '210000000000000000000["x"]'),
        ('2["x"' + ",1" * EVENT_ARGS_MAX + "]", '2["x"' + ",1" * (EVENT_ARGS_MAX + 1) + "]"),
        ("31[1" + ",1" * (EVENT_ARGS_MAX - 1) + "]", "31[1" + ",1" * EVENT_ARGS_MAX + "]"),
        ("0/" + "x" * (NAMESPACE_CHARS_MAX - 1), "0/" + "x" * NAMESPACE_CHARS_MAX),
        (f'2["{"x" * EVENT_NAME_CHARS_MAX}"]', f'2["{"x" * (EVENT_NAME_CHARS_MAX + 1)}"]'),
        ('2["x",' + "[" * 63 + "1" + "]" * 64, '2["x",' + "[" * 64 + "1" + "]" * 65),
        (
            '50-["x"' + " " * (BINARY_HEADER_CHARS_MAX - 8) + "]",
            '50-["x"' + " " * (BINARY_HEADER_CHARS_MAX - 7) + "]",
        ),
    ],
    ids=["ack id", "event args", "ack args", "namespace", "name", "depth", "binary header"],
)
def test_limits_to_the_edge(inside: str, beyond: str) -> None:
    decode_socketio_packet(inside)
    with pytest.raises(RemoteProtocolError):
        decode_socketio_packet(beyond)


@pytest.mark.parametrize("count", ["11", "1000000", "9" * 5000])
def test_announcing_many_attachments_is_refused_at_once(count: str) -> None:
    with pytest.raises(LimitExceeded, match=f"attachments exceeds the limit of {ATTACHMENTS_MAX}"):
        decode_socketio_packet(f'5{count}-["x"]')


def test_deep_nesting_is_refused_before_decoding() -> None:
    with pytest.raises(LimitExceeded, match="depth"):
        decode_socketio_packet('2["x",' + "[" * 100_000)


def test_a_large_flat_event_is_fine() -> None:
    table = json.dumps([[number, "EURUSD_otc", []] for number in range(5000)])
    assert decode_socketio_packet(f'2["updateAssets",{table}]').args == (table.encode(),)


@pytest.mark.parametrize(
    "value",
    [
        packet(T.EVENT),
        packet(T.EVENT, name="connect"),
        packet(T.EVENT, name="x" * 257),
        packet(T.EVENT, name="\ud800"),
        packet(T.EVENT, name="x", args=(b"nope",)),
        packet(T.EVENT, name="x", args=(b"1,2",)),
        packet(T.EVENT, name="x", args=(b"",)),
        packet(T.EVENT, name="x", args=(b'"\xff"',)),
        packet(T.EVENT, name="x", args=(b"[" * 65 + b"]" * 65,)),
        packet(T.EVENT, name="x", args=(b"1",) * (EVENT_ARGS_MAX + 1)),
        packet(T.EVENT, name="x", ack_id=-1),
        packet(T.EVENT, name="x", ack_id=10**19),
        packet(T.EVENT, name="x", namespace="admin"),
        packet(T.EVENT, name="x", namespace=""),
        packet(T.EVENT, name="x", namespace="/a,b"),
        packet(T.EVENT, name="x", namespace="/a?b"),
        packet(T.EVENT, name="x", namespace="/" + "x" * NAMESPACE_CHARS_MAX),
        packet(T.EVENT, name="x", namespace="/\ud800"),
        packet(T.EVENT, name="x", payload=b"{}"),
        packet(T.EVENT, name="x", attachment_count=1),
        packet(T.BINARY_EVENT, name="x", attachment_count=1),
        packet(T.BINARY_EVENT, name="x", args=(P0, P0), attachment_count=1),
        packet(T.BINARY_EVENT, name="x", args=(b"nope",), attachment_count=1),
        packet(T.BINARY_EVENT, name="x", attachment_count=-1),
        packet(
            T.BINARY_EVENT,
            name="x",
            args=tuple(b'{"_placeholder":true,"num":%d}' % number for number in range(11)),
            attachment_count=11,
        ),
        packet(T.ACK),
        packet(T.ACK, ack_id=1, name="x"),
        packet(T.CONNECT, ack_id=1),
        packet(T.CONNECT, payload=b"[]"),
        packet(T.CONNECT, payload=b"{"),
        packet(T.CONNECT, name="x"),
        packet(T.CONNECT, args=(b"1",)),
        packet(T.DISCONNECT, payload=b"{}"),
        packet(T.CONNECT_ERROR, payload=b"1"),
    ],
    ids=repr,
)
def test_what_no_one_may_send(value: SocketIOPacket) -> None:
    with pytest.raises(LocalProtocolError):
        encode_socketio_packet(value)


def test_the_longest_namespace_can_be_sent() -> None:
    value = packet(T.CONNECT, namespace="/" + "x" * (NAMESPACE_CHARS_MAX - 1))
    assert decode_socketio_packet(encode_socketio_packet(value)) == value


def test_packets_show_no_payload() -> None:
    value = packet(T.EVENT, ack_id=3, name="auth", args=(b'"canary"',))
    assert repr(value) == "<EVENT / 'auth' ack_id=3 args=1 attachments=0>"
    assert "canary" not in str(value.__rich_repr__())


# --- properties ------------------------------------------------------------------------------------------------------

JSON_TEXTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"))
PLAIN_NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
NAMES = PLAIN_NAMES.filter(lambda name: name not in RESERVED_NAMES)
NAMESPACES = st.just("/") | PLAIN_NAMES.map(lambda name: "/" + name.replace(",", "").replace("?", ""))
ACK_IDS = st.integers(0, 10**19 - 1)
ARGS = st.lists(JSON_TEXTS, max_size=4).map(tuple)


@st.composite
def binary_args(draw) -> tuple[tuple[bytes, ...], int]:
    count = draw(st.integers(0, ATTACHMENTS_MAX))
    numbers = draw(st.permutations(range(count)))
    wrap = draw(st.sampled_from([b"%s", b"[%s]", b'{"a":[1,%s]}']))
    args = [wrap % (b'{"_placeholder":true,"num":%d}' % number) for number in numbers]
    return tuple(args), count


@st.composite
def packets(draw) -> SocketIOPacket:
    type_ = draw(st.sampled_from(T))
    fields: dict = {"namespace": draw(NAMESPACES)}
    if type_ in (T.EVENT, T.BINARY_EVENT):
        fields |= {"name": draw(NAMES), "ack_id": draw(st.none() | ACK_IDS)}
    if type_ in (T.ACK, T.BINARY_ACK):
        fields["ack_id"] = draw(ACK_IDS)
    if type_ in (T.EVENT, T.ACK):
        fields["args"] = draw(ARGS)
    if type_ in (T.BINARY_EVENT, T.BINARY_ACK):
        fields["args"], fields["attachment_count"] = draw(binary_args())
    if type_ in (T.CONNECT, T.CONNECT_ERROR):
        fields["payload"] = draw(
            st.none()
            | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2).map(
                lambda value: json.dumps(value).encode()
            )
        )
    return SocketIOPacket(type=type_, **fields)


@given(packets())
@example(packet(T.EVENT, namespace="/123", name="x"))
@example(packet(T.EVENT, namespace="/", name="x", args=(b'",]"',)))
def test_packets_make_the_round_trip(value: SocketIOPacket) -> None:
    assert decode_socketio_packet(encode_socketio_packet(value)) == value


@given(st.text() | st.text('0123456/,-?[]{}"ab\\:_', max_size=40))
def test_any_text_is_a_packet_or_a_protocol_error(text: str) -> None:
    try:
        value = decode_socketio_packet(text)
    except RemoteProtocolError:
        return
    assert decode_socketio_packet(encode_socketio_packet(value)) == value


@given(packets(), st.data())
def test_any_mutation_is_a_packet_or_a_protocol_error(value: SocketIOPacket, data: st.DataObject) -> None:
    wire = encode_socketio_packet(value)
    start = data.draw(st.integers(0, len(wire)))
    stop = data.draw(st.integers(start, min(len(wire), start + 3)))
    mutated = wire[:start] + data.draw(st.text(max_size=3)) + wire[stop:]
    try:
        decode_socketio_packet(mutated)
    except RemoteProtocolError:
        pass
