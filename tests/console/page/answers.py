"""Answers of the console's JSON API about the sample, by the contract of the page."""

from __future__ import annotations

import functools
import statistics
from typing import TYPE_CHECKING, Any

from tests.console.page.sample import HOSTILE, HOSTILE_TEXTS, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.console.page.drafts import Json

Query = dict[str, list[str]]
POINTS_LIMIT = 2000


def status(_: Query) -> Json:
    """Answer `/api/c/status`."""
    sample = stored()
    return {
        "version": "0.1.0", "spans": sum(row["spans"] for row in sample.summaries), "logs": len(sample.logs),
        "metrics": 5120, "traces": len(sample.summaries), "bytes": 48_300_000,
        "oldest": sample.summaries[-1]["start"], "newest": sample.summaries[0]["start"],
        "dropped": {"traces": {"queue_full": 12}}, "retention_s": 259_200, "now": sample.now}


def services(_: Query) -> Json:
    """Answer `/api/c/services`."""
    return _services()


@functools.cache
def _services() -> Json:
    found: dict[str, Json] = {}
    for trace in stored().traces.values():
        for span in trace["spans"]:
            one = found.setdefault(span["service"], {
                "name": span["service"], "spans": 0, "errors": 0, "last": stored().now, "versions": []})
            one["spans"] += 1
            one["errors"] += span["error"]
            if span["version"] not in one["versions"]:
                one["versions"].append(span["version"])
    return {"services": sorted(found.values(), key=lambda each: str(each["name"]))}


def traces(query: Query) -> Json:
    """Answer `/api/c/traces`."""
    found = [row for row in stored().summaries if _matches(row, query)]
    first = int(_one(query, "before") or 0)
    limit = int(_one(query, "limit") or 20)
    rest = len(found) > first + limit
    return {"traces": found[first:first + limit], "next": str(first + limit) if rest else None}


def scatter(query: Query) -> Json:
    """Answer `/api/c/scatter`."""
    found = [row for row in stored().summaries if _matches(row, query)]
    points = [[row["start"], row["duration"], row["outcome"], row["id"]] for row in found]
    return {"points": points[:POINTS_LIMIT]}


def _matches(row: Json, query: Query) -> bool:
    spans = stored().traces[row["id"]]["spans"]
    tests: dict[str, Callable[[str], bool]] = {
        "service": lambda name: any(share["name"] == name for share in row["services"]),
        "method": lambda name: any(span["attributes"].get("rpc.method") == name for span in spans),
        "outcome": lambda name: row["outcome"] == name,
        "errors": lambda _: row["errors"] > 0,
        "min": lambda ms: row["duration"] >= float(ms),
        "max": lambda ms: row["duration"] <= float(ms),
        "q": lambda text: any(text in f"{row['id']} {span['name']} {span['message']}" for span in spans),
        "attr": lambda pair: any(_has(span, pair) for span in spans),
        "from": lambda us: row["start"] >= int(us),
        "to": lambda us: row["start"] <= int(us),
    }
    return all(test(value) for name, test in tests.items() for value in query.get(name, []))


def _has(record: Json, pair: str) -> bool:
    key, _, value = pair.partition("=")
    return str(record["attributes"].get(key)) == value


def logs(query: Query) -> Json:
    """Answer `/api/c/logs`."""
    least = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}
    tests: dict[str, Callable[[Json, str], bool]] = {
        "service": lambda log, name: log["service"] == name,
        "level": lambda log, name: log["severity"] >= least[name],
        "event": lambda log, name: log["event"] == name,
        "trace": lambda log, name: log["trace"] == name,
        "q": lambda log, text: text in log["body"],
        "attr": _has,
        "from": lambda log, us: log["at"] >= int(us),
        "to": lambda log, us: log["at"] <= int(us),
    }
    found = [
        log for log in stored().logs
        if all(test(log, value) for name, test in tests.items() for value in query.get(name, []))]
    first, limit = int(_one(query, "before") or 0), int(_one(query, "limit") or 100)
    return {"logs": found[first:first + limit],
            "next": str(first + limit) if len(found) > first + limit else None}


def methods(query: Query) -> Json:
    """Answer `/api/c/methods`."""
    groups: dict[str, list[Json]] = {}
    for trace in stored().traces.values():
        for span in trace["spans"]:
            if span["phases"] and trace["id"] != "f" * 32 and span["start"] >= int(_one(query, "from") or 0):
                groups.setdefault(span["name"], []).append(span)
    is_compared = bool(_one(query, "from2") or _one(query, "version2"))
    return {"methods": [
        {"method": name, "mode": "call", "a": _stats(spans, 1),
         "b": _stats(spans, 0.8) if is_compared else None}
        for name, spans in groups.items()]}


