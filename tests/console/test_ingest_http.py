"""OTLP/HTTP: what is well is stored, what is not gets the answer that OTLP asks for and is counted."""

from __future__ import annotations

import base64
import gzip
import json
import zlib

import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from starlette.applications import Starlette

from tests.console.asgi import post
from tests.console.exports import a_log, a_span, gauge_export, log_export, trace_export, trace_id
from tests.console.stores import store
from tracedrpc_console.ingest.http import otlp_routes
from tracedrpc_console.ingest.intake import JSON, PROTOBUF, Intake
from tracedrpc_console.ingest.limits import ATTRIBUTES_MOST, BODY_MOST, EVENTS_MOST, RECORDS_MOST
from tracedrpc_console.store.inbox import Inbox
from tracedrpc_console.store.model import LogQuery
from tracedrpc_console.store.signals import Signal

EXPORTS = {
    "traces": trace_export(a_span(attributes={"k": [1, {"a": "b"}]})),
    "logs": log_export(a_log(trace_id=trace_id(1))),
    "metrics": gauge_export("used", (0, 1.0)),
}


@pytest.fixture
def a_store():
    with store() as made:
        yield made


@pytest.fixture
def app(a_store):
    return Starlette(routes=otlp_routes(a_store.intake))


def otlp_json(request):
    """Return a message as OTLP/JSON: protobuf's, but with ids as hex digits."""
    def as_hex(value):
        if isinstance(value, list):
            return [as_hex(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: base64.b64decode(item).hex() if name in IDS else as_hex(item)
            for name, item in value.items()
        }

    return json.dumps(as_hex(json.loads(MessageToJson(request)))).encode()


IDS = {"traceId", "spanId", "parentSpanId"}
PACK = {"": lambda body: body, "gzip": gzip.compress, "deflate": zlib.compress, "identity": lambda body: body}


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("kind", [PROTOBUF, JSON, PROTOBUF + "; charset=utf-8"])
@pytest.mark.parametrize("signal", EXPORTS)
def test_every_signal_is_taken_in_both_forms_and_every_packing(a_store, app, signal, kind, encoding):
    request = EXPORTS[signal]
    body = otlp_json(request) if kind == JSON else request.SerializeToString()
    answer = post(app, f"/v1/{signal}", PACK[encoding](body), content_type=kind, content_encoding=encoding)
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, kind.partition(";")[0])
    assert answer.body == (b"{}" if kind == JSON else b"")
    assert a_store.writer.flush(10)
    status = a_store.reader.status()
    assert {"traces": status.spans, "logs": status.logs, "metrics": status.points}[signal] == 1
    if signal == "traces":
        assert a_store.reader.trace(trace_id(1)) == [a_span(attributes={"k": [1, {"a": "b"}]})]


SPAN = EXPORTS["traces"].SerializeToString()
JSON_SPAN = b'{"resourceSpans": [{"scopeSpans": [{"spans": [{%s}]}]}]}'
BOMB = gzip.compress(b"\0" * (BODY_MOST + 1))


@pytest.mark.parametrize(("body", "headers", "status", "reason"), [
    (b"\xff\xff\xff", {}, 400, "malformed"),
    (SPAN[:-3], {}, 400, "malformed"),
    (b"", {"content_type": "text/plain"}, 415, "unknown_type"),
    (SPAN, {"content_type": ""}, 415, "unknown_type"),
    (SPAN, {"content_encoding": "br"}, 400, "malformed"),
    (SPAN, {"content_encoding": "gzip"}, 400, "malformed"),
    (gzip.compress(SPAN)[:-12], {"content_encoding": "gzip"}, 400, "malformed"),
    (BOMB, {"content_encoding": "gzip"}, 413, "too_large"),
    (zlib.compress(b"\0" * (BODY_MOST + 1)), {"content_encoding": "deflate"}, 413, "too_large"),
    (b"\0" * (BODY_MOST + 1), {}, 413, "too_large"),
    (b"{", {"content_type": JSON}, 400, "malformed"),
    (b"[]", {"content_type": JSON}, 400, "malformed"),
    (b'{"resourceSpans": 5}', {"content_type": JSON}, 400, "malformed"),
    (JSON_SPAN % b'"traceId": "xyz"', {"content_type": JSON}, 400, "malformed"),
    (b'{"a":' * 5000 + b"1" + b"}" * 5000, {"content_type": JSON}, 400, "malformed"),
    (JSON_SPAN % b'"name": "\\ud800"', {"content_type": JSON}, 400, "malformed"),
])
def test_what_cannot_be_read_is_refused_and_counted_and_nothing_else_is_lost(
    a_store, app, body, headers, status, reason,
):
    answer = post(app, "/v1/traces", body, **{"content_type": PROTOBUF} | headers)
    assert answer.status == status
    assert json.loads(answer.body)["error"]
    assert post(app, "/v1/traces", SPAN, content_type=PROTOBUF).status == 200
    assert a_store.writer.flush(10)
    assert a_store.reader.status().dropped == {"traces": {reason: 1}}
    assert a_store.reader.status().spans == 1


def test_a_body_without_end_is_refused_as_soon_as_it_is_too_large(app):
    answer = post(app, "/v1/logs", (b"\0" * 65536 for _ in range(10**9)), content_type=PROTOBUF)
    assert answer.status == 413


