"""Frames: what we write py-amqp reads, what it writes we read, and hostile bytes end in an error."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal
from types import SimpleNamespace

import pytest
from amqp import spec
from amqp.basic_message import Message
from amqp.method_framing import frame_handler, frame_writer
from amqp.serialization import dumps, loads
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.drivers.rabbit import frames
from tracedrpc.drivers.rabbit.edge import NOT_READABLE, AmqpDelivery, Intake
from tracedrpc.drivers.rabbit.tables import MOST_DEPTH
from tracedrpc.message import DeadLetter
from tracedrpc.wire.body import Properties
from tracedrpc.wire.headers import dead_letter

FRAME_MAX = 4096
MALFORMED = (ValueError, IndexError, struct.error)

names = st.text(max_size=60).filter(lambda text: len(text.encode()) <= 255)
bodies = st.binary(max_size=3 * FRAME_MAX)
header_values = st.text(max_size=300)
headers = st.dictionaries(names, header_values, max_size=5)
ids = st.text("0123456789abcdef", min_size=32, max_size=32)


def publish(
    *, exchange="nova", key="compute", mandatory=True, body=b"{}", table=None,
    message_id="0" * 32, expiration_ms=None, mode=2, frame_max=FRAME_MAX,
):
    return frames.publish(
        1, exchange, key, mandatory, body, table or {}, message_id, expiration_ms, mode, frame_max,
    )


def read_by_py_amqp(data):
    """Return what py-amqp makes of published frames: method arguments and message."""
    found, rest = frames.split(data, FRAME_MAX)
    assert rest == b""
    heard = []
    handler = frame_handler(
        SimpleNamespace(bytes_recv=0), lambda *message: heard.append(message),
        content_methods={spec.Basic.Publish},
    )
    for frame in found:
        handler(frame)
    ((_, _, arguments, message),) = heard
    return loads("Bssbb", arguments, 4)[0], message


def written_by_py_amqp(method, arguments, message):
    """Return the frames that py-amqp writes, as a broker would."""
    written = []
    transport = SimpleNamespace(write=lambda data: written.append(bytes(data)))
    write = frame_writer(SimpleNamespace(frame_max=FRAME_MAX, bytes_sent=0), transport)
    write(1, 1, method, arguments, message)
    return b"".join(written)


# ---- what we write -------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    names, names, st.booleans(), bodies, headers, ids,
    st.none() | st.integers(1, 10**9), st.sampled_from([1, 2]),
)
def test_py_amqp_reads_what_we_publish(
    exchange, key, mandatory, body, table, message_id, expiration_ms, mode,
):
    data = publish(
        exchange=exchange, key=key, mandatory=mandatory, body=body, table=table,
        message_id=message_id, expiration_ms=expiration_ms, mode=mode,
    )
    arguments, message = read_by_py_amqp(data)
    assert arguments == [0, exchange, key, mandatory, False]
    assert (message.body if body else b"") == body
    expected = {
        "content_type": "application/json", "content_encoding": "utf-8", "application_headers": table,
        "delivery_mode": mode, "priority": 0, "message_id": message_id,
    }
    if expiration_ms is not None:
        expected["expiration"] = str(expiration_ms)
    assert message.properties == expected


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 3 * FRAME_MAX))
def test_no_frame_is_larger_than_agreed(size):
    found, rest = frames.split(publish(body=b"x" * size), FRAME_MAX)
    assert rest == b""
    assert all(len(payload) + frames.FRAME_OVERHEAD <= FRAME_MAX for _, _, payload in found)
    assert sum(len(payload) for kind, _, payload in found if kind == frames.BODY) == size


def test_a_body_that_just_fits_makes_one_frame():
    fits = FRAME_MAX - frames.FRAME_OVERHEAD
    assert len(frames.split(publish(body=b"x" * fits), FRAME_MAX)[0]) == 3
    assert len(frames.split(publish(body=b"x" * (fits + 1)), FRAME_MAX)[0]) == 4


@given(st.integers(0, 2**64 - 1), st.booleans())
def test_py_amqp_reads_our_acknowledgement(tag, multiple):
    ((kind, channel, payload),), _ = frames.split(frames.ack(7, tag, multiple=multiple), FRAME_MAX)
    assert (kind, channel, payload[:4]) == (frames.METHOD, 7, struct.pack(">HH", *spec.Basic.Ack))
    assert loads("Lb", payload, 4)[0] == [tag, multiple]


@given(st.integers(0, 2**64 - 1), st.booleans(), st.booleans())
def test_py_amqp_reads_our_negative_acknowledgement(tag, multiple, requeue):
    ((_, _, payload),), _ = frames.split(frames.nack(7, tag, multiple=multiple, requeue=requeue), FRAME_MAX)
    assert payload[:4] == struct.pack(">HH", 60, 120)
    assert loads("Lbb", payload, 4)[0] == [tag, multiple, requeue]


def test_a_name_that_is_too_long_is_an_error_that_shows_its_beginning():
    with pytest.raises(ValueError, match=r"at most 255 bytes, 'kkkk.*has 256"):
        publish(key="k" * 256)


def test_names_are_measured_in_bytes():
    with pytest.raises(ValueError, match="has 256"):
        publish(exchange="é" * 128)
    publish(exchange="é" * 127)


def test_a_header_with_half_a_character_is_sent_all_the_same():
    _, message = read_by_py_amqp(publish(table={"tracestate": "\ud800"}))
    assert message.properties["application_headers"] == {"tracestate": "?"}


# ---- cutting the stream --------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(bodies, min_size=1, max_size=4), st.data())
def test_frames_are_the_same_however_the_stream_is_cut(all_bodies, data):
    stream = b"".join(publish(body=body) for body in all_bodies)
    whole, rest = frames.split(stream, FRAME_MAX)
    assert rest == b""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    found, left = [], b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        more, left = frames.split(left + stream[start:end], FRAME_MAX)
        found += more
    assert found == whole
    assert left == b""


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_an_error(data):
    try:
        found, rest = frames.split(data, FRAME_MAX)
    except ValueError:
        return
    assert sum(len(payload) + frames.FRAME_OVERHEAD for _, _, payload in found) + len(rest) == len(data)


def test_a_frame_without_its_end_mark_is_an_error():
    damaged = publish()[:-1] + b"\x00"
    with pytest.raises(ValueError, match="end mark"):
        frames.split(damaged + b"\x00", FRAME_MAX)


def test_a_frame_that_says_it_is_huge_is_an_error_before_it_is_there():
    with pytest.raises(ValueError, match="4294967295 bytes"):
        frames.split(struct.pack(">BHIB", 3, 1, 2**32 - 1, 0), FRAME_MAX)


# ---- what we read --------------------------------------------------------------------------------


def deliver(
    body=b"{}", consumer="compute", tag=1, redelivered=False, exchange="nova", key="compute", **properties,
):
    arguments = dumps("sLbss", (consumer, tag, redelivered, exchange, key))
    return written_by_py_amqp(spec.Basic.Deliver, arguments, Message(body, **properties))


def received(data):
    intake = Intake()
    handler = intake.handler(SimpleNamespace(bytes_recv=0), lambda *_: None)
    for frame in frames.split(data, FRAME_MAX)[0]:
        handler(frame)
    return intake


@settings(max_examples=200, deadline=None)
@given(names, st.integers(0, 2**64 - 1), st.booleans(), names, names, bodies, headers)
def test_we_read_what_py_amqp_delivers(consumer, tag, redelivered, exchange, key, body, table):
    data = deliver(
        body, consumer, tag, redelivered, exchange, key, content_type="application/json",
        content_encoding="utf-8", application_headers=table,
    )
    (delivery,) = received(data).deliveries
    assert (delivery.consumer, delivery.tag, delivery.redelivered) == (consumer, tag, redelivered)
    assert (delivery.exchange, delivery.routing_key, delivery.body) == (exchange, key, body)
    assert delivery.properties() == Properties("application/json", "utf-8", table)


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({}, optional={
    "content_type": names, "content_encoding": names, "delivery_mode": st.integers(0, 255),
    "priority": st.integers(0, 255), "correlation_id": names, "reply_to": names, "expiration": names,
    "message_id": names, "type": names, "user_id": names, "app_id": names,
}))
def test_any_set_of_properties_is_read(properties):
    (delivery,) = received(deliver(**properties)).deliveries
    kind, encoding, table, message_id = frames.read_properties(delivery.header)
    assert (kind, encoding) == (properties.get("content_type"), properties.get("content_encoding"))
    assert table == {}
    assert message_id == properties.get("message_id")


def test_header_values_of_other_types_are_read():
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    table = {
        "number": -5, "big": 2**40, "float": 1.5, "truth": True, "nothing": None,
        "list": ["a", 1, ["b"]], "table": {"traceparent": "not this one"}, "money": Decimal("1.5"),
        "when": when, "traceparent": "this one",
    }
    (delivery,) = received(deliver(application_headers=table)).deliveries
    assert delivery.properties().headers == table | {"money": 1.5, "when": when.timestamp()}


def test_the_table_that_rabbitmq_adds_to_dead_letters_is_read():
    death = {
        "count": 3, "reason": "expired", "queue": "compute", "time": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        "exchange": "nova", "routing-keys": ["compute", "compute.cn7"],
    }
    (delivery,) = received(deliver(application_headers={"x-death": [death], "traceparent": "t"})).deliveries
    headers = delivery.properties().headers
    assert headers["x-death"][0]["routing-keys"] == ["compute", "compute.cn7"]
    assert dead_letter(headers) == DeadLetter("expired", "compute", 3)
    assert headers["traceparent"] == "t"


table_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(names, table_values, max_size=4))
def test_any_table_is_read_as_py_amqp_writes_it(table):
    (delivery,) = received(deliver(application_headers=table)).deliveries
    assert delivery.properties().headers == table


def test_what_follows_a_value_of_an_unknown_type_is_left_out():
    table = b"\x01aS\x00\x00\x00\x01x" + b"\x01b?\x01" + b"\x01cV"
    header = struct.pack(">HHQHI", 60, 0, 2, 1 << 13 | 1 << 7, len(table)) + table + b"\x02id"
    assert frames.read_properties(header)[2:] == ({"a": "x"}, "id")


def test_what_nests_too_deep_is_nothing():
    nested = b"V"
    for _ in range(100):
        nested = b"A" + struct.pack(">I", len(nested)) + nested
    table = b"\x01a" + nested + b"\x01bV"
    header = struct.pack(">HHQHI", 60, 0, 2, 1 << 13, len(table)) + table
    found = frames.read_properties(header)[2]
    assert found["b"] is None
    depth, value = 0, found["a"]
    while value:
        depth, value = depth + 1, value[0]
    assert depth == MOST_DEPTH


@settings(max_examples=100, deadline=None)
@given(headers, st.integers(2**32, 2**63 - 1), names, names)
def test_the_place_in_a_stream_is_found_among_other_headers(table, offset, kind, encoding):
    table = {
        "list": ["a", 1], "table": {"x-stream-offset": 2**40}, "truth": True, "nothing": None,
        "money": Decimal("1.5"), **table, "x-stream-offset": offset,
    }
    (delivery,) = received(
        deliver(application_headers=table, content_type=kind, content_encoding=encoding),
    ).deliveries
    assert delivery.stream_offset() == offset


def test_a_place_in_a_stream_is_a_long_number_however_small():
    table = b"\x0fx-stream-offsetl" + struct.pack(">q", 3)
    header = struct.pack(">HHQHI", 60, 0, 2, 1 << 13, len(table)) + table
    assert frames.read_stream_offset(header) == 3


@pytest.mark.parametrize("table", [{}, {"x-stream-offset": "7"}, {"offset": 2**40}, None])
def test_a_message_from_a_queue_has_no_place_in_a_stream(table):
    properties = {} if table is None else {"application_headers": table}
    (delivery,) = received(deliver(**properties)).deliveries
    assert delivery.stream_offset() is None


def test_several_messages_come_in_order():
    intake = received(deliver(b"a", tag=1) + deliver(b"b" * 3 * FRAME_MAX, tag=2) + deliver(b"", tag=3))
    assert [delivery.tag for delivery in intake.deliveries] == [1, 2, 3]
    assert [len(delivery.body) for delivery in intake.deliveries] == [1, 3 * FRAME_MAX, 0]


def test_a_returned_message_is_known_by_its_id():
    arguments = dumps("Bsss", (0, "NO_ROUTE", "nova", "compute"))  # reply-code is read by nobody
    message = Message(b"{}", message_id="f" * 32)
    intake = received(written_by_py_amqp(spec.Basic.Return, arguments, message))
    assert intake.returned == ["f" * 32]
    assert not intake.deliveries


@given(st.integers(0, 2**64 - 1), st.booleans())
def test_confirms_are_told_at_once(tag, multiple):
    intake, heard = Intake(), []
    intake.on_confirm = lambda *confirm: heard.append(confirm)
    handler = intake.handler(SimpleNamespace(bytes_recv=0), lambda *_: None)
    nack = frames.nack(1, tag, multiple=multiple, requeue=False)
    for data in (frames.ack(1, tag, multiple=multiple), nack):
        handler(frames.split(data, FRAME_MAX)[0][0])
    assert heard == [(tag, multiple, True), (tag, multiple, False)]


def test_a_cancelled_consumer_is_known_by_its_tag():
    payload = frames.CANCEL + dumps("sb", ("compute.cn7", True))
    data = struct.pack(">BHI", 1, 1, len(payload)) + payload + frames.END
    assert received(data).cancelled == ["compute.cn7"]


def test_everything_else_goes_to_py_amqp():
    heard = []
    handler = Intake().handler(SimpleNamespace(bytes_recv=0), lambda *message: heard.append(message))
    payload = struct.pack(">HH", *spec.Queue.DeclareOk) + dumps("sll", ("compute", 0, 0))
    assert handler((frames.METHOD, 1, payload))
    assert heard[0][:2] == (1, spec.Queue.DeclareOk)


# ---- hostile -------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_header_is_read_or_an_error_of_three_kinds(payload):
    try:
        frames.read_properties(payload)
    except MALFORMED:
        return


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120))
def test_any_header_table_is_read_or_said_to_be_unreadable(table):
    flags = struct.pack(">HHQH", 60, 0, 2, 1 << 13)
    delivery = AmqpDelivery(frames.DELIVER + dumps("sLbss", ("c", 1, False, "", "")), b"", b"{}")
    delivery.header = flags + struct.pack(">I", len(table)) + table
    offset = delivery.stream_offset()
    assert offset is None or isinstance(offset, int)
    properties = delivery.properties()
    assert properties is NOT_READABLE or all(isinstance(key, str) for key in properties.headers)
    dead_letter(properties.headers)


def test_a_table_longer_than_its_frame_is_an_error():
    header = struct.pack(">HHQHI", 60, 0, 2, 1 << 13, 10**6)
    with pytest.raises(ValueError, match="longer than its frame"):
        frames.read_properties(header)


def test_a_table_that_seems_endless_is_read_in_linear_time():
    table = b"\x01aV" * 40_000
    header = struct.pack(">HHQHI", 60, 0, 2, 1 << 13, len(table)) + table
    assert frames.read_properties(header)[2] == {"a": None}
