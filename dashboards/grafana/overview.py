"""Dashboard 1, RPC overview: which method of which service is in trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana.links import SERVICES, Look, events
from grafana.lists import log_lines, metric_table, service_map, words
from grafana.page import laid_out, page, services
from grafana.panels import graph, heat, number, row
from grafana.telling import AMBER, HALF, RED, Query

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

UID: Final = "tracedrpc-overview"
CALLS: Final = 'rpc_client_call_duration_seconds_count{service_name=~"$service"}'
ERRORS: Final = 'rpc_client_call_duration_seconds_count{service_name=~"$service", error_type!=""}'
BUCKETS: Final = 'rpc_client_call_duration_seconds_bucket{service_name=~"$service"}'
BY_METHOD: Final = "sum by (service_name, rpc_method)"
METHOD: Final = "{{service_name}}: {{rpc_method}}"
RATIO: Final = (
    f"(sum(rate({ERRORS}[$__rate_interval])) or vector(0)) / "
    f"(sum(rate({CALLS}[$__rate_interval])) > 0)"
)
FAILED: Final = events("call_timed_out", "request_failed", "message_dropped", tags="error=true")
SLOW: Final = events("call_finished", slower_than="1s")
ALL: Final = Look()
NEXT: Final = """\
* **A method is red or slow** in the table: click it for its drill-down, which splits its time into queue, \
server and the rest.
* **Errors everywhere at once**: open *tracedrpc: connections and broker*. One broker takes all methods with \
it.
* **Time-outs**: `call_timed_out` in the log says in `tracedrpc.why` where each call died. An alert names \
its section of `docs/runbooks.md`.
* **Nothing to see**: open *tracedrpc: telemetry health*; what drops spans may drop metrics as well.
"""


def dashboard() -> Dashboard:
    """Return it."""
    made = page(UID, "tracedrpc: RPC overview",
                "Rate, errors and durations of every method, as its callers see them.")
    for variable in services("rpc_client_call_duration_seconds_count"):
        made.with_variable(variable)
    return laid_out(made, [*_numbers(), words(NEXT, look=ALL), *_methods(), *_times(), *_casts(), *_rest()])


def _numbers() -> list[object]:
    def p95(text: str) -> str:
        return f"histogram_quantile(0.95, sum by (le) (rate({text}[$__rate_interval])))"

    saturation = (
        'max(sum by (instance, tracedrpc_pool_name) '
        '(tracedrpc_client_connection_count{service_name=~"$service", '
        'tracedrpc_connection_state="used"}) / sum by (instance, tracedrpc_pool_name) '
        '(tracedrpc_client_connection_max{service_name=~"$service"}))'
    )
    timeouts = (
        'sum(service_phase:tracedrpc_client_timeouts:increase10m{service_name=~"$service"}) or '
        'vector(0)'
    )
    return [
        number("Calls", "reqps", "Calls that ended, per second.", f"sum(rate({CALLS}[$__rate_interval]))",
               look=ALL),
        number("Failed", "percentunit", "Part of the calls that raised, time-outs included.", RATIO,
               look=FAILED,
               steps=((0.01, AMBER), (0.05, RED))),
        number("p95", "s", "95 of 100 calls took no longer than this.", p95(BUCKETS), look=SLOW,
               steps=((0.5, AMBER), (1, RED))),
        number("In flight", "short", "Calls, casts and fanouts that have begun and not ended.",
               'sum(tracedrpc_client_in_flight{service_name=~"$service"})', look=ALL),
        number("Time-outs in 10 min", "short", "Calls that got no reply in time, in the last ten minutes.",
               timeouts,
               look=events("call_timed_out", tags="tracedrpc.sampling.keep_reason=timeout"),
               steps=((1, AMBER), (3, RED))),
        number("Fullest pool", "percentunit", "Connections in use, of those that the pool may have.",
               saturation,
               look=events("acquire_failed", "call_finished"), steps=((0.7, AMBER), (0.9, RED))),
    ]


def _methods() -> list[object]:
    calls = "service_method:rpc_client_calls:rate5m"
    bucket = f"sum by (service_name, rpc_method, le) (rate({BUCKETS}[5m]))"
    columns = [
        (f'{calls}{{service_name=~"$service"}}', "calls/s", "reqps"),
        ('service_method:rpc_client_errors:ratio_rate5m{service_name=~"$service"}', "failed", "percentunit"),
        *((f"histogram_quantile({q}, {bucket})", name, "s") for q, name in ((0.5, "p50"), (0.95, "p95"))),
        ('service_method:rpc_client_call_duration_seconds:p99_5m{service_name=~"$service"}', "p99", "s"),
    ]
    what = (
        "Every method in the last five minutes, as its callers see it. Click a method to drill down or "
        "for its traces."
    )
    return [metric_table("Methods", what, columns, look=ALL)]


def _times() -> list[object]:
    p99 = (
        f"histogram_quantile(0.99, sum by (service_name, rpc_method, le) "
        f"(rate({BUCKETS}[$__rate_interval])))"
    )
    kinds = f"sum by (service_name, error_type) (rate({ERRORS}[$__rate_interval]))"
    nothing = f"0 * sum by (service_name) (rate({CALLS}[$__rate_interval]))"
    return [
        row("Calls over time"),
        graph("Calls", "reqps", "Calls that ended, by caller and method.",
              Query(f"{BY_METHOD} (rate({CALLS}[$__rate_interval]))", METHOD), look=ALL),
        graph("Failed calls by error", "reqps",
              "Calls that raised, by the exception's class; 0 where none did.",
              Query(f"{kinds} or {nothing}", "{{service_name}}: {{error_type}}"), look=FAILED),
        graph("p99 by method", "s",
              "99 of 100 calls took no longer than this; dots are single calls, click one for its trace.",
              Query(p99, METHOD, exemplars=True), look=SLOW, steps=((1, AMBER),)),
        heat("Durations of all calls",
             "How many calls took how long; pink dots are single calls with their trace.",
             f"sum by (le) (increase({BUCKETS}[$__rate_interval]))", look=SLOW),
    ]


def _casts() -> list[object]:
    sent = 'messaging_client_operation_duration_seconds_count{service_name=~"$service"}'
    took = 'messaging_process_duration_seconds_bucket{service_name=~"$service"}'
    return [
        row("Casts and fanouts"),
        graph("Casts and fanouts sent", "reqps", "Messages without a reply, by sender and method.",
              Query(f"{BY_METHOD} (rate({sent}[$__rate_interval]))", METHOD), look=ALL),
        graph("p95 of working on casts", "s",
              "From the delivery of a cast or fanout to the end of its method.",
              Query(f"histogram_quantile(0.95, sum by (service_name, rpc_method, le) "
                    f"(rate({took}[$__rate_interval])))",
                    METHOD, exemplars=True), look=ALL),
    ]


def _rest() -> list[object]:
    return [
        row("Who calls whom, and what went wrong"),
        service_map("Services", "Who calls whom, as Jaeger derives it from traces.", look=ALL),
        graph("Replies that nobody could use", "cps",
              "Replies too late, twice, or to unknown calls; requests answered too late.",
              *(Query(f'sum by (service_name) (rate({name}{{service_name=~"$service"}}[$__rate_interval]))',
                      legend)
                for name, legend in (
                    ("tracedrpc_client_replies_late_total", "late: {{service_name}}"),
                    ("tracedrpc_client_replies_duplicate_total", "duplicate: {{service_name}}"),
                    ("tracedrpc_client_replies_orphan_total", "unknown: {{service_name}}"),
                    ("tracedrpc_deadline_exceeded_total", "answered too late: {{service_name}}"),
                )),
              look=events("reply_discarded", "deadline_exceeded",
                          tags="tracedrpc.sampling.keep_reason=late"), width=HALF),
        log_lines("Warnings and errors", "What services said at WARN and above; trace_id leads to the trace.",
                  look=Look(f'{SERVICES} | severity_text=~"WARN|ERROR|FATAL"', tags="error=true")),
    ]