def test_only_post_is_taken(app):
    assert post(app, "/v1/traces", b"", method="GET").status == 405


def test_when_the_queue_is_full_the_sender_shall_come_again(tmp_path):
    with store(tmp_path / "console.db", inbox=Inbox(bytes_most=0)) as a_store:
        app = Starlette(routes=otlp_routes(a_store.intake))
        answer = post(app, "/v1/traces", SPAN, content_type=PROTOBUF)
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    with store(tmp_path / "console.db") as a_store:
        assert a_store.reader.status().spans == 0


HOSTILE = [
    ("bad_id", "trace_id", b""), ("bad_id", "trace_id", bytes(16)), ("bad_id", "span_id", b""),
    ("bad_id", "span_id", bytes(8)), ("bad_id", "span_id", b"1"), ("bad_id", "parent_span_id", b"123"),
    ("bad_time", "start_time_unix_nano", 2**64 - 1), ("bad_time", "end_time_unix_nano", 2**64 - 1),
    ("bad_time", "start_time_unix_nano", 0),
]


@pytest.mark.parametrize(("reason", "name", "value"), HOSTILE)
def test_a_span_that_cannot_be_stored_is_told_and_the_others_are(a_store, app, reason, name, value):
    request = trace_export(a_span(place=1), a_span(place=2), a_span(place=3))
    setattr(request.resource_spans[1].scope_spans[0].spans[0], name, value)
    answer = post(app, "/v1/traces", request.SerializeToString(), content_type=PROTOBUF)
    told = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, told.rejected_spans, told.error_message) == (200, 1, f"refused: 1 {reason}")
    assert a_store.writer.flush(10)
    assert a_store.reader.status().dropped == {"traces": {reason: 1}}
    assert a_store.reader.status().spans == 2


def test_counts_beyond_the_limits_are_refused_one_by_one(a_store):
    request = trace_export(
        a_span(place=1, attributes={f"k{n}": n for n in range(ATTRIBUTES_MOST + 1)}),
        a_span(place=2), a_span(place=3),
    )
    for _ in range(EVENTS_MOST + 1):
        request.resource_spans[1].scope_spans[0].spans[0].events.add(name="x")
    a_store.take(Signal.TRACES, request)
    many = log_export(a_log())
    records = many.resource_logs[0].scope_logs[0].log_records
    records.extend([records[0]] * (RECORDS_MOST + 4))
    receipt = a_store.intake.take(Signal.LOGS, many)
    assert (receipt.kept, receipt.refused) == (RECORDS_MOST, 5)
    a_store.spans(a_span(place=4))
    assert a_store.reader.status().dropped == {
        "traces": {"too_many_attributes": 1, "too_many_events": 1}, "logs": {"too_many_records": 5},
    }
    assert a_store.reader.status().logs == RECORDS_MOST


def test_deeply_nested_and_very_wide_values_harm_nobody(a_store, app):
    request = trace_export(a_span(place=1), a_span(place=2))
    value = request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="deep").value
    for _ in range(20):
        value = value.array_value.values.add()
    value.string_value = "bottom"
    wide = request.resource_spans[1].scope_spans[0].spans[0].attributes.add(key="wide").value
    wide.array_value.values.extend([AnyValue(int_value=1)] * 100_000)
    assert post(app, "/v1/traces", request.SerializeToString(), content_type=PROTOBUF).status == 200
    bomb = b""
    for _ in range(2000):
        size = len(bomb)
        varint = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
        bomb = b"\x2a" + varint + bomb
    assert post(app, "/v1/traces", bomb, content_type=PROTOBUF).status in {200, 400}
    assert a_store.writer.flush(30)
    assert a_store.reader.status().spans == 2


damaged = st.builds(
    lambda at, junk: SPAN[:at] + junk + SPAN[at + len(junk):],
    st.integers(0, len(SPAN)), st.binary(max_size=4),
)


def test_no_bytes_break_the_intake(a_store):
    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=300) | damaged)
    def send(body):
        for signal in Signal:
            a_store.intake.accept(signal, PROTOBUF, "", body)
            a_store.intake.accept(signal, JSON, "", body)

    send()
    assert a_store.writer.flush(20)
    a_store.spans(a_span(trace=77))
    assert a_store.reader.trace(trace_id(77))
    assert "not_stored" not in str(a_store.reader.status().dropped)


def test_what_was_taken_is_passed_on_as_it_came(a_store):
    passed = []
    intake = Intake(a_store.writer, lambda *export: passed.append(export))
    packed = gzip.compress(SPAN)
    intake.accept(Signal.TRACES, PROTOBUF, "gzip", packed)
    intake.accept(Signal.TRACES, PROTOBUF, "", b"\xff")
    assert passed == [("/v1/traces", PROTOBUF, "gzip", packed)]


def test_a_log_by_json_has_its_ids(a_store, app):
    body = otlp_json(log_export(a_log(trace_id=trace_id(1))))
    post(app, "/v1/logs", body, content_type=JSON)
    assert a_store.writer.flush(10)
    assert len(a_store.reader.logs(LogQuery(trace_id=trace_id(1))).items) == 1
