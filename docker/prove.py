# ruff: noqa: INP001 - a program on its own, run beside containers
"""Asks each engine of docker/ over HTTP for what the example services told it.

    GRAFANA_PASSWORD=... python3 docker/prove.py SECONDS

Every proof is tried until it holds or the seconds are over. Prints a line for each; ends with 0
when all hold.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 3.0
ANSWER_S = 10.0
WINDOW_S = 3600
SERVICES = {"traffic", "api", "scheduler", "compute"}
SOURCES = ("prometheus", "loki", "jaeger")
TIMED_OUT = "demo.compute/snapshot_instance"
"""The example's call whose handler takes longer than its caller waits."""
BOOT = "demo.api/boot_instance"

METRICS = (
    'rpc_client_call_duration_seconds_count{service_name="traffic"}',
    'rpc_server_call_duration_seconds_count{service_name="compute"}',
    'tracedrpc_server_queue_duration_seconds_count{service_name="scheduler"}',
    'tracedrpc_client_timeouts_total{service_name="traffic"}',
    'tracedrpc_client_connection_count{service_name="api"}',
    'traces_span_metrics_calls_total{service_name="compute",span_kind="SPAN_KIND_SERVER"}',
    'traces_span_metrics_duration_milliseconds_bucket{service_name="compute"}',
    'traces_service_graph_request_total{client="traffic",server="api"}',
    'rabbitmq_detailed_queue_consumers{queue="demo.api"}',
    "rabbitmq_connections",
    "otelcol_receiver_accepted_spans_total",
)
"""One of every kind that dashboards and rules ask for; each must have a value above zero."""


class NotYet(Exception):
    """A proof does not hold, or not yet; the text says what was seen."""


@dataclass(frozen=True)
class Engines:
    """Where the engines are."""

    jaeger: str = "http://127.0.0.1:16686"
    prometheus: str = "http://127.0.0.1:9090"
    loki: str = "http://127.0.0.1:3100"
    grafana: str = "http://127.0.0.1:3000"


def get(url: str, /, **query: str) -> Any:
    """Return the JSON at a URL.

    Raises:
        NotYet: nobody answers, or not with 200 and JSON.
    """
    whole = f"{url}?{urllib.parse.urlencode(query)}" if query else url
    request = urllib.request.Request(whole, headers=_credentials(url))  # noqa: S310 - ours, http
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
            return json.load(answer)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotYet(f"{whole}: {error}") from error


def _credentials(url: str) -> dict[str, str]:
    password = os.environ.get("GRAFANA_PASSWORD", "")
    if "/api/datasources" not in url or not password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}


# ---- traces --------------------------------------------------------------------------------------


def chain_is_whole(engines: Engines) -> None:
    """One trace goes through all four services."""
    traces = _traces(engines, "traffic", BOOT)
    seen = [_services(trace) for trace in traces]
    if not any(services >= SERVICES for services in seen):
        raise NotYet(f"no trace of {BOOT} has all of {sorted(SERVICES)}: {seen[:3]}")


def time_out_was_kept(engines: Engines) -> None:
    """The call that timed out is there, and says why it was kept and how far it had come."""
    _timed_out(engines)


def monitor_has_calls(engines: Engines) -> None:
    """Jaeger's Monitor tab gets calls per second out of Prometheus."""
    family = get(
        f"{engines.jaeger}/api/metrics/calls", service="compute", lookback=str(WINDOW_S * 1000), step="10000",
        ratePer="60000", spanKind="server", endTs=str(int(time.time() * 1000)),
    )
    if not family.get("metrics"):
        raise NotYet(f"no calls of compute in {family}")


def _timed_out(engines: Engines) -> str:
    """Return the trace id of a call that timed out."""
    for trace in _traces(engines, "traffic", TIMED_OUT):
        for span in trace["spans"]:
            tags = {tag["key"]: tag["value"] for tag in span["tags"]}
            if span["operationName"] == TIMED_OUT and tags.get("tracedrpc.sampling.keep_reason") == "timeout":
                if "tracedrpc.timeout.phase" not in tags:
                    raise NotYet(f"the span of {TIMED_OUT} has no tracedrpc.timeout.phase: {sorted(tags)}")
                return str(trace["traceID"])
    raise NotYet(f"no trace of {TIMED_OUT} was kept for its time-out")


def _traces(engines: Engines, service: str, operation: str) -> list[Any]:
    now_us = int(time.time() * 1e6)
    found = get(
        f"{engines.jaeger}/api/traces", service=service, operation=operation, limit="50",
        start=str(now_us - WINDOW_S * 1_000_000), end=str(now_us),
    )
    return list(found.get("data") or ())


