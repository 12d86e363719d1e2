"""Dashboard 4, telemetry health: whether what the other dashboards show is all there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana.links import Look, events
from grafana.lists import log_lines, words
from grafana.page import laid_out, page, services
from grafana.panels import graph, number, row
from grafana.telling import AMBER, FULL, RED, Query

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

UID: Final = "tracedrpc-telemetry"
DROPPED: Final = 'tracedrpc_telemetry_dropped_total{service_name=~"$service"}'
OURSELVES: Final = events(
    "telemetry_failed", "background_failed", "configure_declined", "span_processor_added", "peer_detected",
)
ANY: Final = Look()
SPANS: Final = (
    'traces_span_metrics_calls_total{service_name=~"$service", span_kind="SPAN_KIND_CLIENT", '
    'rpc_method!=""}'
)
CALLS: Final = 'rpc_client_call_duration_seconds_count{service_name=~"$service"}'
NEXT: Final = """\
* **A service drops**: its endpoint is slow or away; `OTEL_EXPORTER_OTLP_ENDPOINT`, then \
`OTEL_BSP_MAX_QUEUE_SIZE`. It never slows calls down.
* **The collector refuses or fails**: its queue is full or a store is down; see its log, and the store's own \
health.
* **Fewer spans than calls**: a sampler, `TRACEDRPC_TRACING=off` or `compact`, or drops. Metrics count every \
call in any case.
* **A service is missing**: it has no provider (`configure_declined` says why), or its process is gone.
"""


def dashboard() -> Dashboard:
    """Return it."""
    made = page(UID, "tracedrpc: telemetry health",
                "Whether spans, metrics and log records reach their stores.")
    for variable in services("tracedrpc_telemetry_dropped_total"):
        made.with_variable(variable)
    return laid_out(made, [*_numbers(), words(NEXT, look=OURSELVES), *_services(), *_collector(), *_stores()])


def _coverage(every: str) -> str:
    return f"sum(rate({SPANS}[{every}])) / (sum(rate({CALLS}[{every}])) > 0)"


def _numbers() -> list[object]:
    failed = "sum(rate(otelcol_exporter_send_failed_spans_total[$__rate_interval])) or vector(0)"
    full = "max(otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)"
    return [
        number("Dropped in 10 min", "short",
               "Spans, points and records that services dropped in the last ten minutes.",
               f"sum(increase({DROPPED}[10m]))", look=OURSELVES, steps=((1, AMBER), (100, RED))),
        number("Processes", "short", "Processes that export metrics.",
               f"count(count by (instance) ({DROPPED}))", look=ANY),
        number("Client spans for each call", "short",
               "CLIENT spans that name a method, over calls measured; 1 when nothing is sampled out.",
               _coverage("10m"), look=ANY),
        number("Collector fails", "cps", "Spans that the collector could not hand on, per second.", failed,
               look=ANY,
               steps=((0.1, AMBER), (1, RED))),
        number("Collector's queue", "percentunit", "The fullest sending queue of the collector.", full,
               look=ANY,
               steps=((0.5, AMBER), (0.9, RED))),
        number("Targets down", "short", "Targets that Prometheus cannot scrape.",
               "count(up == 0) or vector(0)", look=ANY,
               steps=((1, RED),)),
    ]


def _services() -> list[object]:
    return [
        row("Services"),
        graph("Dropped by services", "cps", "Of what tracedrpc_otel.configure() set up, by signal.",
              Query(f"sum by (service_name, tracedrpc_signal) (rate({DROPPED}[$__rate_interval]))",
                    "{{service_name}} {{tracedrpc_signal}}"),
              look=OURSELVES, steps=((0.1, RED),)),
        graph("Spans and calls", "reqps",
              "Calls as metrics count them, and the spans that the collector saw of them.",
              Query(f"sum by (service_name) (rate({CALLS}[$__rate_interval]))", "{{service_name}} calls"),
              Query(f"sum by (service_name) (rate({SPANS}[$__rate_interval]))", "{{service_name}} spans"),
              look=ANY),
        graph("Processes that export", "short", "By service; a step down is a restart or an end.",
              Query(f"count by (service_name) (count by (service_name, instance) ({DROPPED}))",
                    "{{service_name}}"), look=ANY),
        graph("p95 of spans by kind", "ms", "As the collector measures them; dots are single spans.",
              Query('histogram_quantile(0.95, sum by (span_kind, le) '
                    '(rate(traces_span_metrics_duration_milliseconds_bucket'
                    '{service_name=~"$service"}[$__rate_interval])))', "{{span_kind}}", exemplars=True),
                    look=ANY),
    ]


def _collector() -> list[object]:
    def rates(*metrics: str) -> list[Query]:
        return [Query(f"sum(rate(otelcol_{metric}_total[$__rate_interval]))",
                      metric.replace("_", " ")) for metric in metrics]

    return [
        row("Collector"),
        graph("Taken", "cps", "Spans, points and records that the collector accepted.",
              *rates("receiver_accepted_spans", "receiver_accepted_metric_points",
                     "receiver_accepted_log_records"), look=ANY),
        graph("Handed on", "cps", "Spans, points and records that stores took.",
              *rates("exporter_sent_spans", "exporter_sent_metric_points", "exporter_sent_log_records"),
              look=ANY),
        graph("Lost", "cps", "Refused at the door, failed on the way out, or no room in the queue.",
              *rates("receiver_refused_spans", "exporter_send_failed_spans",
                     "exporter_enqueue_failed_spans"), look=ANY,
              steps=((0.1, RED),)),
        graph("Sending queues", "short", "What waits, by exporter, and how much may.",
              Query("sum by (exporter) (otelcol_exporter_queue_size)", "{{exporter}}"),
              Query("sum by (exporter) (otelcol_exporter_queue_capacity)", "{{exporter}} most"), look=ANY),
    ]


def _stores() -> list[object]:
    return [
        row("Stores"),
        graph("Targets", "short", "1 for what Prometheus can scrape.", Query("min by (job) (up)", "{{job}}"),
              look=ANY),
        graph("Series in Prometheus", "short",
              "Series in memory: a label that grows without bound shows here first.",
              Query("prometheus_tsdb_head_series", "{{instance}}"), look=ANY),
        log_lines("Lines about telemetry", "What our own telemetry says of itself.", look=OURSELVES,
                  width=FULL),
    ]
