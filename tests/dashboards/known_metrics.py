"""Every metric that there is, with its labels: ours by their tables, everybody else's as they were told."""

from __future__ import annotations

import promql_parser

from tests.dashboards.committed import ROOT, Rule, rules
from tests.dashboards.translation import HISTOGRAM, exposed, label, metric_name
from tracedrpc_otel.instrument import Instrument, Kind
from tracedrpc_otel.instruments import INSTRUMENTS

RESOURCE = {"service_name", "host_name", "job", "instance"}
SPANS = {"span_name", "span_kind", "status_code", "rpc_method", "error_type", *RESOURCE}
OWN = {
    "up": {"job", "instance"},
    "prometheus_tsdb_head_series": {"job", "instance"},
    "ALERTS": {"alertname", "alertstate", "severity"},
}
"""What Prometheus makes of itself."""
SPAN_METRICS = {
    "traces_span_metrics_calls_total": SPANS,
    **{f"traces_span_metrics_duration_milliseconds{end}": {*SPANS, "le"} for end in HISTOGRAM},
}
RUNTIME = {
    "process_cpu_time_seconds_total": {"type"},
    "process_context_switches_total": {"type"},
    "process_memory_usage_bytes": set(),
    "process_memory_virtual_bytes": set(),
    "process_open_file_descriptor_count": set(),
    "process_thread_count": set(),
    "cpython_gc_collections_total": {"cpython_gc_generation"},
    "cpython_gc_collected_objects_total": {"cpython_gc_generation"},
    "cpython_gc_uncollectable_objects_total": {"cpython_gc_generation"},
}
"""What `tracedrpc_console.services.runtime` asks for; a test compares it with what the services told."""
RABBITMQ_QUEUE = {"vhost", "queue", "job", "instance"}
RABBITMQ = {
    **{f"rabbitmq_detailed_queue_{what}": RABBITMQ_QUEUE for what in ("messages_ready", "messages_unacked",
                                                                      "consumers")},
    **{f"rabbitmq_{what}": {"job", "instance"} for what in (
        "resident_memory_limit_bytes", "process_resident_memory_bytes", "disk_space_available_bytes",
        "disk_space_available_limit_bytes", "connections", "channels", "connections_opened_total",
        "connections_closed_total",
    )},
    **{f"rabbitmq_global_messages_{what}_total": {"job", "instance", "protocol", "queue_type"} for what in (
        "received", "routed", "delivered", "acknowledged", "redelivered",
    )},
}
"""What dashboards use of rabbitmq_prometheus; a test compares it with what a node told."""


def collector() -> dict[str, set[str]]:
    page = (ROOT / "tests" / "dashboards" / "otelcol.prom").read_text()
    return {sample.series.name: dict(sample.series.labels).keys() | {"job",
                                                                     "instance"} for sample in exposed(page)}


def ours() -> dict[str, set[str]]:
    return {name: labels for instrument in INSTRUMENTS for name, labels in of(instrument).items()}


def of(instrument: Instrument) -> dict[str, set[str]]:
    """The series of one instrument."""
    labels = {label(key) for key in instrument.attributes} | RESOURCE
    name = metric_name(instrument.name, instrument.unit, is_counter=instrument.kind is Kind.COUNTER)
    if instrument.kind is Kind.HISTOGRAM:
        return {f"{name}{end}": labels | {"le"} for end in HISTOGRAM}
    return {name: labels}


def known() -> dict[str, set[str]]:
    runtime = {name: labels | RESOURCE for name, labels in RUNTIME.items()}
    return OWN | SPAN_METRICS | runtime | RABBITMQ | collector() | ours() | recorded()


def recorded() -> dict[str, set[str]]:
    return {rule.name: left(rule) for rule in rules() if not rule.is_alert}


def left(rule: Rule) -> set[str]:
    """The labels that a recorded series keeps: those of the aggregations in it, without `le`."""
    groups = [set(node.modifier.labels) for node in nodes(rule.expr)
              if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None]
    return set.union(*groups) - {"le"}


def nodes(expr: str) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(expr), pre_visit=found.append)
    return found
