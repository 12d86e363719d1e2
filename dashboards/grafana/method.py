"""Dashboard 2, method drill-down: where the time of one method's calls goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grafana.links import Look
from grafana.lists import log_lines, traces, words
from grafana.page import choice, laid_out, page
from grafana.panels import graph, heat, log_graph, number, row
from grafana.telling import AMBER, FULL, RED, Query
from tracedrpc import semconv
from tracedrpc.anatomy import Phase

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

UID: Final = "tracedrpc-method"
OURS: Final = 'rpc_method="$method"'
CALLS: Final = f"rpc_client_call_duration_seconds_count{{{OURS}}}"
ERRORS: Final = f'rpc_client_call_duration_seconds_count{{{OURS}, error_type!=""}}'
QUEUED: Final = 'tracedrpc_server_queue_duration_seconds_{}{{messaging_destination_template=~"$destination"}}'
LINES: Final = '{service_name=~".+"} | rpc_method="${method}"'
ANY: Final = Look(LINES, operation="${method}")
FAILED: Final = Look(f'{LINES} | error_type!=""', operation="${method}", tags="error=true")
SLOW: Final = Look(f'{LINES} |~ "^(call_finished|request_finished) "', operation="${method}",
                   slower_than="1s")
WAITED: Final = Look(LINES, operation="${method}", tags="tracedrpc.sampling.keep_reason=slow")
NEXT: Final = """\
* **The queue grows, the server's part does not**: too few workers or consumers; see the server's *requests \
in hand* and add some.
* **The server's part grows**: open one of its traces; its own spans and calls are below the SERVER span.
* **The rest grows** (pool, publishing, way back, waking up): open *tracedrpc: connections and broker*.
* One call's exact split is on its CLIENT span and in its `call_finished` line: `tracedrpc.phase.*_ms`, and \
`tracedrpc.why` in words.
"""


def dashboard() -> Dashboard:
    """Return it."""
    made = page(UID, "tracedrpc: method",
                "One method: callers' and server's view, the phases of its calls, traces and lines.")
    of = f"rpc_client_call_duration_seconds_count{{{OURS}}}"
    topics = choice("topic", "topic", f"label_values({of}, rpc_method)", has_all=False,
                    regex="/^([^\\/]+)\\//")
    queues = 'tracedrpc_server_queue_duration_seconds_count{messaging_destination_template=~".*${topic}.*"}'
    for variable in (
        choice("method", "method", "label_values(rpc_client_call_duration_seconds_count, rpc_method)",
               has_all=False),
        choice("trace_service", "caller", f"label_values({of}, service_name)", has_all=False),
        topics.description("Where the method's requests queue. Type it where methods have a namespace."),
        choice("destination", "queue", f"label_values({queues}, messaging_destination_template)"),
    ):
        made.with_variable(variable)
    return laid_out(made, [*_numbers(), words(NEXT, look=ANY), *_phases(), *_durations(), *_outcomes(),
                           *_found()])


def _mean(metric: str, labels: str, *, every: str = "$__rate_interval") -> str:
    total, count = (f"sum(rate({metric}_{end}{{{labels}}}[{every}]))" for end in ("sum", "count"))
    return f"{total} / ({count} > 0)"


def _quantile(q: float, metric: str, by: str = "") -> str:
    return f"histogram_quantile({q}, sum by ({by}le) (rate({metric}_bucket{{{OURS}}}[$__rate_interval])))"


def _numbers() -> list[object]:
    remembered = f"service_method:rpc_client_call_duration_seconds:p99_5m{{{OURS}}}"
    usual = f"max({remembered}) / max(quantile_over_time(0.5, {remembered}[1d] offset 1h))"
    return [
        number("Calls", "reqps", "Calls that ended, per second.", f"sum(rate({CALLS}[$__rate_interval]))",
               look=ANY),
        number("Failed", "percentunit", "Part of the calls that raised, time-outs included.",
               f"(sum(rate({ERRORS}[$__rate_interval])) or vector(0)) / "
               f"(sum(rate({CALLS}[$__rate_interval])) > 0)",
               look=FAILED, steps=((0.01, AMBER), (0.05, RED))),
        number("p50", "s", "Half of the calls took no longer than this.",
               _quantile(0.5, "rpc_client_call_duration_seconds"), look=ANY),
        number("p99", "s", "99 of 100 calls took no longer than this.",
               _quantile(0.99, "rpc_client_call_duration_seconds"), look=SLOW, steps=((1, AMBER), (5, RED))),
        number("p99 against its history", "short",
               "1 is usual: p99 now over its own median of the day before.", usual,
               look=SLOW, steps=((1.5, AMBER), (2, RED))),
        number("p95 in the queue", "s",
               "19 of 20 requests waited no longer in their queue and on the way there.",
               f"histogram_quantile(0.95, sum by (le) (rate({QUEUED.format('bucket')}[$__rate_interval])))",
               look=WAITED, steps=((0.25, AMBER), (1, RED))),
    ]


def _phases() -> list[object]:
    whole = _mean("rpc_client_call_duration_seconds", OURS)
    server = _mean("rpc_server_call_duration_seconds", OURS)
    queue = _mean("tracedrpc_server_queue_duration_seconds", 'messaging_destination_template=~"$destination"')
    split = (
        "Mean of all calls: in their queue, on the server, and the rest: pool, publishing, way back, "
        "waking up."
    )
    told = (
        "Mean of the calls that told their story in a call_finished line: slow ones, and all with "
        "TRACEDRPC_LOG_CALLS=info."
    )
    phases = [(_told_phase(phase), phase.value) for phase in Phase]
    return [
        row("Where the time goes"),
        graph("Phases of all calls", "s", split,
              Query(f"{server}", "server"), Query(f"{queue}", "queue"),
              Query(f"clamp_min(({whole}) - ({server}) - ({queue}), 0)", "rest"), look=WAITED,
              is_stacked=True),
        log_graph("Phases of slow calls", "ms", told, phases, look=SLOW),
        heat("Time in the queue",
             "From sent to delivered, of requests to this method's queues; dots are calls with their trace.",
             f"sum by (le) (increase({QUEUED.format('bucket')}[$__rate_interval]))", look=WAITED),
        heat("Durations of calls",
             "As callers see them; pink dots are single calls, click one for its trace.",
             f"sum by (le) (increase(rpc_client_call_duration_seconds_bucket{{{OURS}}}[$__rate_interval]))",
             look=SLOW),
    ]


def _told_phase(phase: Phase) -> str:
    field = semconv.phase_ms(phase).replace(".", "_")
    return f'avg(avg_over_time({LINES} |= "call_finished" | {field}!="" | unwrap {field} [$__auto]))'


def _durations() -> list[object]:
    sides = (("rpc_client_call_duration_seconds", "callers"), ("rpc_server_call_duration_seconds", "server"))
    return [
        graph("Callers and server", "s",
              "Quantiles on both sides: what lies between them is queue, network and pool.",
              *(Query(_quantile(q, metric), f"{side} p{q * 100:g}", exemplars=True)
                for metric, side in sides for q in (0.5, 0.95, 0.99)),
              look=SLOW),
        graph("p95 by caller", "s", "Callers that differ have pools or hosts that differ.",
              Query(_quantile(0.95, "rpc_client_call_duration_seconds", "service_name, "),
                    "{{service_name}}", exemplars=True),
              look=SLOW),
    ]


def _outcomes() -> list[object]:
    nothing = f"0 * sum(rate({CALLS}[$__rate_interval]))"
    server = f'rpc_server_call_duration_seconds_count{{{OURS}, error_type!=""}}'
    clocks = QUEUED.format("count")
    return [
        row("How calls end"),
        graph("Failed calls by error", "reqps",
              "What callers got and what the server raised; 0 where nobody did.",
              Query(f"sum by (error_type) (rate({ERRORS}[$__rate_interval])) or {nothing}",
                    "callers: {{error_type}}"),
              Query(f"sum by (error_type) (rate({server}[$__rate_interval])) or {nothing}",
                    "server: {{error_type}}"),
              look=FAILED),
        graph("How queue times are known", "reqps",
              "By the sender's clock, or estimated where both clocks contradict the order of things.",
              Query(f"sum by (tracedrpc_queue_quality) (rate({clocks}[$__rate_interval]))",
                    "{{tracedrpc_queue_quality}}"),
              look=ANY),
    ]


def _found() -> list[object]:
    return [
        row("Traces and lines"),
        traces("Slow calls", "Traces of this method that took a second or longer; click one.", look=SLOW),
        traces("Failed calls", "Traces of this method with an error; click one.", look=FAILED),
        log_lines("Lines about this method", "On both sides; trace_id leads to the trace.", look=ANY,
                  width=FULL),
    ]
