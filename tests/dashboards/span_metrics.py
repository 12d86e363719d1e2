"""What the collector's `span_metrics` connector counts of spans, named as docker/otel-collector has it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.dashboards.translation import Sample, Series, series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.telemetry.otlp_values import SpanData

BOUNDS_MS = (2, 10, 50, 100, 250, 500, 1000, 2500, 5000)
CALLS = "traces_span_metrics_calls_total"
DURATION = "traces_span_metrics_duration_milliseconds"


def span_metrics(spans: Iterable[SpanData]) -> Iterator[Sample]:
    counts: Counter[Series] = Counter()
    for span in spans:
        labels = labels_of(span)
        took_ms = (span.end_ns - span.start_ns) / 1e6
        counts[series(CALLS, labels)] += 1
        counts[series(f"{DURATION}_count", labels)] += 1
        for bound in BOUNDS_MS:
            counts[series(f"{DURATION}_bucket", {**labels, "le": str(bound)})] += took_ms <= bound
        counts[series(f"{DURATION}_bucket", {**labels, "le": "+Inf"})] += 1
    return (Sample(one, count, is_counter=True) for one, count in counts.items())


def labels_of(span: SpanData) -> dict[str, str]:
    dimensions = {key.replace(".", "_"): str(span.attributes.get(key, "")) for key in ("rpc.method",
                                                                                       "error.type")}
    return dimensions | {
        "service_name": span.service,
        "span_name": span.name,
        "span_kind": f"SPAN_KIND_{span.kind}",
        "status_code": f"STATUS_CODE_{span.status}",
        "job": "otel-collector-spans",
        "instance": "otel-collector",
    }