def _services(trace: Any) -> set[str]:
    return {process["serviceName"] for process in trace["processes"].values()}


# ---- logs ----------------------------------------------------------------------------------------


def time_out_was_logged(engines: Engines) -> None:
    """Loki has the line of that very trace, found by its trace id as Grafana's link asks for it."""
    trace_id = _timed_out(engines)
    found = get(
        f"{engines.loki}/loki/api/v1/query_range", query=f'{{service_name=~".+"}} | trace_id="{trace_id}"',
        start=str(int((time.time() - WINDOW_S) * 1e9)), limit="100",
    )
    lines = [line for stream in found["data"]["result"] for _, line in stream["values"]]
    if not any("call_timed_out" in line for line in lines):
        raise NotYet(f"{len(lines)} lines of trace {trace_id}, none of them call_timed_out")


# ---- metrics -------------------------------------------------------------------------------------


def metrics_are_there(engines: Engines) -> None:
    """Each kind of metric has a value above zero."""
    absent = [metric for metric in METRICS if not _query(engines, f"{metric} > 0")]
    if absent:
        raise NotYet(f"no value above zero: {', '.join(absent)}")


def all_targets_are_up(engines: Engines) -> None:
    """Prometheus reaches everything it is to scrape."""
    down = [one["metric"].get("job") for one in _query(engines, "up == 0")]
    if down or not _query(engines, "up == 1"):
        raise NotYet(f"down: {down}")


def rules_are_loaded(engines: Engines) -> None:
    """Recording and alert rules are there and none of them fails."""
    groups = get(f"{engines.prometheus}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    failing = [f"{rule['name']}: {rule.get('lastError', '')}" for rule in rules if rule["health"] == "err"]
    if not rules or failing:
        raise NotYet(f"{len(rules)} rules, failing: {failing}")


def exemplar_leads_to_its_trace(engines: Engines) -> None:
    """An exemplar of the calls' histogram has a trace id that Jaeger knows."""
    now = time.time()
    found = get(
        f"{engines.prometheus}/api/v1/query_exemplars", query="rpc_client_call_duration_seconds_bucket",
        start=str(now - WINDOW_S), end=str(now),
    )
    series = [one["exemplars"] for one in found["data"]]
    ids = [exemplar["labels"].get("trace_id", "") for exemplars in series for exemplar in exemplars]
    if not any(_is_known(engines, trace_id) for trace_id in ids[-100:] if trace_id):
        raise NotYet(f"Jaeger has none of the traces of {len(ids)} exemplars")


def _is_known(engines: Engines, trace_id: str) -> bool:
    try:
        return bool(get(f"{engines.jaeger}/api/traces/{trace_id}")["data"])
    except NotYet:  # 404: not sampled
        return False


def _query(engines: Engines, query: str) -> list[Any]:
    return list(get(f"{engines.prometheus}/api/v1/query", query=query)["data"]["result"])


# ---- Grafana -------------------------------------------------------------------------------------


def dashboards_are_there(engines: Engines) -> None:
    """Whoever is not signed in sees the dashboards."""
    found = get(f"{engines.grafana}/api/search", type="dash-db")
    if not found:
        raise NotYet("Grafana lists no dashboard")


def sources_answer(engines: Engines) -> None:
    """Each data source passes Grafana's own test."""
    for uid in SOURCES:
        health = get(f"{engines.grafana}/api/datasources/uid/{uid}/health")
        if health.get("status") != "OK":
            raise NotYet(f"data source {uid}: {health}")


PROOFS: tuple[Callable[[Engines], None], ...] = (
    chain_is_whole, time_out_was_kept, time_out_was_logged, metrics_are_there, all_targets_are_up,
    rules_are_loaded, exemplar_leads_to_its_trace, monitor_has_calls, dashboards_are_there, sources_answer,
)


def prove(engines: Engines, limit_s: float) -> dict[str, str]:
    """Try all proofs until they hold or the time is over; return what is wrong, by the proof's name."""
    give_up = time.monotonic() + limit_s
    wrong: dict[str, str] = {}
    for proof in PROOFS:
        problem = _problem(proof, engines)
        while problem and time.monotonic() < give_up:
            time.sleep(POLL_S)
            problem = _problem(proof, engines)
        if problem:
            wrong[proof.__name__] = problem
        print(f"{'FAIL' if problem else 'ok':<5}{proof.__name__}  {problem}".rstrip(), flush=True)  # noqa: T201
    return wrong


def _problem(proof: Callable[[Engines], None], engines: Engines) -> str:
    try:
        proof(engines)
    except NotYet as error:
        return str(error)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        return f"an answer of another shape: {type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(1 if prove(Engines(), float(sys.argv[1])) else 0)
