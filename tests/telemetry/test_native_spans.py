"""What the native sink writes is what the SDK and its OTLP encoder would have written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from tracedrpc.semconv import SCHEMA_URL
from tracedrpc_otel.native_sink import NativeSink
from tracedrpc_otel.otlp_spans import Envelope
from tracedrpc_otel.own_provider import OwnProvider
from tracedrpc_otel.records import Ending, EventRecord, Fixed, SpanRecord, Start
from tracedrpc_otel.sink import SCOPE_NAME, SdkSink, scope_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.sampling import SamplingResult

    from tracedrpc_otel.sink import LiveSpan, Sink

RESOURCE = Resource({"service.name": "nova", "answer": 42, "list": ["a", "b"]}, "https://example.org/1.0")
STARTED_NS = 1_700_000_000_000_000_000
AMPLE = SpanLimits(max_attribute_length=1024, max_span_attribute_length=1024)
TIGHT = SpanLimits(
    max_span_attributes=3, max_events=2, max_links=1, max_event_attributes=1, max_link_attributes=1,
    max_attribute_length=5, max_span_attribute_length=7,
)


class Counting(IdGenerator):
    """The same ids each time."""

    def __init__(self) -> None:
        self._last = 0

    def generate_span_id(self) -> int:
        self._last += 1
        return self._last

    def generate_trace_id(self) -> int:
        return 0xABC << 64

    def is_trace_id_random(self) -> bool:
        return True


class Opinionated(Sampler):
    """Adds an attribute, overrides one, and does not want spans of some names."""

    def should_sample(self, *_args: Any, **options: Any) -> SamplingResult:
        raise NotImplementedError

    def get_description(self) -> str:
        return "Opinionated"


class Answering(Opinionated):
    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, kind: Any = None,
        attributes: Any = None, links: Any = None, trace_state: Any = None,
    ) -> SamplingResult:
        chosen = ALWAYS_OFF if name.startswith("unwanted") else ALWAYS_ON
        more = {**(attributes or {}), "sampler": "opinionated", "rpc.method": "sampled"}
        return chosen.should_sample(parent_context, trace_id, name, kind, more, links)


def native(story: Callable[[Sink], None], limits: SpanLimits, sampler: Sampler) -> ExportTraceServiceRequest:
    provider = OwnProvider(RESOURCE, limits)
    provider.sampler, provider.id_generator = sampler, Counting()
    written: list[bytes] = []
    story(NativeSink(provider, written.append))
    envelope = Envelope(SCOPE_NAME, scope_version(), SCHEMA_URL)
    return ExportTraceServiceRequest.FromString(envelope.of(written, RESOURCE) if written else b"")


def by_sdk(story: Callable[[Sink], None], limits: SpanLimits, sampler: Sampler) -> ExportTraceServiceRequest:
    provider = TracerProvider(
        sampler, RESOURCE, id_generator=Counting(), span_limits=limits, shutdown_on_exit=False,
    )
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    story(SdkSink(provider))
    return encode_spans(exporter.get_finished_spans())


def tidy(request: ExportTraceServiceRequest) -> list[Any]:
    """Return the spans in the order of their ids, and their attributes in that of their keys.

    OTLP gives no meaning to either order.
    """
    scopes = [scope for each in request.resource_spans for scope in each.scope_spans]
    spans = sorted((span for scope in scopes for span in scope.spans), key=lambda span: span.span_id)
    for span in spans:
        for holder in (span, *span.events, *span.links):
            _sort(holder.attributes)
    return spans


def _sort(pairs: Any) -> None:
    pairs.sort(key=lambda pair: pair.key)
    for pair in pairs:
        _sort_within(pair.value)


def _sort_within(value: Any) -> None:
    if value.HasField("kvlist_value"):
        _sort(value.kvlist_value.values)
    elif value.HasField("array_value"):
        for each in value.array_value.values:
            _sort_within(each)


def assert_same(
    story: Callable[[Sink], None], limits: SpanLimits = AMPLE, sampler: Sampler = ALWAYS_ON,
) -> list[Any]:
    ours, theirs = native(story, limits, sampler), by_sdk(story, limits, sampler)
    spans = tidy(ours)
    assert spans == tidy(theirs)
    if theirs.resource_spans:
        assert _around(ours.resource_spans[0]) == _around(theirs.resource_spans[0])
    return spans


def _around(resource_spans: Any) -> list[Any]:
    (scope_spans,) = resource_spans.scope_spans
    return [resource_spans.resource, resource_spans.schema_url, scope_spans.scope, scope_spans.schema_url]


def start(attributes: dict[str, Any] | None = None, kind: SpanKind = SpanKind.CLIENT) -> Start:
    text: Any = "compute/reboot"
    first = {"rpc.method": text} if attributes is None else attributes
    return Start("compute/reboot", kind, Fixed(first), text)


def remote(flags: int = 1) -> SpanContext:
    state = TraceState([("k", "v")])
    return SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(flags), trace_state=state)


def under(parent: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def api_span(live: LiveSpan) -> trace.Span:
    """Return the span that the application sees while the work runs."""
    return trace.get_current_span(live.context)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=150)
whole = st.integers(-(2**63), 2**63 - 1)
real = st.floats(allow_nan=False)
scalars = texts | whole | real | st.booleans()
values = st.recursive(
    scalars | st.binary(max_size=200) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
attribute_sets = st.dictionaries(keys, scalars, max_size=12)
any_attributes = st.dictionaries(keys, values, max_size=6)


@given(first=attribute_sets, last=attribute_sets, theirs=any_attributes, failure=texts | st.none())
def test_any_attributes_are_written_as_the_sdk_writes_them(
    first: dict[str, Any], last: dict[str, Any], theirs: dict[str, Any], failure: Any,
) -> None:
    def story(sink: Sink) -> None:
        live = sink.start(start(first), Context(), STARTED_NS)
        if theirs:
            api_span(live).set_attributes(theirs)
        live.finish(Ending(STARTED_NS + 5, last, failure))

    assert len(assert_same(story)) == 1


@given(theirs=any_attributes, events=st.lists(st.tuples(texts, any_attributes), max_size=4))
def test_what_the_application_adds_is_written_within_the_tightest_limits(
    theirs: dict[str, Any], events: list[tuple[str, dict[str, Any]]],
) -> None:
    def story(sink: Sink) -> None:
        live = sink.start(start({"a": 1, "b": "bbbbbbbbbb"}, SpanKind.SERVER), under(remote()), STARTED_NS)
        span = api_span(live)
        span.set_attributes(theirs)
        for name, attributes in events:
            span.add_event(name, attributes, STARTED_NS + 1)
            span.add_link(remote(), attributes)
        live.event(EventRecord("ours", STARTED_NS + 2, {"x": 1, "y": 2}))
        live.finish(Ending(STARTED_NS + 5, {"c": 2.5, "d": True}))

    assert_same(story, TIGHT)


def leaf(name: str = "publish nova:compute", **fields: Any) -> SpanRecord:
    return SpanRecord(name, SpanKind.CLIENT, STARTED_NS + 1, STARTED_NS + 2, {"n": 1}, **fields)


FAILURE: Any = "timeout"
EVENT = EventRecord("publish_retried", STARTED_NS + 1, {"tracedrpc.attempt": 2})


def whole_call(sink: Sink) -> None:
    live = sink.start(start(), under(remote()), STARTED_NS, links=(remote(),))
    live.event(EventRecord("heartbeat_received", STARTED_NS + 1, {"n": 3}))
    below = (leaf("connect"), leaf("tls"))
    live.leaf(leaf(events=(EVENT,), links=(remote(),), failure=FAILURE, children=below))
    live.leaf(leaf("unwanted receive"))
    live.finish(Ending(STARTED_NS + 9, {"rpc.method": "_OTHER"}, FAILURE, "_OTHER", (EVENT, EVENT)))
    sink.leaf(under(live.span_context), leaf("late reply"))


@pytest.mark.parametrize("limits", [AMPLE, TIGHT], ids=["ample", "tight"])
@pytest.mark.parametrize("sampler", [
    ALWAYS_ON, ParentBased(ALWAYS_ON), ParentBased(TraceIdRatioBased(1.0)), Answering(),
    ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_OFF),
], ids=["on", "parent", "ratio", "opinionated", "no-children"])
def test_a_call_with_leaves_events_and_links_is_the_same_trace(limits: SpanLimits, sampler: Sampler) -> None:
    spans = assert_same(whole_call, limits, sampler)
    assert spans


@pytest.mark.parametrize("flags", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "sampler", [ParentBased(ALWAYS_ON), ALWAYS_ON, ALWAYS_OFF], ids=["parent", "on", "off"],
)
def test_trace_flags_and_sampling_follow_the_parent_as_in_the_sdk(flags: int, sampler: Sampler) -> None:
    seen: list[tuple[Any, bool]] = []

    def story(sink: Sink) -> None:
        for parent in (Context(), under(remote(flags))):
            live = sink.start(start(), parent, STARTED_NS)
            context = api_span(live).get_span_context()
            seen.append((context, live.is_recording()))
            assert context == live.span_context
            live.finish(Ending(STARTED_NS + 1))
            live.leaf(leaf()) if live.span_context.trace_flags.sampled else None

    assert_same(story, sampler=sampler)
    assert seen[:2] == seen[2:], "ids, flags, state and sampling"


def test_one_call_can_be_traced_that_is_not_sampled() -> None:
    def story(sink: Sink) -> None:
        for parent in (Context(), under(remote(0)), under(remote(1))):
            live = sink.start(start(), parent, STARTED_NS, forced=True)
            assert live.is_recording()
            live.finish(Ending(STARTED_NS + 1))

    spans = assert_same(story, sampler=ParentBased(ALWAYS_OFF))
    assert len(spans) == 3
    assert spans[1].links[0].span_id == (8).to_bytes(8, "big"), "linked to the one that is not sampled"


def test_the_application_has_a_span_like_any_other() -> None:
    def story(sink: Sink) -> None:
        live = sink.start(start(kind=SpanKind.SERVER), under(remote()), STARTED_NS)
        span = api_span(live)
        assert span.is_recording()
        span.set_attribute("app.user", "ann")
        span.set_attribute("rpc.method", "renamed")
        span.add_event("cache missed", {"key": "k"}, STARTED_NS + 1)
        span.add_link(remote(), {"why": "batch"})
        span.update_name("another name")
        span.record_exception(ValueError("text"), {"more": 1}, STARTED_NS + 2, escaped=True)
        span.set_status(Status(StatusCode.ERROR, "by hand"))
        span.set_status(StatusCode.UNSET)
        live.finish(Ending(STARTED_NS + 5, {"tracedrpc.phase.handler_ms": 1.5}))
        assert not span.is_recording()

    (span,) = assert_same(story)
    assert span.name == "another name"
    assert span.status.message == "by hand"


def test_a_status_of_ok_stays() -> None:
    def story(sink: Sink) -> None:
        live = sink.start(start(kind=SpanKind.SERVER), Context(), STARTED_NS)
        api_span(live).set_status(StatusCode.OK)
        api_span(live).set_status(StatusCode.ERROR, "too late")
        live.finish(Ending(STARTED_NS + 5, {}, FAILURE))

    (span,) = assert_same(story)
    assert span.status.code == 1


def test_a_handler_may_end_its_span_and_what_comes_later_is_ignored() -> None:
    def story(sink: Sink) -> None:
        live = sink.start(start(kind=SpanKind.SERVER), Context(), STARTED_NS)
        api_span(live).end(STARTED_NS + 3)
        live.event(EVENT)
        live.finish(Ending(STARTED_NS + 5, {"late": 1}))

    (span,) = assert_same(story)
    assert span.end_time_unix_nano == STARTED_NS + 3


def test_text_that_utf8_cannot_write_and_numbers_that_are_too_big_cost_nobody_else() -> None:
    provider = OwnProvider(RESOURCE, AMPLE)
    written: list[bytes] = []
    live = NativeSink(provider, written.append).start(start(), Context(), STARTED_NS)
    api_span(live).set_attributes(
        {"lone": "a\ud800b", "big": 2**63, "list": [1, 2**70], "nan": math.nan, "ok": 1},
    )
    live.finish(Ending(STARTED_NS + 1))
    (span,) = tidy(ExportTraceServiceRequest.FromString(Envelope("s", "1", "u").of(written, RESOURCE)))
    found = {pair.key: pair.value for pair in span.attributes}
    assert found["lone"].string_value == "a?b"
    assert found["ok"].int_value == 1
    assert math.isnan(found["nan"].double_value)
    assert [value.int_value for value in found["list"].array_value.values] == [1]
    assert "big" not in found


def test_a_span_processor_of_the_application_sees_every_span_from_then_on(caplog: Any) -> None:
    provider = OwnProvider(RESOURCE, AMPLE)
    written: list[bytes] = []
    sink, exporter = NativeSink(provider, written.append), InMemorySpanExporter()
    whole_call(sink)
    count = len(written)
    assert count
    with caplog.at_level("INFO", "tracedrpc"):
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    whole_call(sink)
    assert len(written) == count
    assert len(exporter.get_finished_spans()) == count
    said = [record.message for record in caplog.records]
    assert len([text for text in said if "span_processor_added" in text]) == 1, said
