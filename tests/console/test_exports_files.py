"""Traces as files for people and other programs: Chrome's format, HTML, SVG, and the way to all of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.console.jaeger_strategies import resource_spans
from tests.console.jaeger_support import EPOCH_NS, MS, TRACE_ID, MemoryReader, a_span, of, pairs
from tracedrpc import semconv
from tracedrpc_console.exports import chrome, html, svg
from tracedrpc_console.exports.formats import Format, export
from tracedrpc_console.exports.lanes import MOST, lanes
from tracedrpc_console.spans import Event
from tracedrpc_console.store.model import LogRow

CLIENT, INTERNAL = Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL
HOSTILE = [
    "<script>alert(1)</script>", "</title></style></svg><img src=x onerror=alert(1)>",
    "\"' onload=alert(1) x='", "</summary></details><iframe srcdoc=x>",
    "javascript:alert(1)", "<!--", "]]>", "&lt;script&gt;", "\u2028\u2029", "\x00\x01\x1b\x7f", "\ufffe",
]


def a_call() -> list[Span]:
    """Return a call of 40 ms, sent after 2, delivered after 12, with a heartbeat."""
    at = EPOCH_NS + 20 * MS
    beat = Span.Event(name="heartbeat_received", time_unix_nano=at, attributes=pairs({"n": 1}))
    return [
        a_span(1, kind=CLIENT, ms=40, events=[beat], attributes={semconv.WHY: "40 ms: so"}),
        a_span(2, 1, "publish nova:compute", kind=CLIENT, start_ms=0.1, ms=1.9),
    ]


def the_server() -> list[Span]:
    return [
        a_span(3, 1, start_ms=12, ms=24, status=Status(code=Status.STATUS_CODE_ERROR, message="boom")),
        a_span(4, 1, "queue nova:compute", kind=INTERNAL, start_ms=2, ms=10),
    ]


@pytest.fixture
def reader():
    return MemoryReader([of("api", *a_call(), host="a"), of("compute", *the_server())])


# ---- Chrome ----------------------------------------------------------------------------------------


def events(reader, phase):
    document = json.loads(chrome.export(reader.trace(TRACE_ID)))
    return [event for event in document["traceEvents"] if event["ph"] == phase]


def test_spans_are_slices_in_microseconds_since_the_trace_began(reader):
    slices = events(reader, "X")
    served = next(event for event in slices if event["args"]["span_id"].endswith("3"))
    assert (served["ts"], served["dur"]) == (12_000.0, 24_000.0)
    assert (served["args"]["error"], served["args"]["status"]) == (True, "boom")
    assert len(slices) == 3


def test_services_are_processes_with_their_names(reader):
    told = [event for event in events(reader, "M") if event["name"] == "process_name"]
    names = {event["pid"]: event["args"]["name"] for event in told}
    assert sorted(names.values()) == ["api", "compute"]
    publish = next(event for event in events(reader, "X") if event["name"].startswith("publish"))
    assert names[publish["pid"]] == "api"


def test_a_message_is_an_arrow_from_the_end_of_its_publishing_to_its_delivery(reader):
    ((start,), (finish,)) = events(reader, "s"), events(reader, "f")
    assert (start["ts"], finish["ts"]) == (2000.0, 12_000.0)
    assert (start["id"], start["cat"], start["name"]) == (finish["id"], finish["cat"], finish["name"])
    assert start["pid"] != finish["pid"]


def test_the_time_in_the_queue_is_an_asynchronous_slice(reader):
    ((begin,), (end,)) = events(reader, "b"), events(reader, "e")
    assert (begin["name"], begin["ts"], end["ts"]) == ("queue nova:compute", 2000.0, 12_000.0)
    assert begin["id2"] == end["id2"]
    assert begin["args"]["span_id"].endswith("4")


def test_events_are_instants(reader):
    (beat,) = events(reader, "i")
    assert (beat["name"], beat["ts"], beat["args"]) == ("heartbeat_received", 20_000.0, {"n": 1})


def test_an_empty_trace_is_an_empty_file():
    assert json.loads(chrome.export([]))["traceEvents"] == []


class _Timed:
    def __init__(self, start_ns: int, end_ns: int) -> None:
        self.start_ns, self.end_ns = start_ns, end_ns


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_on_a_lane_spans_are_apart_or_one_inside_the_other(times):
    placed = lanes([_Timed(start, end) for start, end in times])
    assert len(placed) == len(times)
    for at, (lane, one) in enumerate(placed):
        for other_lane, other in placed[at + 1:]:
            one_end, other_end = max(one.start_ns, one.end_ns), max(other.start_ns, other.end_ns)
            if lane == other_lane:
                assert other.start_ns >= one_end or other_end <= one_end


def test_there_are_never_more_lanes_than_anybody_looks_at():
    crossing = [_Timed(at, 10_000 + at) for at in range(MOST + 50)]
    assert len({lane for lane, _ in lanes(crossing)}) == MOST


# ---- HTML and SVG ----------------------------------------------------------------------------------


class _Page(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._data: list[str] = []
        self.feed(page.decode())
        self.close()
        self.text = "".join(self._data)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self._data.append(data)


def a_log(at_ms: float, body: str, span: int = 0) -> LogRow:
    span_id = f"{span:016x}" if span else ""
    return LogRow(int(at_ms), EPOCH_NS + int(at_ms * MS), 9, "INFO", "compute", TRACE_ID, span_id, "", body)


def test_the_page_tells_the_trace_its_spans_and_why_it_took_so_long(reader):
    page = _Page(html.export(reader.trace(TRACE_ID)))
    for word in ("compute/reboot", "40 ms: so", TRACE_ID, "heartbeat_received", "host", "boom", "1 failed"):
        assert word in page.text
    assert page.tags.count("details") == 4
    assert "svg" in page.tags


def test_log_records_are_in_order_of_time_and_with_their_span(reader):
    logs = [a_log(30, "second"), a_log(15, "first", span=3)]
    text = _Page(html.export(reader.trace(TRACE_ID), logs)).text
    assert text.count("first") == 2
    assert text.rindex("first") < text.rindex("second")
    assert "+15.00 ms" in text


def test_the_page_has_no_script_and_asks_for_nothing_outside(reader):
    page = html.export(reader.trace(TRACE_ID), [a_log(1, "http://example.org/x")])
    parsed = _Page(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(parsed.tags)
    assert not {"src", "href", "action", "style"} & {name for name, _ in parsed.attributes}
    assert b"default-src 'none'" in page
    assert not re.search(rb"url\((?!#)|@import", page)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_a_service_says_is_text_in_the_page(reader, hostile):
    plain = reader.trace(TRACE_ID)
    attributes = {hostile: hostile, "list": [hostile], semconv.WHY: hostile}
    nasty = [
        replace(
            span, name=hostile, service=hostile, status_message=hostile, scope_name=hostile,
            trace_state=hostile, attributes=attributes, resource=attributes,
            events=(Event(hostile, EPOCH_NS, attributes),),
        ) for span in plain
    ]
    calm, stormy = (_Page(html.export(spans, [a_log(1, "x", span=3)])) for spans in (plain, nasty))
    assert set(stormy.tags) <= set(calm.tags)
    assert not [name for name, _ in stormy.attributes if name.startswith("on")]
    assert "alert(1)" not in hostile or "alert(1)" in stormy.text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_a_service_says_is_text_in_the_picture(reader, hostile):
    spans = [replace(span, name=hostile, service=hostile) for span in reader.trace(TRACE_ID)]
    picture = ET.fromstring(svg.export(spans))  # noqa: S314 - our own text
    assert not [each for each in picture.iter() if each.tag.endswith(("script", "img"))]


@settings(max_examples=40, deadline=None)
@given(st.lists(resource_spans(), max_size=2))
def test_any_trace_becomes_files_of_every_format(groups):
    reader = MemoryReader(groups)
    for trace_id in {row.trace_id for row in reader.rows()}:
        files = {wanted: export(reader, trace_id, wanted) for wanted in Format}
        for wanted in (Format.OTLP, Format.JAEGER, Format.CHROME):
            json.loads(files[wanted].content, parse_constant=pytest.fail)
        ET.fromstring(files[Format.SVG].content)  # noqa: S314 - our own text
        assert "script" not in _Page(files[Format.HTML].content).tags


@pytest.mark.parametrize("wanted", list(Format))
def test_a_file_has_a_safe_name_and_its_type(reader, wanted):
    file = export(reader, TRACE_ID, wanted)
    assert re.fullmatch(rf"trace-{TRACE_ID}(\.(otlp|jaeger|chrome))?\.(json|html|svg)", file.name)
    assert file.media_type.partition(";")[0] in {"application/json", "text/html", "image/svg+xml"}
    assert file.content


@pytest.mark.parametrize("wanted", list(Format))
def test_of_a_trace_that_is_not_there_there_is_no_file(reader, wanted):
    assert export(reader, "c" * 32, wanted) is None


def test_a_trace_of_10_000_spans_becomes_a_page(reader):
    spans = [a_span(at, 1 if at > 1 else 0, start_ms=at, ms=5) for at in range(1, 10_001)]
    large = MemoryReader([of("api", *spans)])
    assert _Page(export(large, TRACE_ID, Format.HTML).content).tags.count("details") == 10_000
    assert len(events(large, "X")) == 10_000
