"""Any spans that OTLP can hold, for hypothesis."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from tests.console.jaeger_support import pairs

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.floats(allow_nan=False) | st.just(math.nan)  # JSON has one NaN, IEEE 754 has many
values = st.recursive(
    st.one_of(
        texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), numbers, st.binary(max_size=9), st.none(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
attributes = st.dictionaries(texts, values, max_size=4).map(pairs)
times = st.integers(0, 2**64 - 1)
ids = st.binary(min_size=8, max_size=8).filter(any)
trace_ids = st.sampled_from([bytes(15) + b"1", b"2" * 16])
events = st.builds(Span.Event, name=texts, time_unix_nano=times, attributes=attributes)
links = st.builds(
    Span.Link, trace_id=trace_ids, span_id=ids, attributes=attributes, trace_state=texts,
    flags=st.integers(0, 2**32 - 1),
)
spans = st.builds(
    Span, trace_id=trace_ids, span_id=ids, parent_span_id=st.just(b"") | ids, name=texts,
    kind=st.integers(0, 5), start_time_unix_nano=times, end_time_unix_nano=times, attributes=attributes,
    events=st.lists(events, max_size=2), links=st.lists(links, max_size=2), trace_state=texts,
    flags=st.integers(0, 2**32 - 1), dropped_events_count=st.integers(0, 9),
    status=st.fixed_dictionaries({"code": st.integers(0, 2), "message": texts}),
)


@st.composite
def resource_spans(draw: Any) -> ResourceSpans:
    group = ResourceSpans(schema_url=draw(texts))
    group.resource.attributes.extend(draw(attributes))
    if draw(st.booleans()):
        group.resource.attributes.extend(pairs({"service.name": draw(texts)}))
    for _ in range(draw(st.integers(0, 2))):
        scoped = group.scope_spans.add(scope={"name": draw(texts), "version": draw(texts)})
        scoped.spans.extend(draw(st.lists(spans, max_size=3)))
    return group