def _stats(spans: list[Json], factor: float) -> Json:
    times = sorted(span["duration"] for span in spans)
    names = {name for span in spans for name in span["phases"]}
    skew = {"queue": 1 if factor == 1 else 0.3, "handler": 1 if factor == 1 else 1.3}
    timeouts = sum("tracedrpc.timeout.phase" in span["attributes"] for span in spans)
    return {
        "count": int(len(spans) * factor) or 1, "errors": int(sum(span["error"] for span in spans) * factor),
        "rate": len(spans) * factor / 3600, "p50": statistics.median(times) * skew["handler"],
        "p95": times[int(len(times) * 0.95)] * factor, "p99": times[int(len(times) * 0.99)] * factor ** 2,
        "phases": {
            name: statistics.fmean(span["phases"].get(name, 0) for span in spans) * skew.get(name, 1)
            for name in names},
        "timeouts": {"queue": timeouts} if timeouts else {}}


def service_map(_: Query) -> Json:
    """Answer `/api/c/map`."""
    edges = [
        ("nova-api", "nova:nova-scheduler", 84, 0), ("nova:nova-scheduler", "nova-scheduler", 84, 0),
        ("nova-api", "nova:nova-compute", 340, 38), ("nova:nova-compute", "nova-compute", 424, 31),
        ("nova-scheduler", "nova:nova-compute", 84, 0), ("nova-scheduler", "nova:nova-conductor", 84, 0),
        ("nova-compute", "nova:nova-conductor", 252, 0), ("nova:nova-conductor", "nova-conductor", 336, 0),
        ("nova-compute", "nova:neutron", 84, 0), ("nova-scheduler", "nova:neutron", 84, 0),
        ("nova:neutron", "neutron", 168, 0), ("neutron", "nova:nova-api", 12, 0),
        ("nova:nova-api", "nova-api", 12, 0),
        (HOSTILE_TEXTS[0], HOSTILE_TEXTS[1], 1, 1)]
    names = dict.fromkeys(name for edge in edges for name in edge[:2])
    return {
        "nodes": [{"name": name, "kind": "queue" if ":" in name and "<" not in name else "service",
                   "calls": sum(calls for _, to, calls, _ in edges if to == name) or 84,
                   "errors": sum(errors for _, to, _, errors in edges if to == name)} for name in names],
        "edges": [{"from": a, "to": b, "calls": calls, "errors": errors, "p95": 41.5 + calls}
                  for a, b, calls, errors in edges]}


def pool(query: Query) -> Json:
    """Answer `/api/c/pool`."""
    start = int(_one(query, "from") or 0) or stored().now - 3_600_000_000
    times = [start + minute * 60_000_000 for minute in range(60)]

    def one(service: str, most: int, push: int) -> Json:
        used = [[at, min(most, 1 + (index * 7 + push) % (most + 2))] for index, at in enumerate(times)]
        return {
            "service": service, "instance": f"{service}-7f3a", "name": "rabbit-1:5672/nova",
            "series": {"used": used, "idle": [[at, max(0, most // 2 - n // 2)] for at, n in used],
                       "waiting": [[at, 3 if n == most and push else 0] for at, n in used],
                       "max": [[at, most] for at in times]},
            "wait": {"count": 41, "p50": 0.4, "p95": 88.0, "p99": 310.0}, "created": 14,
            "closed": {"idle": 9, "stale": 1, "error": 1 if push else 0, "pool_closed": 0}}

    return {
        "pools": [one("nova-api", 6, 3), one("nova-compute", 30, 0), one("nova-scheduler", 10, 0),
                  one(HOSTILE_TEXTS[0], 2, 1)],
        "heartbeats": [{"service": "nova-api", "received": 842, "sent": 0},
                       {"service": HOSTILE_TEXTS[1], "received": 1, "sent": 3}],
        "timeouts": {"queue": 7, "handler": 2, "connect": 1}}


def trace(trace_id: str) -> Json | None:
    """Answer `/api/c/trace/{id}`."""
    return stored().traces.get(trace_id)


def trace_logs(trace_id: str) -> Json:
    """Answer `/api/c/trace/{id}/logs`."""
    return {"logs": [log for log in stored().logs if log["trace"] == trace_id]}


def explain(wanted: str) -> Json | None:
    """Answer `/api/c/explain/{id}`, of a trace or a message."""
    known = stored().traces.values()
    found = next((each for each in known if wanted in {each["id"], *_messages(each)}), None)
    if found is None:
        return None
    advice = ["Raise rpc_conn_pool_size, or give uploads a transport of their own."]
    sentence = found["why"] or "Most of it was the handler."
    return {"trace": found["id"], "why": found["why"], "sentence": sentence, "phases": {}, "critical": [],
            "advice": list(HOSTILE_TEXTS) if found["id"] == HOSTILE else advice if found["why"] else []}


def _messages(answer: Json) -> set[Any]:
    return {span["attributes"].get("tracedrpc.msg_id") for span in answer["spans"]}


def _one(query: Query, name: str) -> str:
    return query.get(name, [""])[0]
